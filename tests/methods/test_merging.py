"""Merging that is checked: it refuses what would change the answers, and says by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner

from luthier.cli import app
from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.store import Store
from luthier.deploy.trained import Origin, merge_trained, method_of, weights_of
from luthier.methods.additive.adapter import Adapter
from luthier.methods.merging import LENGTH, ROWS, merge_checked, probe
from luthier.methods.method import trainable
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.families import FAMILIES
from luthier.models.head import Head
from luthier.models.load import find_model, load_model
from luthier.study import Study
from luthier.study_file import StudySpec
from tests.families import attach_to, family_model, family_rows, logits
from tests.models.encoders import tiny_encoder
from tests.small_study import small_study, write_rows
from tests.tiny import tiny_model


def trained(family: str, method: Any = None) -> Any:
    """A model whose adapter says something of its own, as if it had been trained."""
    model = attach_to(family, method or LoRA())
    stream = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in trainable(model):
            weights.add_(0.1 * torch.randn(weights.shape, generator=stream))
    return model


class Wrong(LoRA):
    """A merge that leaves a part of the update out."""

    share: float = 0.9

    def merge(self, model: Any) -> Any:
        for module in model.modules():
            if isinstance(getattr(module, "scaling", None), dict):
                module.scaling = {name: self.share * scale for name, scale in module.scaling.items()}
        return super().merge(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_answers_as_before_on_every_family(family: str) -> None:
    model, rows = trained(family), family_rows(family, 4)
    before = logits(model, rows)
    merged = merge_checked(LoRA(), model)
    assert type(merged) is type(family_model(family))
    torch.testing.assert_close(logits(merged, rows), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["bert", "llama", "t5"])
def test_a_merge_that_changes_the_answers_is_refused_with_the_figure(family: str) -> None:
    with pytest.raises(LuthierError, match=r"a logit moves by 0\.\d+ of the largest") as refused:
        merge_checked(Wrong(), trained(family))
    assert refused.value.exit_code == 1


def test_nan_is_refused() -> None:
    with pytest.raises(LuthierError, match="a logit moves by nan"):
        merge_checked(Wrong(share=float("nan")), trained("llama"))


def test_the_stage_after_it_starts_from_a_checked_merge(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="a logit moves by"):
        Wrong().settle(trained("llama"), tmp_path)


def test_what_has_no_place_in_the_base_is_refused() -> None:
    with pytest.raises(LuthierError, match="adapter cannot be merged here: what was trained has no place"):
        merge_checked(Adapter(), trained("llama", Adapter()))


def test_the_probe_spans_the_vocabulary_and_is_padded() -> None:
    batch = probe(family_model("llama"))
    assert batch.attention_mask is not None
    assert int(batch.attention_mask.sum()) == ROWS * LENGTH - LENGTH // 2
    seen = batch.input_ids[batch.attention_mask.bool()]
    assert len(set(seen.tolist())) == len(seen)
    assert int(seen.max()) > 0.8 * 320


@pytest.mark.parametrize("name", ["lora", pytest.param("full", marks=pytest.mark.slow)])
def test_a_run_of_a_study_becomes_a_model_that_transformers_loads_alone(name: str, tmp_path: Path) -> None:
    base = tiny_model("llama", tmp_path / "base")
    spec = small_study(base, write_rows(tmp_path), arms=[name])
    study = Study(read(StudySpec, spec, "test"))
    study.run(tmp_path / "runs", device="cpu", workers=1)
    store = Store(tmp_path / "runs")
    (run,) = store.runs()
    weights = weights_of(run.folder)
    assert method_of(weights).name == name
    answered = CliRunner().invoke(app, ["merge", str(run.folder), "--out", str(tmp_path / "merged")])
    assert answered.exit_code == 0, answered.output
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    AutoTokenizer.from_pretrained(tmp_path / "merged")
    find_model(str(tmp_path / "merged"))
    ids = torch.arange(20, 60)[None]
    adapted = method_of(weights).load(load_model(find_model(str(base))), weights)
    with torch.no_grad():
        torch.testing.assert_close(merged(input_ids=ids).logits, adapted(input_ids=ids).logits, atol=1e-5, rtol=1e-5)
    assert not torch.equal(
        merged.model.layers[0].mlp.up_proj.weight, load_model(find_model(str(base))).model.layers[0].mlp.up_proj.weight
    )
    with pytest.raises(LuthierError, match="there already"):
        merge_trained(run.folder, tmp_path / "merged")
    other = tiny_model("gpt2", tmp_path / "other")
    with pytest.raises(LuthierError, match="trained on another model"):
        merge_trained(run.folder, tmp_path / "second", str(other))


def test_a_later_stage_is_not_merged_into_what_the_first_began_with(tmp_path: Path) -> None:
    base = tiny_model("llama", tmp_path / "base")
    spec = small_study(base, write_rows(tmp_path), arms=[{"name": "two", "stages": ["lora", "lora"]}])
    Study(read(StudySpec, spec, "test")).run(tmp_path / "runs", device="cpu", workers=1)
    (run,) = Store(tmp_path / "runs").runs()
    with pytest.raises(LuthierError, match="the model below these weights is not known"):
        merge_trained(run.folder, tmp_path / "merged")
    with pytest.raises(LuthierError, match="trained on what earlier stages left of"):
        merge_trained(run.folder, tmp_path / "merged", str(base))
    first = next(path for path in (tmp_path / "runs" / "train").iterdir() if path != weights_of(run.folder).parent)
    between = merge_trained(first, tmp_path / "between")
    assert merge_trained(run.folder, tmp_path / "merged", str(between)).is_dir()


def test_an_encoder_keeps_its_head_and_its_labels(tmp_path: Path) -> None:
    files = find_model(str(tiny_encoder("bert", tmp_path / "base")))
    head = Head("class", ("bad", "good"))
    torch.manual_seed(0)
    model = LoRA().attach(load_model(files, head=head), None)
    with torch.no_grad():
        for weights in trainable(model):
            weights.add_(0.1 * torch.randn(weights.shape))
    LoRA().save(model, tmp_path / "saved")
    Origin(method=LoRA(), model=files.name, identity=files.digest, head=head).write(tmp_path / "saved")
    merged = AutoModelForSequenceClassification.from_pretrained(
        merge_trained(tmp_path / "saved", tmp_path / "merged")
    ).eval()
    assert merged.config.id2label == {0: "bad", 1: "good"}
    ids = torch.arange(20, 40)[None]
    with torch.no_grad():
        torch.testing.assert_close(
            merged(input_ids=ids).logits, model.eval()(input_ids=ids).logits, atol=1e-5, rtol=1e-5
        )
