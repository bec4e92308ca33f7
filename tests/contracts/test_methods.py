"""One suite over every cell of the matrix of methods: a new entry of `registry.METHODS` is tested without another
line. What a method's class claims of a family of models is what is tested here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from luthier.core.errors import LuthierError
from luthier.methods.method import Method, refuse_misfit, trainable
from luthier.models.families import FAMILIES
from luthier.models.forward import inference, scored_logits
from luthier.models.row_adapters import BASE, answered_by
from luthier.objectives.supervised import Supervised
from tests.contracts.cells import Cell, all_cells, as_parameters, disturbed, working
from tests.families import attach_to, family_batch, family_data, family_model, family_rows, logits
from tests.training.small import (
    ALWAYS,
    Fitted,
    InterruptionError,
    attached,
    differing,
    fit,
    sequences,
    supervised_data,
    weights,
)

STEPS = 15


def rate(method: Method, model: Any) -> float:
    return method.learning_rate(sum(parameter.numel() for parameter in model.parameters()))


def fitted(cell: Cell, **settings: Any) -> Fitted:
    """A short training in padded batches at the suggested rate."""
    model = attach_to(cell.family, cell.method)
    data = family_data(model, family_rows(cell.family, 16))
    suggested = rate(cell.method, model)
    return fit(model, data, cell.method, learning_rate=suggested, steps=STEPS, validations=0, **settings)


Weights = dict[str, torch.Tensor]
Case = tuple[Cell, Weights, Fitted]
AFTER: dict[str, Weights] = {}
"""The weights of a cell at the end of its training: an evaluation may write into them (CPT's projection)."""


@pytest.fixture(scope="module", params=as_parameters(working()))
def case(request: pytest.FixtureRequest) -> Case:
    """The cell, its weights before, and a short training."""
    cell = request.param
    before, trained = weights(attach_to(cell.family, cell.method)), fitted(cell)
    AFTER.clear()
    AFTER[str(cell)] = weights(trained.model)
    return cell, before, trained


def asked(cell: Cell) -> Any:
    return family_rows(cell.family, 4, seed=1)


def test_says_what_it_is(case: Case) -> None:
    method = case[0].method
    assert method.moves and method.belongs_to
    assert 0 < method.learning_rate(10**12) <= method.learning_rate(10**6) < 1
    assert method.added_positions >= 0
    assert 0 < method.merge_tolerance <= 1e-2
    assert all(0 < share < 1 for share in method.falls.values())


def test_begins_at_the_base_where_it_says_so(case: Case) -> None:
    cell = case[0]
    model = family_model(cell.family)
    before = logits(model, asked(cell))
    torch.manual_seed(0)
    after = logits(cell.method.attach(model, None), asked(cell))
    assert torch.allclose(before, after, atol=1e-5) == cell.method.starts_at_base


def test_the_loss_falls(case: Case) -> None:
    losses = case[2].losses
    assert sum(losses[-3:]) / 3 < sum(losses[:2]) / 2


def test_only_what_is_trainable_moves_and_all_of_it_does(case: Case) -> None:
    _, before, trained = case
    moved = {name for name, value in weights(trained.model).items() if not torch.equal(value, before[name])}
    assert moved == {name for name, parameter in trained.model.named_parameters() if parameter.requires_grad}
    assert moved


def test_what_is_saved_is_what_was_trained_and_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    cell, _, trained = case
    cell.method.save(trained.model, tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".md"}
    saved = 0
    for path in tmp_path.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            names = set(file.keys()) - {"final_logits_bias"}  # BART's, which is no weight
            saved += sum(file.get_tensor(name).numel() for name in names)
    assert saved == cell.method.stored(trained.model)
    fresh = family_model(cell.family)
    untrained = logits(fresh, asked(cell))
    loaded = cell.method.load(fresh, tmp_path)
    assert furthest(logits(loaded, asked(cell)), logits(trained.model, asked(cell))) <= 1e-5
    assert not torch.allclose(logits(loaded, asked(cell)), untrained, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_merging_keeps_the_logits(case: Case, tmp_path: Path) -> None:
    cell, _, trained = case
    if why := cell.merge_refusal:
        assert_a_sentence(why)
        return
    cell.method.save(trained.model, tmp_path)
    model = cell.method.load(family_model(cell.family), tmp_path)
    expected = logits(model, asked(cell))
    merged = cell.method.merge(model)
    assert type(merged) is type(family_model(cell.family))
    assert merged.state_dict().keys() == family_model(cell.family).state_dict().keys()
    assert furthest(logits(merged, asked(cell)), expected) <= cell.method.merge_tolerance


def test_disabling_gives_the_base_and_switching_leaks_nothing(case: Case, tmp_path: Path) -> None:
    cell, method = case[0], case[0].method
    if method.switching == "never":
        return
    expected = {}
    for seed, name in enumerate(("first", "second")):
        model = disturbed(cell, seed)
        method.save(model, tmp_path / name)
        alone = method.load(family_model(cell.family), tmp_path / name, name)
        expected[name] = logits(alone, asked(cell))
    plain = logits(reference_of(cell), asked(cell))
    model = method.load(family_model(cell.family), tmp_path / "first", "first")
    model = method.load(model, tmp_path / "second", "second")
    for name in ("first", "second", "first"):
        method.switch(model, name)
        assert torch.equal(logits(model, asked(cell)), expected[name])
        if not case_has_head(cell):  # an encoder without the adapter's head answers nothing
            with method.disabled(model):
                assert torch.equal(logits(model, asked(cell)), plain)
    assert not torch.allclose(expected["first"], expected["second"], atol=1e-4)


def reference_of(cell: Cell) -> Any:
    """The model that a disabled method is to answer as: the base, or what the method makes of it for good."""
    return cell.method.base_of(family_model(cell.family))


def case_has_head(cell: Cell) -> bool:
    return FAMILIES[cell.family] == "encoder"


def test_flat_is_honest(case: Case) -> None:
    """Of soft prompts in float64: at rates as high as theirs, rounding in float32 grows to 2e-3 in fifteen steps."""
    cell, _, padded = case
    method = cell.method
    if not method.flat or cell.family != "llama":
        return  # one family will do: encoders and encoder-decoders have tests of their own
    rows, held = sequences(16), sequences(4, seed=1)
    prompt = method.belongs_to == "soft prompt"
    suggested = rate(method, padded.model)

    def trained(*, flat: bool) -> Fitted:
        model = attached(method).to(torch.float64 if prompt else torch.float32)
        data = supervised_data(rows, flat=flat)
        return fit(model, data, method, learning_rate=suggested, steps=STEPS, validations=0)

    flat, padded = trained(flat=True), trained(flat=False) if prompt else padded
    assert flat.losses == pytest.approx(padded.losses, abs=1e-5 if prompt else 1e-3)
    close = 1e-4 if prompt else 5e-3
    torch.testing.assert_close(logits(flat.model, held), logits(padded.model, held), atol=close, rtol=close)


def test_gradients_flow_after_an_evaluation(case: Case) -> None:
    cell = case[0]
    model = attach_to(cell.family, cell.method)
    batch = family_batch(model, asked(cell))
    with inference(model):
        scored_logits(model, batch)
    model.train()
    Supervised().loss(model, batch).backward()
    assert all(parameter.grad is not None for parameter in trainable(model))
    assert any(bool(parameter.grad.abs().sum() > 0) for parameter in trainable(model))


def test_an_interrupted_training_goes_on_bit_for_bit(case: Case, tmp_path: Path) -> None:
    """Ended after nine of the fifteen steps, before the checkpoint of the ninth is written, and taken up again: so
    one seed repeats as well."""
    cell, _, trained = case
    places = {"checkpoints": tmp_path / "checkpoint", "checkpoint_minutes": ALWAYS}
    with pytest.raises(InterruptionError):
        fitted(cell, interrupt_at=9, **places)
    resumed = fitted(cell, **places)
    assert resumed.losses == trained.losses[8:]
    assert not differing(weights(resumed.model), AFTER[str(cell)])


def test_parameter_groups_hold_every_trainable_weight_once(case: Case) -> None:
    cell = case[0]
    model = attach_to(cell.family, cell.method)
    groups = cell.method.parameter_groups(model, 1e-3)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in trainable(model))
    assert all(group["lr"] > 0 for group in groups)


def test_another_base_is_refused(case: Case, tmp_path: Path) -> None:
    """Of another family, of another width, and a folder without the weights."""
    cell, _, trained = case
    cell.method.save(trained.model, tmp_path)
    other = next(name for name in FAMILIES if FAMILIES[name] == FAMILIES[cell.family] and name != cell.family)
    with pytest.raises(LuthierError) as told:
        cell.method.load(family_model(other), tmp_path)
    assert told.value.exit_code == 2 and told.value.mend
    for path in tmp_path.rglob("*.safetensors"):
        path.unlink()
    with pytest.raises(LuthierError) as told:
        cell.method.load(family_model(cell.family), tmp_path)
    assert told.value.exit_code == 2 and told.value.mend


def test_weights_of_another_size_are_refused(case: Case, tmp_path: Path) -> None:
    """As of another rank: one of the saved tensors is a row longer than the settings beside it say."""
    cell, _, trained = case
    cell.method.save(trained.model, tmp_path)
    path = next(iter(sorted(tmp_path.rglob("*.safetensors"))))
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    name = next(name for name in sorted(tensors) if tensors[name].ndim and len(tensors[name]))
    tensors[name] = torch.cat([tensors[name], tensors[name][-1:]])
    save_file(tensors, path, metadata)
    with pytest.raises(LuthierError) as told:
        cell.method.load(family_model(cell.family), tmp_path)
    assert told.value.exit_code == 2 and told.value.mend


def test_a_target_that_matches_nothing_is_refused(case: Case) -> None:
    cell = case[0]
    if "targets" not in type(cell.method).model_fields:
        return
    try:
        lost = type(cell.method)(**{**cell.method.model_dump(exclude_unset=True), "targets": ("no_such_module",)})
    except ValidationError:
        return  # refused at reading: this type takes no targets
    with pytest.raises(LuthierError, match="no_such_module") as told:
        lost.attach(family_model(cell.family), None)
    assert told.value.mend


@pytest.mark.parametrize("cell", [cell for cell in all_cells() if cell.refusal], ids=str)
def test_what_cannot_work_says_why(cell: Cell) -> None:
    assert cell.refusal is not None
    assert_a_sentence(cell.refusal)
    with pytest.raises(LuthierError) as told:
        refuse_misfit(cell.method, FAMILIES[cell.family], cell.family, "arm x")
    assert cell.refusal in str(told.value)


def test_each_row_of_a_batch_is_answered_by_its_own(case: Case, tmp_path: Path) -> None:
    """Two adapters and the base in one batch, against each row by itself."""
    cell, method = case[0], case[0].method
    if method.switching_on(FAMILIES[cell.family]) != "row":
        return
    model = family_model(cell.family)
    for seed, name in enumerate(("first", "second")):
        method.save(disturbed(cell, seed), tmp_path / name)
        model = method.load(model, tmp_path / name, name)
    rows, names = list(asked(cell)), ["first", "second", "first", BASE]
    with answered_by(model, names):
        together = logits(model, rows)
    apart = []
    for row, name in zip(rows, names, strict=True):
        if name == BASE:
            with method.disabled(model):
                apart.append(logits(model, [row]))
        else:
            method.switch(model, name)
            apart.append(logits(model, [row]))
    assert furthest(together, torch.cat(apart)) <= 1e-5


def furthest(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return float((one - other).abs().max() / other.abs().max())


def assert_a_sentence(text: str) -> None:
    assert len(text.split()) >= 4 and "\n" not in text and not text.endswith(".")


def test_no_cell_is_claimed_that_is_not_tested() -> None:
    """What `luthier methods` prints against what is tested here."""
    from luthier.method_matrix import as_data

    claimed = {
        f"{row['method']}-{family}" for row in as_data() for family, cell in row["cells"].items() if cell["trains"]
    }
    assert claimed == {str(cell) for cell in working()}
    json.dumps(as_data())


def test_a_fair_sample_is_in_the_fast_tests() -> None:
    parameters = as_parameters(working())
    fast = [one.values[0] for one in parameters if not any(mark.name == "slow" for mark in one.marks)]
    assert {cell.row.name for cell in fast} == {cell.row.name for cell in working()}
    every = {cell.row.label() for cell in working() if cell.row.name != "peft"}
    assert every <= {cell.row.label() for cell in fast}
    if len(fast) >= len(FAMILIES):
        assert {cell.family for cell in fast} == set(FAMILIES)
