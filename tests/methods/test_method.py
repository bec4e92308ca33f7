"""What the methods share, and what each has of its own; what holds for all of them is in tests/contracts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.methods.additive.llama_adapter import LlamaAdapter
from luthier.methods.full import Full
from luthier.methods.method import Method, rate_between, trainable
from luthier.methods.none import NoMethod
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.reparameterised.qlora import QLoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from tests.families import attach_to, family_model, family_rows, logits
from tests.models.decoders import decoder
from tests.tiny import tiny_tokenizer


class TestRate:
    def test_through_both_points_and_on_the_log_log_line_between(self) -> None:
        assert rate_between(100, (100, 1e-2), (10_000, 1e-4)) == 1e-2
        assert rate_between(10_000, (100, 1e-2), (10_000, 1e-4)) == 1e-4
        assert rate_between(1000, (100, 1e-2), (10_000, 1e-4)) == 1e-3

    def test_constant_beyond(self) -> None:
        assert rate_between(0, (100, 1e-2), (10_000, 1e-4)) == 1e-2
        assert rate_between(10**12, (100, 1e-2), (10_000, 1e-4)) == 1e-4

    def test_suggestions(self) -> None:
        assert [Full().learning_rate(size) for size in (5_800_000, 7_000_000_000)] == [1e-3, 1e-5]
        assert [LoRA().learning_rate(size) for size in (5_800_000, 7_000_000_000)] == [3e-3, 2e-4]
        assert PromptTuning().learning_rate(5_800_000) == 0.3


class TestLoRA:
    def test_at_first_nothing_changes(self) -> None:
        ids = torch.arange(20, 40)[None]
        base = decoder("llama")
        with torch.no_grad():
            before = base(input_ids=ids).logits
            assert torch.equal(LoRA().attach(base, None)(input_ids=ids).logits, before)

    def test_every_linear_layer_but_the_head(self) -> None:
        model = LoRA(rank=2).attach(decoder("llama"), None)
        adapted = {name.partition(".lora_")[0] for name, p in model.named_parameters() if p.requires_grad}
        layers = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
        assert {name.rpartition(".")[2] for name in adapted} == set(layers)
        assert len(adapted) == 2 * len(layers)

    def test_the_scale_is_alpha_over_rank_and_two_by_default(self) -> None:
        for settings, scale in ((LoRA(rank=16), 2.0), (LoRA(rank=4, alpha=2.0), 0.5)):
            model = settings.attach(decoder("llama"), None)
            layer = model.base_model.model.model.layers[0].self_attn.q_proj
            assert layer.scaling["default"] == scale

    def test_one_name_is_a_name_and_no_expression(self) -> None:
        one, list_of_one = (LoRA(targets=targets).attach(decoder("llama"), None) for targets in ("q_proj", ("q_proj",)))
        adapted = {name for name, parameter in one.named_parameters() if parameter.requires_grad}
        assert len(adapted) == 2 * 2 and all("q_proj" in name for name in adapted)
        assert adapted == {name for name, parameter in list_of_one.named_parameters() if parameter.requires_grad}

    def test_layers_that_are_not_there_are_the_users_mistake(self) -> None:
        with pytest.raises(LuthierError, match="q_porj") as caught:
            LoRA(targets=("q_porj",)).attach(decoder("llama"), None)
        assert caught.value.exit_code == 2

    def test_the_seed_decides_what_is_drawn(self) -> None:
        drawn = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            model = LoRA().attach(decoder("llama"), None)
            drawn.append(next(p for name, p in model.named_parameters() if "lora_A" in name))
        assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


class TestPromptTuning:
    def embedding(self, method: PromptTuning, tokenizer: object = None) -> torch.Tensor:
        torch.manual_seed(0)
        model = method.attach(decoder("llama"), tokenizer)
        (parameter,) = [p for p in model.parameters() if p.requires_grad]
        return parameter.detach()

    def test_from_the_vocabulary_each_row_is_a_tokens_embedding(self) -> None:
        table = decoder("llama").get_input_embeddings().weight
        rows = self.embedding(PromptTuning(virtual_tokens=5))
        assert rows.shape == (5, 64)
        assert all(bool((table == row).all(-1).any()) for row in rows)

    def test_from_a_text_its_tokens_repeated(self, tmp_path: Path) -> None:
        tiny_tokenizer().save_pretrained(tmp_path)
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(tmp_path)
        text = "the dog"
        ids = tokenizer(text)["input_ids"]
        method = PromptTuning(virtual_tokens=len(ids) + 1, initialise="text", text=text)
        rows = self.embedding(method, tokenizer)
        table = decoder("llama").get_input_embeddings().weight
        assert torch.equal(rows, table[[*ids, ids[0]]])

    def test_at_random(self) -> None:
        table = decoder("llama").get_input_embeddings().weight
        rows = self.embedding(PromptTuning(virtual_tokens=3, initialise="random"))
        assert not any(bool((table == row).all(-1).any()) for row in rows)

    @pytest.mark.parametrize("settings", [{"initialise": "text"}, {"text": "x"}, {"initialise": "text", "text": ""}])
    def test_a_text_and_its_use_go_together(self, settings: dict[str, str]) -> None:
        with pytest.raises(LuthierError, match="go together"):
            read(PromptTuning, settings, where="study.yaml")

    def test_it_takes_positions_for_itself(self) -> None:
        assert PromptTuning(virtual_tokens=7).added_positions == 7
        assert LoRA().added_positions == Full().added_positions == NoMethod().added_positions == 0


@pytest.mark.parametrize(
    ("method", "family"),
    [(LoRA(), "roberta"), (PromptTuning(), "bert"), (LlamaAdapter(), "llama"), (QLoRA(), "llama")],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_what_was_removed_leaves_the_base_and_can_come_back(method: Method, family: str, tmp_path: Path) -> None:
    model, rows = attach_to(family, method), family_rows(family, 2)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.add_(0.1)
    method.save(model, tmp_path)
    plain = logits(method.base_of(family_model(family)), rows)
    loaded = method.load(family_model(family), tmp_path, "one")
    said = logits(loaded, rows)
    base = method.remove(loaded, "one")
    assert torch.equal(logits(base, rows), plain) and not torch.equal(said, plain)
    assert torch.equal(logits(method.load(base, tmp_path, "two"), rows), said)


@pytest.mark.parametrize("method", [LoRA(), Full()], ids=["lora", "full"])
def test_a_damaged_file_is_named(method: Method, tmp_path: Path) -> None:
    method.save(method.attach(decoder("llama"), None), tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LuthierError, match="cannot be read"):
        method.load(decoder("llama"), tmp_path)


class TestFull:
    def test_weights_of_another_model_are_refused(self, tmp_path: Path) -> None:
        Full().save(decoder("llama"), tmp_path)
        with pytest.raises(LuthierError, match="another model's"):
            Full().load(decoder("gpt2"), tmp_path)

    def test_a_missing_weight_is_refused(self, tmp_path: Path) -> None:
        Full().save(decoder("llama"), tmp_path)
        (path,) = tmp_path.glob("*.safetensors")
        kept = {name: value for name, value in load_file(path).items() if "layers.1.mlp.up_proj" not in name}
        save_file(kept, path, metadata={"format": "pt"})
        with pytest.raises(LuthierError, match=r"layers\.1\.mlp\.up_proj"):
            Full().load(decoder("llama"), tmp_path)

    def test_tied_weights_stay_tied(self, tmp_path: Path) -> None:
        model = decoder("gpt2")
        with torch.no_grad():
            model.get_input_embeddings().weight.add_(1)
        Full().save(model, tmp_path)
        loaded = Full().load(decoder("gpt2"), tmp_path)
        assert loaded.get_input_embeddings().weight is loaded.get_output_embeddings().weight
        assert torch.equal(loaded.get_output_embeddings().weight, model.get_input_embeddings().weight)


def test_none_moves_nothing(tmp_path: Path) -> None:
    model = decoder("llama")
    assert NoMethod().attach(model, None) is model
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert NoMethod().load(model, tmp_path) is model
    assert NoMethod().merge(model) is model
