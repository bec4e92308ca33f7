"""The Fisher mask: which entries are chosen, that they alone move, and what becomes of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from luthier.core.errors import LuthierError
from luthier.methods.method import trainable
from luthier.methods.selective.fisher_mask import FisherMask, fisher_information
from luthier.methods.selective.sparse_update import UPDATE, positions
from luthier.models.anatomy import anatomy_of
from luthier.models.flat import use_flat_attention
from luthier.models.head import head_weights
from luthier.objectives.supervised import Supervised
from luthier.planner.ledger import GRADIENTS
from luthier.planner.step import Way, trace
from luthier.planner.subject import rows
from tests.families import attach_to, family_batch, family_data, family_model, family_rows, logits
from tests.golden.test_lora_counts import llama
from tests.planner.small import subject
from tests.training.small import ALWAYS, InterruptionError, fit, sequences, supervised_data, weights

METHOD = FisherMask(share=0.01, examples=6)


def entries(model: Any) -> torch.Tensor:
    """The matrices within the layers of a plain model, flattened, one after the other."""
    return torch.cat([model.get_submodule(name).weight.detach().flatten() for name in anatomy_of(model).linears])


def trained(family: str, method: FisherMask = METHOD, steps: int = 4, **settings: Any) -> Any:
    model = attach_to(family, method)
    fit(model, family_data(model, family_rows(family, 16)), method, steps=steps, validations=0, **settings)
    return model


@pytest.mark.parametrize("family", ["gpt2", "t5", "roberta"])
def test_it_is_the_mean_over_examples_of_their_squared_gradients(family: str) -> None:
    examples = family_rows(family, 12)
    model = attach_to(family, METHOD)
    data = family_data(model, examples)
    found = fisher_information(model, data, Supervised(), 6)
    plain = family_model(family)
    first = [name for batch in data.step(0, 0) for name in batch.example_ids][:6]
    matrices = [plain.get_submodule(name).weight for name in anatomy_of(plain).linears]
    squares = []
    for name in first:
        (row,) = [row for row in examples if row.example_id == name]
        gradients = torch.autograd.grad(Supervised().loss(plain, family_batch(plain, [row])), matrices)
        squares.append(torch.cat([gradient.flatten() for gradient in gradients]).square())
    torch.testing.assert_close(found, torch.stack(squares).mean(0), rtol=1e-3, atol=1e-6)
    METHOD.survey(model, data, Supervised())
    count = round(0.01 * len(found))
    chosen = positions(model)
    assert len(chosen) == count == getattr(model, UPDATE).numel()
    assert float(found[chosen].min()) >= float(found[torch.isin(torch.arange(len(found)), chosen, invert=True)].max())


def test_flat_rows_are_taken_apart_as_padded_ones_are() -> None:
    found = []
    for flat in (True, False):
        model = attach_to("llama", METHOD)
        use_flat_attention(model)
        data = supervised_data(sequences(12), batch_size=12, flat=flat)
        found.append(fisher_information(model, data, Supervised(), 12))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-6)


def test_a_training_set_smaller_than_asked_for_is_read_once() -> None:
    model = attach_to("llama", METHOD)
    data = family_data(model, family_rows("llama", 10))
    assert torch.equal(
        fisher_information(model, data, Supervised(), 10), fisher_information(model, data, Supervised(), 999)
    )


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "bart"])
def test_exactly_so_many_entries_move_and_they_are_those_chosen(family: str) -> None:
    base = entries(family_model(family))
    model = trained(family)
    count, chosen = round(0.01 * len(base)), positions(model)
    heads = sum(value.numel() for value in head_weights(model).values())
    assert sum(value.numel() for value in trainable(model)) == count + heads
    merged = METHOD.merge(model)
    assert torch.equal((entries(merged) != base).nonzero().flatten(), chosen)
    assert merged.state_dict().keys() == family_model(family).state_dict().keys()
    others = {f"{name}.weight" for name in anatomy_of(merged).linears} | set(head_weights(merged))
    before = weights(family_model(family))
    assert all(torch.equal(value, before[name]) for name, value in weights(merged).items() if name not in others)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_merged_and_loaded_it_answers_to_the_bit_as_it_was_trained(family: str, tmp_path: Path) -> None:
    asked = family_rows(family, 4, seed=1)
    model = trained(family)
    said = logits(model, asked)
    METHOD.save(model, tmp_path)
    saved = load_file(tmp_path / "trained.safetensors")
    assert sum(value.numel() for value in saved.values()) == METHOD.stored(model)
    assert {value.dtype for value in saved.values()} == {torch.int32, torch.float32}
    assert torch.equal(logits(METHOD.merge(copy.deepcopy(model)), asked), said)
    base = family_model(family)
    untouched = logits(base, asked)
    # The share with which it is loaded does not matter: the folder holds its own.
    loaded = FisherMask().load(base, tmp_path)
    assert torch.equal(logits(loaded, asked), said)
    with METHOD.disabled(loaded):
        assert torch.equal(logits(loaded, asked), untouched)
    assert not torch.equal(said, untouched)
    assert torch.equal(logits(METHOD.merge(loaded), asked), said)
    with pytest.raises(LuthierError, match="no update in this model"):
        METHOD.save(loaded, tmp_path / "again")


def test_two_masks_switch_and_are_removed(tmp_path: Path) -> None:
    asked, methods = family_rows("gpt2", 4), {"few": METHOD, "many": FisherMask(share=0.3, examples=3)}
    said = {}
    for name, method in methods.items():
        model = trained("gpt2", method)
        said[name] = logits(model, asked)
        method.save(model, tmp_path / name)
    model = family_model("gpt2")
    before = weights(model)
    for name in methods:
        model = METHOD.load(model, tmp_path / name, name)
    for name in ("few", "many", "few"):
        METHOD.switch(model, name)
        assert torch.equal(logits(model, asked), said[name])
    model = METHOD.remove(METHOD.remove(model, "few"), "many")
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_the_same_twice_and_after_an_interruption(tmp_path: Path) -> None:
    whole = trained("llama", steps=6)
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(trained("llama", steps=6)).items())
    with pytest.raises(InterruptionError):
        trained("llama", steps=6, checkpoints=tmp_path, interrupt_at=4, checkpoint_minutes=ALWAYS)
    resumed = trained("llama", steps=6, checkpoints=tmp_path, checkpoint_minutes=ALWAYS)
    assert torch.equal(positions(resumed), positions(whole))
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(resumed).items())


def test_a_checkpoint_holds_where_the_update_stands() -> None:
    model, other = trained("gpt2"), attach_to("gpt2", METHOD)
    assert not torch.equal(positions(model), positions(other))
    METHOD.restore(other, METHOD.state(model))
    assert torch.equal(positions(model), positions(other))
    with torch.no_grad():
        getattr(other, UPDATE).copy_(getattr(model, UPDATE))
    asked = family_rows("gpt2", 4)
    assert torch.equal(logits(model, asked), logits(other, asked))


def test_before_it_has_seen_data_it_stands_evenly_spaced_and_changes_nothing() -> None:
    model = attach_to("gpt2", FisherMask(share=0.25))
    places = positions(model)
    assert torch.equal(places, torch.arange(len(entries(family_model("gpt2"))) // 4) * 4)
    asked = family_rows("gpt2", 4)
    assert torch.equal(logits(model, asked), logits(family_model("gpt2"), asked))


def test_it_is_planned_with_as_many_weights_as_it_trains(tmp_path: Path) -> None:
    found = subject(tmp_path)
    traced = trace(found, Way(METHOD), rows(found, count=4, length=32), Supervised())
    assert traced.trained == round(0.01 * 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48))
    assert traced.peaks["clip"][GRADIENTS] == 4 * traced.trained


def test_another_base_or_a_changed_file_is_refused(tmp_path: Path) -> None:
    method = FisherMask(share=0.01)
    method.save(method.attach(llama(), None), tmp_path)
    for base in (
        llama(hidden_size=32),
        llama(num_hidden_layers=1),
        llama(intermediate_size=256),
        llama_without_a_gate(),
    ):
        with pytest.raises(LuthierError, match="trained on another model"):
            method.load(base, tmp_path)
    path = tmp_path / "trained.safetensors"
    whole = load_file(path)
    name = "model.layers.0.mlp.up_proj"
    far = {f"{name}.places": whole[f"{name}.places"] + 64 * 128}
    short = {f"{name}.{part}": whole[f"{name}.{part}"][1:] for part in ("places", "update")}
    uneven = {f"{name}.update": whole[f"{name}.update"][1:]}
    for odd in (far, short, uneven, {"lm_head.update": torch.zeros(1)}):
        save_file(whole | odd, path)
        with pytest.raises(LuthierError, match="holds other weights than fisher_mask trains"):
            method.load(llama(), tmp_path)
    save_file(whole, path)
    assert json.loads((tmp_path / "trained.json").read_text())["settings"] == {"share": 0.01, "examples": 128}
    method.load(llama(), tmp_path)


def llama_without_a_gate() -> Any:
    """Of the same type, depth and width, with one matrix fewer."""
    model = llama()
    model.model.layers[1].mlp.gate_proj = torch.nn.Identity()
    return model
