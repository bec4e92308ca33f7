"""Several adapters in one model: loaded by name, switched, told apart by the rows of a batch, and one on another."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from luthier.core.errors import LuthierError
from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.compacter import Compacter
from luthier.methods.method import Method, trainable
from luthier.models.families import FAMILIES
from luthier.models.head import train_head
from luthier.models.row_adapters import BASE, answered_by
from tests.families import attach_to, family_data, family_model, family_rows, logits
from tests.training.small import fit

METHODS: dict[str, Method] = {
    "pfeiffer": Adapter(),
    "houlsby": Adapter(placement="houlsby"),
    "parallel": Adapter(placement="parallel"),
    "compacter": Compacter(),
}
every_family = pytest.mark.parametrize("family", FAMILIES)


def saved(family: str, method: Method, folder: Path, seed: int = 0) -> Path:
    """An adapter with large weights, its head's too."""
    model = attach_to(family, method, seed=seed)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.normal_(std=0.5)
    method.save(model, folder)
    return folder


def both(family: str, folder: Path) -> tuple[Any, dict[str, torch.Tensor], list[Any]]:
    """A model with two adapters of different placements, what each answers alone, and the rows that it is asked."""
    rows = list(family_rows(family, 4, seed=1))
    alone = {BASE: logits(family_model(family), rows)}
    model = family_model(family)
    for seed, (name, method) in enumerate({"a.b": METHODS["pfeiffer"], "keys": METHODS["houlsby"]}.items()):
        kept = saved(family, method, folder / name, seed)
        alone[name] = logits(method.load(family_model(family), kept), rows)
        method.load(model, kept, name)
    return model, alone, rows


@every_family
def test_switched_to_and_fro_nothing_leaks(family: str, tmp_path: Path) -> None:
    model, alone, rows = both(family, tmp_path)
    method = METHODS["pfeiffer"]
    assert float((alone["a.b"] - alone["keys"]).abs().max()) > 0.1
    for name in ("a.b", "keys", "a.b"):
        method.switch(model, name)
        assert torch.equal(logits(model, rows), alone[name])
        with method.disabled(model):
            assert torch.equal(logits(model, rows), alone[BASE])
        assert torch.equal(logits(model, rows), alone[name])
    assert torch.equal(logits(copy.deepcopy(model), rows), alone["a.b"])


@every_family
def test_each_row_has_its_own_adapter(family: str, tmp_path: Path) -> None:
    model, alone, rows = both(family, tmp_path)
    names = ["keys", BASE, "a.b", "keys"]
    with answered_by(model, names):
        found = logits(model, rows)
    counts = [len(logits(family_model(family), [row])) for row in rows]
    assert sum(counts) == len(found)
    for place, name in enumerate(names):
        here = slice(sum(counts[:place]), sum(counts[: place + 1]))
        torch.testing.assert_close(found[here], alone[name][here], atol=1e-5, rtol=1e-5)


def test_rows_that_leave_take_their_names_with_them(tmp_path: Path) -> None:
    model, alone, rows = both("llama", tmp_path)
    names = ["keys", "a.b", BASE, BASE]
    with answered_by(model, names):
        logits(model, rows)
        names[:] = ["a.b"]
        count = len(logits(family_model("llama"), rows[:1]))
        torch.testing.assert_close(logits(model, rows[:1]), alone["a.b"][:count], atol=1e-5, rtol=1e-5)
        names[:] = ["a.b", "keys", "a.b"]
        with pytest.raises(RuntimeError, match="3 adapters"):
            logits(model, rows)


def test_a_name_that_is_not_there_and_one_that_is_taken(tmp_path: Path) -> None:
    model, *_ = both("llama", tmp_path)
    with pytest.raises(LuthierError, match=r"there are __base__, a.b, keys"):
        METHODS["pfeiffer"].switch(model, "other")
    with pytest.raises(LuthierError, match="already"):
        METHODS["pfeiffer"].load(model, tmp_path / "a.b", "keys")


def test_what_is_refused_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    model, alone, rows = both("bert", tmp_path)
    names = set(model.state_dict())
    broken = saved("bert", METHODS["pfeiffer"], tmp_path / "broken")
    about = json.loads((broken / "adapter.json").read_text())
    about["settings"]["reduction"] = 4
    (broken / "adapter.json").write_text(json.dumps(about))
    with pytest.raises(LuthierError, match="not those"):
        METHODS["pfeiffer"].load(model, broken, "third")
    assert set(model.state_dict()) == names
    assert torch.equal(logits(model, rows), alone["keys"])
    compacter = saved("bert", METHODS["compacter"], tmp_path / "compacter")
    with pytest.raises(LuthierError, match="saved by compacter, not by adapter"):
        METHODS["pfeiffer"].load(model, compacter, "third")
    with pytest.raises(LuthierError, match="no such file"):
        METHODS["pfeiffer"].load(model, tmp_path / "nowhere", "third")


@pytest.mark.parametrize("family", ["bert", "bloom", "bart"])
@pytest.mark.parametrize("kind", METHODS)
def test_a_second_stage_stands_on_the_first(family: str, kind: str, tmp_path: Path) -> None:
    method, rows = METHODS[kind], family_rows(family, 4, seed=1)
    first = saved(family, method, tmp_path / "first")
    loaded = method.load(family_model(family), first)
    alone = logits(loaded, rows)
    model = method.settle(loaded, first)
    assert method.leads_on and torch.equal(logits(model, rows), alone)
    torch.manual_seed(1)
    model = train_head(method.attach(model, None))
    before = {name: value.clone() for name, value in model.named_parameters()}
    fit(model, family_data(model, family_rows(family, 8)), method, learning_rate=1e-2, steps=2, validations=0)
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {name for name, value in model.named_parameters() if value.requires_grad}
    second = tmp_path / "second"
    method.save(model, second)
    # The upper one alone is saved, and it wants the lower one below it.
    assert {name: value.shape for name, value in load_file(second / "adapter.safetensors").items()} == {
        name: value.shape for name, value in load_file(first / "adapter.safetensors").items()
    }
    with pytest.raises(LuthierError, match="on top of"):
        method.load(family_model(family), second)
    again = method.load(method.settle(method.load(family_model(family), first), first), second)
    assert torch.equal(logits(again, rows), logits(model, rows))
    with method.disabled(again):
        assert torch.equal(logits(again, rows), alone)


@pytest.mark.parametrize("kind", METHODS)
def test_by_name_of_the_folder_it_is_the_same(kind: str, tmp_path: Path) -> None:
    method, rows = METHODS[kind], family_rows("gpt2", 4, seed=1)
    first = saved("gpt2", method, tmp_path / "first")
    above = method.model_copy(update={"on": (str(first),)})
    model = attach_to("gpt2", above)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.normal_(std=0.3)
    above.save(model, tmp_path / "second")
    loaded = above.load(family_model("gpt2"), tmp_path / "second")
    assert torch.equal(logits(loaded, rows), logits(model, rows))
    with above.disabled(loaded):
        assert torch.equal(logits(loaded, rows), logits(family_model("gpt2"), rows))
    # Another adapter in that folder is another study's, and no longer what the upper one was trained on.
    digest = above.digest()
    saved("gpt2", method, first, seed=5)
    assert above.digest() != digest
    with pytest.raises(LuthierError, match="on top of"):
        above.load(family_model("gpt2"), tmp_path / "second")


def test_what_is_removed_is_gone_with_what_only_it_stood_on(tmp_path: Path) -> None:
    model, alone, rows = both("bert", tmp_path)
    names = set(model.state_dict())
    above = Adapter(on=(str(tmp_path / "a.b"),))
    above.load(model, saved("bert", above, tmp_path / "above"), "third")
    assert set(model.state_dict()) != names
    assert above.remove(model, "third") is model
    assert set(model.state_dict()) == names
    assert torch.equal(logits(model, rows), alone[BASE])
    above.switch(model, "keys")
    above.remove(model, "a.b")
    assert torch.equal(logits(model, rows), alone["keys"])
    above.remove(model, "keys")
    assert set(model.state_dict()) == set(family_model("bert").state_dict())


def test_merging_is_refused(tmp_path: Path) -> None:
    for method in METHODS.values():
        assert not method.mergeable and method.merge_refusal("decoder", "llama")
        with pytest.raises(LuthierError, match="cannot be merged"):
            method.merge(attach_to("llama", method))
