"""Adapters under names on one base: each answers as it does alone, and none leaves anything behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.core.errors import LuthierError
from luthier.core.types import Message
from luthier.deploy.named_adapters import NamedAdapters
from luthier.methods.additive.adapter import Adapter
from luthier.methods.full import Full
from luthier.methods.method import Method, trainable
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.batch import padded_batch
from luthier.models.flat import use_flat_attention
from luthier.models.forward import inference, scored_logits
from luthier.models.generator import ModelGenerator
from luthier.models.load import find_model, load_model, load_tokenizer
from luthier.models.sampling import Sampling
from luthier.models.tokens import Renderer
from luthier.prompting.prompting import Request
from tests.families import family_model, family_rows, logits
from tests.tiny import SENTENCES, tiny_model
from tests.training.small import sequences

RANKS = (1, 2, 3, 4, 5, 8, 13, 16)
GREEDY = Sampling(max_new_tokens=8)
ASKED = padded_batch(sequences(4, seed=5), pad_id=0)
METHODS = [LoRA(rank=3), Adapter(placement="houlsby"), PromptTuning(virtual_tokens=4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("llama", tmp_path_factory.mktemp("model"), context=128)


@pytest.fixture
def base(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def renderer(folder: Path) -> Renderer:
    return Renderer(AutoTokenizer.from_pretrained(folder), 128)


def saved(method: Method, model: Any, folder: Path, seed: int = 0, size: float = 0.1) -> Path:
    """An adapter that says something of its own, as if it had been trained; the model is used up."""
    torch.manual_seed(seed)
    adapted = method.attach(model, None)
    with torch.no_grad():
        for weights in trainable(adapted):
            weights.add_(size * torch.randn(weights.shape))
    method.save(adapted, folder)
    return folder


def requests(count: int) -> list[Request]:
    texts = [SENTENCES[number % len(SENTENCES)][: 20 + 7 * number] for number in range(count)]
    return [Request(f"example-{number}", (Message("user", text),)) for number, text in enumerate(texts)]


def says(model: Any) -> torch.Tensor:
    with inference(model):
        return scored_logits(model, ASKED).clone()


def compare_with_separate_runs(
    named: NamedAdapters, fresh: Any, methods: dict[str, tuple[Method, Path]], renderer: Renderer
) -> None:
    """All names and the base in one go, against one model for each."""
    names: list[str | None] = [*methods, None, *list(methods)[:3]]
    asked = requests(len(names))
    choices: Sequence[tuple[str, ...]] = [("Yes.", "No, at ten.") for _ in names]
    texts = named.generate(renderer, asked, GREEDY, names)
    rated = named.likelihoods(renderer, asked, choices, names)
    alone: dict[str | None, Any] = {name: method.load(fresh(), path) for name, (method, path) in methods.items()}
    alone[None] = fresh()
    for place, name in enumerate(names):
        generator = ModelGenerator(alone[name], renderer, flat=False)
        assert texts[place] == generator.generate([asked[place]], GREEDY)[0]
        expected = generator.likelihoods([asked[place]], [choices[place]])[0]
        assert rated[place].example_id == expected.example_id
        assert rated[place].log_likelihoods == pytest.approx(expected.log_likelihoods, rel=1e-5, abs=1e-5)
    assert len({prediction.log_likelihoods for prediction in rated}) == len(names)


@pytest.mark.parametrize("kind", ["lora", "adapter", "prompt_tuning"])
def test_eight_adapters_asked_together_equal_eight_separate_runs(
    kind: str, base: Any, folder: Path, renderer: Renderer, tmp_path: Path
) -> None:
    def of_size(size: int) -> Method:
        if kind == "lora":
            return LoRA(rank=size)
        return Adapter(reduction=size) if kind == "adapter" else PromptTuning(virtual_tokens=size)

    def fresh() -> Any:
        return AutoModelForCausalLM.from_pretrained(folder).eval()

    methods = {
        f"org/size.{size}": (of_size(size), saved(of_size(size), fresh(), tmp_path / str(size), seed=size))
        for size in RANKS
    }
    assert use_flat_attention(base)  # as a study's models are
    named = NamedAdapters(base)
    for name, (method, path) in methods.items():
        named.add(name, path, method)
    assert named.names == tuple(methods)
    assert named.by_row == (kind != "prompt_tuning")
    compare_with_separate_runs(named, fresh, methods, renderer)


@pytest.mark.slow
def test_on_the_house_decoder(tmp_path: Path) -> None:
    files = find_model("house/decoder")
    renderer = Renderer(load_tokenizer(files), files.context)
    methods: dict[str, tuple[Method, Path]] = {}
    for rank in RANKS:
        path = saved(LoRA(rank=rank), load_model(files), tmp_path / str(rank), seed=rank, size=0.03)
        methods[f"rank {rank}"] = (LoRA(rank=rank), path)
    named = NamedAdapters(load_model(files))
    for name, (method, path) in methods.items():
        named.add(name, path, method)
    compare_with_separate_runs(named, lambda: load_model(files), methods, renderer)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_switching_leaks_nothing(method: Method, base: Any, folder: Path, renderer: Renderer, tmp_path: Path) -> None:
    def fresh() -> Any:
        return AutoModelForCausalLM.from_pretrained(folder).eval()

    plain = says(fresh())
    named = NamedAdapters(base)
    for seed, name in enumerate("ab"):
        named.add(name, saved(method, fresh(), tmp_path / name, seed=seed), method)
    assert named.active is None
    assert torch.equal(says(named.model), plain)
    named.use("a")
    first = says(named.model)
    assert not torch.allclose(first, plain, atol=1e-2)
    named.use("b")
    second = says(named.model)
    assert not torch.allclose(second, first, atol=1e-2)
    named.generate(renderer, requests(3), GREEDY, ["a", None, "b"])
    assert named.active == "b"
    assert torch.equal(says(named.model), second)
    named.use("a")
    assert torch.equal(says(named.model), first)
    named.use(None)
    assert torch.equal(says(named.model), plain)
    named.use("b")
    assert torch.equal(says(named.model), second)
    assert not any(weights.requires_grad for weights in named.model.parameters())


@pytest.mark.parametrize("method", [LoRA(rank=3), PromptTuning(virtual_tokens=4)], ids=lambda method: method.name)
def test_what_is_removed_is_gone_and_the_rest_stays(method: Method, base: Any, folder: Path, tmp_path: Path) -> None:
    plain = says(base)
    named = NamedAdapters(base)
    for seed, name in enumerate("ab"):
        fresh = AutoModelForCausalLM.from_pretrained(folder).eval()
        named.add(name, saved(method, fresh, tmp_path / name, seed=seed), method)
    named.use("a")
    first = says(named.model)
    named.use("b")
    named.remove("b")
    assert named.names == ("a",) and named.active is None
    assert torch.equal(says(named.model), plain)
    named.use("a")
    assert torch.equal(says(named.model), first)
    named.remove("a")
    assert torch.equal(says(named.model), plain)
    assert type(named.model) is type(base)
    named.add("again", tmp_path / "a", method)
    named.use("again")
    assert torch.equal(says(named.model), first)


def test_heads_go_with_their_adapters(tmp_path: Path) -> None:
    rows = family_rows("bert", 4)
    expected = {}
    named = NamedAdapters(family_model("bert"))
    for seed, name in enumerate("ab"):
        path = saved(LoRA(rank=2 + seed), family_model("bert"), tmp_path / name, seed=seed)
        expected[name] = logits(LoRA().load(family_model("bert"), path), rows)
        named.add(name, path, LoRA())
    assert not named.by_row
    for name in "aba":
        named.use(name)
        assert torch.equal(logits(named.model, rows), expected[name])
    named.use(None)
    assert torch.equal(logits(named.model, rows), logits(family_model("bert"), rows))
    with pytest.raises(LuthierError, match="cannot be mixed in one batch"), named.rows(["a", "b", None, "a"]):
        pass


def test_rows_of_a_batch_by_hand(base: Any, folder: Path, tmp_path: Path) -> None:
    plain = says(base)
    named = NamedAdapters(base)
    named.add("a", saved(LoRA(), AutoModelForCausalLM.from_pretrained(folder), tmp_path / "a"), LoRA())
    with inference(named.model), named.rows([None, "a", None, "a"]):
        mixed = scored_logits(named.model, ASKED)
    of_base = (ASKED.owners % 2) == 0
    assert torch.equal(mixed[of_base], plain[of_base])
    named.use("a")
    torch.testing.assert_close(mixed[~of_base], says(named.model)[~of_base], atol=1e-5, rtol=1e-5)


class TestWhatIsRefused:
    @pytest.fixture
    def named(self, base: Any, folder: Path, tmp_path: Path) -> NamedAdapters:
        named = NamedAdapters(base)
        named.add("a", saved(LoRA(rank=2), AutoModelForCausalLM.from_pretrained(folder), tmp_path / "a"), LoRA())
        named.use("a")
        return named

    def test_another_method(self, named: NamedAdapters, folder: Path, tmp_path: Path) -> None:
        path = saved(PromptTuning(), AutoModelForCausalLM.from_pretrained(folder), tmp_path / "p")
        with pytest.raises(LuthierError, match="prompt_tuning cannot share a base with a, which is lora"):
            named.add("p", path, PromptTuning())

    def test_what_cannot_be_switched_off(self, base: Any, tmp_path: Path) -> None:
        Full().save(base, tmp_path / "full")
        with pytest.raises(LuthierError, match="cannot be switched off"):
            NamedAdapters(base).add("full", tmp_path / "full", Full())

    def test_names(self, named: NamedAdapters, renderer: Renderer, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="an adapter is called a already"):
            named.add("a", tmp_path / "a", LoRA())
        for ask in (named.use, named.remove, lambda name: named.generate(renderer, requests(1), GREEDY, [name])):
            with pytest.raises(LuthierError, match="aa: no such adapter; did you mean a"):
                ask("aa")

    def test_what_does_not_fit_leaves_the_others_as_they_were(self, named: NamedAdapters, tmp_path: Path) -> None:
        before = says(named.model)
        wider = AutoModelForCausalLM.from_pretrained(tiny_model("llama", tmp_path / "wide", context=128))
        wider.config.hidden_size = 128  # what the saved adapter says of its base
        path = saved(LoRA(), wider, tmp_path / "b")
        with pytest.raises(LuthierError, match="trained on another model"):
            named.add("b", path, LoRA())
        config = (tmp_path / "a" / "adapter_config.json").read_text(encoding="utf-8")
        (tmp_path / "a" / "adapter_config.json").write_text(config.replace('"r": 2', '"r": 5'), encoding="utf-8")
        with pytest.raises(LuthierError, match="trained on another model"):
            named.add("c", tmp_path / "a", LoRA())
        assert named.names == ("a",) and named.active == "a"
        assert torch.equal(says(named.model), before)
        assert list(named.model.peft_config) == ["adapter000000"]

    def test_a_folder_that_says_nothing(self, named: NamedAdapters, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(LuthierError, match="nothing says which method"):
            named.add("b", tmp_path / "empty")
