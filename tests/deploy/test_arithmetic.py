"""Arithmetic of trained weights, against sums that are written out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from luthier.cli import app
from luthier.core.errors import LuthierError
from luthier.deploy.arithmetic import combine, combine_updates
from luthier.deploy.trained import Origin, method_of
from luthier.methods.additive.adapter import Adapter
from luthier.methods.full import Full
from luthier.methods.method import Method, trainable
from luthier.methods.reparameterised.dora import DoRA
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.selective.fisher_mask import FisherMask
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.forward import inference
from luthier.models.head import Head
from luthier.models.load import find_model, load_model
from tests.tiny import tiny_model

IDS = torch.arange(20, 60).reshape(2, 20)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("llama", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def transposed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GPT-2 keeps its matrices the other way round."""
    return tiny_model("gpt2", tmp_path_factory.mktemp("gpt2"))


def saved(method: Method, model: Path, folder: Path, seed: int) -> Path:
    """Weights that say something of their own, as a study would have left them."""
    files = find_model(str(model))
    torch.manual_seed(seed)
    adapted = method.attach(load_model(files), None)
    with torch.no_grad():
        for weights in trainable(adapted):
            weights.add_(0.1 * torch.randn(weights.shape))
    method.save(adapted, folder)
    Origin(method=method, model=str(model), identity=files.digest).write(folder)
    return folder


def loaded(folder: Path, model: Path) -> Any:
    return method_of(folder).load(load_model(find_model(str(model))), folder)


def says(model: Any) -> torch.Tensor:
    with inference(model):
        return model(input_ids=IDS).logits.clone()


def update_of(folder: Path, model: Path) -> dict[str, torch.Tensor]:
    """What merging changes of the base's weights."""
    merged = method_of(folder).merge(loaded(folder, model)).state_dict()
    base = load_model(find_model(str(model))).state_dict()
    return {name: merged[name] - base[name] for name in base}


def with_update(model: Path, update: dict[str, torch.Tensor]) -> Any:
    base = load_model(find_model(str(model)))
    base.load_state_dict({name: value + update[name] for name, value in base.state_dict().items()})
    return base


@pytest.mark.parametrize("which", ["model", "transposed"])
@pytest.mark.parametrize("rslora", [False, True])
def test_a_sum_of_loras_is_the_sum_of_their_updates(
    which: str, rslora: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model = request.getfixturevalue(which)
    ranks, weights = (2, 5), (0.7, -0.4)
    folders = [saved(LoRA(rank=rank, rslora=rslora), model, tmp_path / str(rank), rank) for rank in ranks]
    first, second = (update_of(folder, model) for folder in folders)
    expected = says(with_update(model, {name: 0.7 * first[name] - 0.4 * second[name] for name in first}))
    exact = combine(folders, tmp_path / "sum", how="add", weights=weights)
    torch.testing.assert_close(says(loaded(exact, model)), expected, atol=1e-5, rtol=1e-5)
    assert method_of(exact).model_dump()["rank"] == 7
    cut = combine(folders, tmp_path / "cut", how="add", weights=weights, rank=7)
    torch.testing.assert_close(says(loaded(cut, model)), expected, atol=1e-4, rtol=1e-4)
    smaller = combine(folders, tmp_path / "smaller", how="add", weights=weights, rank=3)
    assert float((says(loaded(smaller, model)) - expected).abs().max()) > 1e-2
    assert method_of(smaller).model_dump()["rank"] == 3
    for folder in (exact, cut):
        assert not any((folder / name).exists() for name in ("adapter000000", "adapter000001"))


def test_linear_mixes_the_factors_and_is_no_sum(model: Path, tmp_path: Path) -> None:
    folders = [saved(LoRA(rank=2), model, tmp_path / str(seed), seed) for seed in range(2)]
    mixed = combine(folders, tmp_path / "linear", how="linear", weights=(1, 1))
    file = "adapter_model.safetensors"
    first, second, both = (load_file(folder / file) for folder in (*folders, mixed))
    assert all(torch.equal(both[name], first[name] + second[name]) for name in both)
    total = combine(folders, tmp_path / "sum", how="add")
    assert float((says(loaded(mixed, model)) - says(loaded(total, model))).abs().max()) > 1e-2


@pytest.mark.parametrize(
    "method",
    [LoRA(rank=3), LoRA(rank=3, rslora=True), Adapter(), PromptTuning(virtual_tokens=3), Full()],
    ids=lambda method: method.label(),
)
def test_the_average_of_one_with_itself_is_itself(method: Method, model: Path, tmp_path: Path) -> None:
    folder = saved(method, model, tmp_path / "one", 0)
    average = combine([folder, folder, folder], tmp_path / "average", weights=(2, 1, 1))
    torch.testing.assert_close(says(loaded(average, model)), says(loaded(folder, model)), atol=1e-5, rtol=1e-5)
    assert type(method_of(average)) is type(method)


@pytest.mark.parametrize("method", [Adapter(), PromptTuning(virtual_tokens=3)], ids=lambda method: method.name)
def test_modules_and_prompts_are_averaged_parameter_by_parameter(method: Method, model: Path, tmp_path: Path) -> None:
    folders = [saved(method, model, tmp_path / str(seed), seed) for seed in range(3)]
    average = combine(folders, tmp_path / "average", how="average", weights=(1, 1, 2))
    (file,) = (path.name for path in average.glob("*.safetensors"))
    *several, mean = (load_file(folder / file) for folder in (*folders, average))
    assert mean.keys() == several[0].keys()
    for name, value in mean.items():
        expected = sum(share * one[name] for share, one in zip((0.25, 0.25, 0.5), several, strict=True))
        torch.testing.assert_close(value, expected)
    says(loaded(average, model))
    with pytest.raises(LuthierError, match=r"add is of updates.*\n.*\n.*average or linear"):
        combine(folders, tmp_path / "sum", how="add")


def test_whole_models_add_up_by_their_differences_from_the_base(model: Path, tmp_path: Path) -> None:
    folders = [saved(Full(), model, tmp_path / str(seed), seed) for seed in range(2)]
    base, first, second = (
        found.state_dict() for found in (load_model(find_model(str(model))), *(loaded(one, model) for one in folders))
    )
    total = loaded(combine(folders, tmp_path / "sum", how="add", weights=(0.5, 1)), model).state_dict()
    for name, value in total.items():
        expected = base[name] + 0.5 * (first[name] - base[name]) + (second[name] - base[name])
        torch.testing.assert_close(value, expected)


class TestTiesAndDare:
    first = torch.tensor([[4.0, -1.0, 0.5, 3.0], [0.1, -6.0, 2.0, 0.2]])
    second = torch.tensor([[-1.0, -5.0, 0.2, 1.0], [0.3, 2.0, 7.0, -0.1]])

    def test_ties_trims_elects_and_averages_those_that_agree(self) -> None:
        # The largest half of each: 4, 3, -6, 2 and -1, -5, 2, 7 (the first of the two ones of equal size).
        found = combine_updates("ties", [self.first, self.second], [1.0, 1.0], 0.5)
        sizes = found[0, 3], found[0, 0]  # -1 or 1 of the second was kept: they are of one size
        assert (float(sizes[0]), float(sizes[1])) in ((3.0, 4.0), (2.0, 4.0))
        rest = [float(found[place]) for place in ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3))]
        assert rest == [-5.0, 0.0, 0.0, -6.0, 4.5, 0.0]

    def test_dare_keeps_the_expectation(self) -> None:
        torch.manual_seed(0)
        ones = torch.ones(200, 200)
        found = combine_updates("dare_linear", [ones, ones], [0.5, 0.5], 0.25)
        assert set(found.unique().tolist()) == {0.0, 2.0, 4.0}
        assert float(found.mean()) == pytest.approx(1.0, abs=0.02)

    @pytest.mark.parametrize("how", ["ties", "dare_linear", "dare_ties"])
    def test_on_loras_it_is_their_updates_that_are_trimmed(self, how: str, model: Path, tmp_path: Path) -> None:
        folders = [saved(LoRA(rank=2), model, tmp_path / str(seed), seed) for seed in range(2)]
        updates = [update_of(folder, model) for folder in folders]
        full = combine(folders, tmp_path / "full", how=how, density=0.5, rank=64, seed=3)
        found = update_of(full, model)
        name = "model.layers.0.self_attn.q_proj.weight"
        if how == "ties":
            expected = combine_updates(how, [update[name] for update in updates], [1.0, 1.0], 0.5)
            # Merged weights are rounded, which may change what is the smallest that is kept.
            assert float(((found[name] - expected).abs() > 1e-4).float().mean()) < 0.01
        kept = float((found[name].abs() > 1e-5).float().mean())
        assert 0.5 <= kept < 0.85
        assert float(found["model.embed_tokens.weight"].abs().max()) == 0

    def test_the_seed_alone_decides(self, model: Path, tmp_path: Path) -> None:
        folders = [saved(Full(), model, tmp_path / str(seed), seed) for seed in range(2)]
        one, again, other = (
            says(loaded(combine(folders, tmp_path / f"{place}", how="dare_ties", seed=seed), model))
            for place, seed in (("x", 1), ("y", 1), ("z", 2))
        )
        assert torch.equal(one, again)
        assert not torch.allclose(one, other, atol=1e-3)


class TestWhatIsRefused:
    @pytest.fixture
    def lora(self, model: Path, tmp_path: Path) -> Path:
        return saved(LoRA(rank=2), model, tmp_path / "lora", 0)

    def test_another_base(self, lora: Path, transposed: Path, tmp_path: Path) -> None:
        other = saved(LoRA(rank=2), transposed, tmp_path / "other", 1)
        with pytest.raises(LuthierError, match="different models"):
            combine([lora, other], tmp_path / "out")
        with pytest.raises(LuthierError, match="trained on another model"):
            combine([lora, lora], tmp_path / "out", model=str(transposed))
        assert not (tmp_path / "out").exists()

    def test_another_method(self, lora: Path, model: Path, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="lora and adapter cannot be combined"):
            combine([lora, saved(Adapter(), model, tmp_path / "adapter", 1)], tmp_path / "out")

    def test_another_rank_or_size_where_it_matters(self, lora: Path, model: Path, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="different settings"):
            combine([lora, saved(LoRA(rank=3), model, tmp_path / "b", 1)], tmp_path / "out", how="linear")
        sizes = [saved(PromptTuning(virtual_tokens=size), model, tmp_path / str(size), 1) for size in (3, 4)]
        for folder in sizes:  # as if nothing were known of the settings
            Origin(method=PromptTuning(), model=str(model)).write(folder)
        with pytest.raises(LuthierError, match="is of another shape"):
            combine(sizes, tmp_path / "out")

    def test_what_is_more_than_a_product(self, model: Path, tmp_path: Path) -> None:
        folders = [saved(DoRA(rank=2), model, tmp_path / str(seed), seed) for seed in range(2)]
        with pytest.raises(LuthierError, match="more than a product of two matrices"):
            combine(folders, tmp_path / "out", how="add")

    def test_a_mean_of_places(self, model: Path, tmp_path: Path) -> None:
        one, again, other = (saved(FisherMask(), model, tmp_path / str(seed), seed) for seed in range(3))
        path = other / "trained.safetensors"
        weights = load_file(path)
        save_file({name: value + 1 if name.endswith("places") else value for name, value in weights.items()}, path)
        with pytest.raises(LuthierError, match="belong to different places"):
            combine([one, other], tmp_path / "out")
        mean = load_file(combine([one, again], tmp_path / "out") / "trained.safetensors")
        place = next(name for name in weights if name.endswith("places"))
        assert mean[place].equal(load_file(one / "trained.safetensors")[place])

    def test_heads_of_other_labels(self, model: Path, tmp_path: Path) -> None:
        folders = [saved(PromptTuning(), model, tmp_path / str(seed), seed) for seed in range(2)]
        for folder, labels in zip(folders, (("no", "yes"), ("yes", "no")), strict=True):
            Origin(method=PromptTuning(), head=Head("class", labels)).write(folder)
        with pytest.raises(LuthierError, match="different labels: no, yes and yes, no"):
            combine(folders, tmp_path / "out")

    def test_another_scale_in_what_pefts_own_configuration_says(self, model: Path, tmp_path: Path) -> None:
        folders = [saved(LoRA(rank=2, alpha=alpha), model, tmp_path / str(alpha), 0) for alpha in (2.0, 8.0)]
        for folder in folders:
            (folder / "method.json").unlink()
        with pytest.raises(LuthierError, match="different settings"):
            combine(folders, tmp_path / "out", how="linear")

    def test_a_damaged_file(self, lora: Path, model: Path, tmp_path: Path) -> None:
        other = saved(LoRA(rank=2), model, tmp_path / "other", 1)
        (other / "adapter_model.safetensors").write_bytes(b"no weights")
        with pytest.raises(LuthierError, match="cannot be read"):
            combine([lora, other], tmp_path / "out", how="linear")

    @pytest.mark.parametrize(
        ("settings", "what"),
        [
            ({"how": "sum"}, "sum: no such way"),
            ({"weights": (1.0,)}, "1 weights for 2"),
            ({"weights": (1.0, -1.0)}, "no average"),
            ({"density": 0.5}, "average keeps every entry"),
            ({"how": "ties", "density": 1.5}, "not a share"),
            ({"how": "linear", "rank": 4}, "no rank can be chosen"),
        ],
    )
    def test_settings(self, settings: dict[str, Any], what: str, lora: Path, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match=what):
            combine([lora, lora], tmp_path / "out", **settings)

    def test_one_alone_or_none_or_a_place_that_is_taken(self, lora: Path, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="nothing to combine it with"):
            combine([lora], tmp_path / "out")
        with pytest.raises(LuthierError, match="no trained weights are there"):
            combine([lora, tmp_path], tmp_path / "out")
        for taken in (lora, tmp_path / "new" / ".."):
            with pytest.raises(LuthierError, match="there already"):
                combine([lora, lora], taken)
        assert not (tmp_path / "new").exists()

    def test_weights_that_nothing_is_known_of(self, lora: Path, tmp_path: Path) -> None:
        save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
        with pytest.raises(LuthierError, match="nothing says which method"):
            combine([tmp_path, lora], tmp_path / "out")


def test_on_the_command_line(model: Path, tmp_path: Path) -> None:
    folders = [str(saved(PromptTuning(virtual_tokens=3), model, tmp_path / str(seed), seed)) for seed in range(2)]
    out = str(tmp_path / "out")
    answered = CliRunner().invoke(app, ["combine", *folders, "--out", out, "--weight", "3", "--weight", "1"])
    assert answered.exit_code == 0, answered.output
    first, second, mean = (
        load_file(Path(folder) / "adapter_model.safetensors")["prompt_embeddings"] for folder in (*folders, out)
    )
    torch.testing.assert_close(mean, 0.75 * first + 0.25 * second)


def test_an_adapter_of_pefts_own_is_known_by_its_configuration(model: Path, tmp_path: Path) -> None:
    folders = [saved(LoRA(rank=2), model, tmp_path / str(seed), seed) for seed in range(2)]
    for folder in folders:
        (folder / "method.json").unlink()
    average = combine(folders, tmp_path / "average", model=str(model))
    assert json.loads((average / "method.json").read_text())["method"]["lora"]["rank"] == 4
    with pytest.raises(LuthierError, match="not known"):
        combine(folders, tmp_path / "again")
