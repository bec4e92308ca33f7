"""AdapterHub's checkpoints: there and back, and what is refused. `tests/reference` compares the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from luthier.core.errors import LuthierError
from luthier.deploy.adapterhub import FAMILIES, read_adapterhub, write_adapterhub
from luthier.deploy.adapterhub_config import their_config, their_method
from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.compacter import Compacter
from luthier.methods.additive.stacked import StackedMethod
from luthier.methods.method import trainable
from tests.families import attach_to, family_model, family_rows, logits

METHODS: tuple[StackedMethod, ...] = (
    *(Adapter(reduction=5), Adapter(placement="houlsby", nonlinearity="tanh")),
    *(
        Adapter(placement="parallel", scaling=2.5),
        Compacter(reduction=16),
        Compacter(placement="pfeiffer", reduction=8),
    ),
)


def saved(family: str, method: StackedMethod, folder: Path) -> Any:
    model = attach_to(family, method)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.normal_(std=0.3)
    method.save(model, folder)
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back(family: str, tmp_path: Path) -> None:
    for index, method in enumerate(METHODS):
        ours, theirs, back = (tmp_path / f"{name}{index}" for name in ("ours", "theirs", "back"))
        model = saved(family, method, ours)
        write_adapterhub(ours, family_model(family), theirs)
        assert sorted(path.name for path in theirs.iterdir()) == ["adapter.safetensors", "adapter_config.json"]
        config = json.loads((theirs / "adapter_config.json").read_text())
        assert (config["name"], config["model_type"], config["hidden_size"]) == ("luthier", family, 64)
        assert all("luthier." in name for name in load_file(theirs / "adapter.safetensors"))
        base = family_model(family)
        read_adapterhub(theirs, base, back)
        assert not [name for name in base.state_dict() if "_adapter" in name]  # it was only looked at
        loaded = type(method)().load(family_model(family), back)
        if family in ("bert", "roberta"):  # a head is not written: the model's own was read
            expected = family_model(family)
            with torch.no_grad():
                for name, value in expected.named_parameters():
                    model.get_parameter(name).copy_(value)
        rows = family_rows(family, 4, seed=1)
        assert torch.equal(logits(loaded, rows), logits(model, rows))


def test_a_head_of_theirs_is_read_where_it_fits(tmp_path: Path) -> None:
    theirs = write_adapterhub(_one("bert", tmp_path), family_model("bert"), tmp_path / "theirs")
    head = {"classifier.weight": torch.full((3, 64), 0.5), "classifier.bias": torch.ones(3)}
    save_file(head, theirs / "model_head.safetensors")
    found = load_file(read_adapterhub(theirs, family_model("bert"), tmp_path / "a") / "adapter.safetensors")
    assert torch.equal(found["classifier.weight"], head["classifier.weight"])
    save_file({"heads.task.1.weight": torch.ones(3)}, theirs / "model_head.safetensors")
    with pytest.raises(LuthierError, match=r"heads.task.1.weight"):
        read_adapterhub(theirs, family_model("bert"), tmp_path / "b")


def _one(family: str, folder: Path, method: StackedMethod = METHODS[0]) -> Path:
    saved(family, method, folder / "ours")
    return folder / "ours"


class TestPickles:
    def test_refused_unless_asked_for(self, tmp_path: Path) -> None:
        theirs = write_adapterhub(_one("gpt2", tmp_path), family_model("gpt2"), tmp_path / "theirs")
        expected = load_file(read_adapterhub(theirs, family_model("gpt2"), tmp_path / "a") / "adapter.safetensors")
        torch.save(load_file(theirs / "adapter.safetensors"), theirs / "pytorch_adapter.bin")
        (theirs / "adapter.safetensors").unlink()
        with pytest.raises(LuthierError, match="pickle") as caught:
            read_adapterhub(theirs, family_model("gpt2"), tmp_path / "b")
        assert "use_safetensors=True" in str(caught.value)
        again = read_adapterhub(theirs, family_model("gpt2"), tmp_path / "b", pickle=True)
        found = load_file(again / "adapter.safetensors")
        assert found.keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in found.items())

    def test_one_that_holds_more_than_tensors(self, tmp_path: Path) -> None:
        theirs = write_adapterhub(_one("gpt2", tmp_path), family_model("gpt2"), tmp_path / "theirs")
        (theirs / "adapter.safetensors").unlink()
        for held in (Path("/"), {"a": 1}):  # a class of its own, and no tensor
            torch.save(held, theirs / "pytorch_adapter.bin")
            with pytest.raises(LuthierError, match="more than tensors"):
                read_adapterhub(theirs, family_model("gpt2"), tmp_path / "b", pickle=True)
        for damaged in (b"", b"hello"):
            (theirs / "pytorch_adapter.bin").write_bytes(damaged)
            with pytest.raises(LuthierError, match="damaged"):
                read_adapterhub(theirs, family_model("gpt2"), tmp_path / "b", pickle=True)


class TestRefused:
    def test_another_base_and_missing_files(self, tmp_path: Path) -> None:
        theirs = write_adapterhub(_one("llama", tmp_path), family_model("llama"), tmp_path / "theirs")
        with pytest.raises(LuthierError, match="trained on llama of width 64, not on mistral"):
            read_adapterhub(theirs, family_model("mistral"), tmp_path / "a")
        with pytest.raises(LuthierError, match="no adapter or compacter on a bare mistral"):
            write_adapterhub(tmp_path / "ours", family_model("mistral"), tmp_path / "b")
        weights = load_file(theirs / "adapter.safetensors")
        save_file(
            {name: value for name, value in weights.items() if "layers.1" not in name}, theirs / "adapter.safetensors"
        )
        with pytest.raises(LuthierError, match="only one of"):
            read_adapterhub(theirs, family_model("llama"), tmp_path / "a")
        (theirs / "adapter.safetensors").unlink()
        with pytest.raises(LuthierError, match="no such file"):
            read_adapterhub(theirs, family_model("llama"), tmp_path / "a")
        with pytest.raises(LuthierError, match="not the configuration"):
            read_adapterhub(tmp_path / "nowhere", family_model("llama"), tmp_path / "a")

    @pytest.mark.parametrize("family", ["bloom", "gemma"])
    def test_families_that_were_not_compared(self, family: str, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="not compared"):
            write_adapterhub(_one(family, tmp_path), family_model(family), tmp_path / "theirs")

    def test_a_stack(self, tmp_path: Path) -> None:
        lower = _one("llama", tmp_path / "lower")
        above = _one("llama", tmp_path / "above", Adapter(on=(str(lower),)))
        with pytest.raises(LuthierError, match="bare llama"):
            write_adapterhub(above, family_model("llama"), tmp_path / "theirs")

    def test_a_rounded_compacter(self, tmp_path: Path) -> None:
        ours = _one("llama", tmp_path, Compacter(reduction=32))
        with pytest.raises(LuthierError, match="was rounded"):
            write_adapterhub(ours, family_model("llama"), tmp_path / "theirs")

    @pytest.mark.parametrize(
        "given",
        [
            {"ln_after": True}, {"use_gating": True}, {"inv_adapter": "nice"}, {"cross_adapter": True},
            {"leave_out": [0]}, {"scaling": "learned"}, {"scaling": 2.0}, {"reduction_factor": {"default": 16}},
            {"residual_before_ln": "post_add"}, {"original_ln_before": False}, {"non_linearity": "leakyrelu"},
            {"architecture": "lora"}, {"phm_layer": True, "phm_rank": 2}, {"phm_layer": True, "reduction_factor": 30},
        ],
        ids=str,
    )  # fmt: skip
    def test_what_ours_cannot_do(self, given: dict[str, Any]) -> None:
        config = {"config": {**their_config(Adapter(), 64, where=""), **given}, "version": "adapters.1.3.0"}
        with pytest.raises(LuthierError, match="is not what adapters here can do"):
            their_method(config, 64, where="adapter_config.json")

    def test_prompt_tuning_and_old_gelu(self) -> None:
        with pytest.raises(LuthierError, match="embedding layer's positions and norm"):
            their_method({"config": {"architecture": "prompt_tuning"}}, 64, where="")
        config = their_config(Adapter(nonlinearity="gelu"), 64, where="")
        with pytest.raises(LuthierError, match="gelu"):
            their_method({"config": config}, 64, where="")
        assert their_method({"config": config, "version": "adapters.1.3.0"}, 64, where="").nonlinearity == "gelu"


@pytest.mark.parametrize(("factor", "size"), [(16, 4), (16.0, 4), (1000, 1), (2.5, 25), (1, 64)])
def test_a_reduction_gives_the_same_size(factor: float, size: int) -> None:
    config = {**their_config(Adapter(), 64, where=""), "reduction_factor": factor}
    if size == 25:  # no whole number divides 64 into it
        with pytest.raises(LuthierError, match="reduction_factor"):
            their_method({"config": config}, 64, where="")
        return
    method = their_method({"config": config}, 64, where="")
    assert isinstance(method, Adapter) and method.bottleneck(64).down.bias.numel() == size
