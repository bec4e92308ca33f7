"""The model of a run as it answers: merged where that answers the same, in the run's precision whatever was trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import ignore
from luthier.study import Study
from luthier.workbench import Workbench

MakeStudy = Callable[..., Study]


def benches(study: Study, store: Store) -> dict[str, Workbench]:
    """Of the first run of each arm."""
    runs = study.plan(device="cpu").runs
    return {spec.arm.name: Workbench(spec, store, "cpu", ignore) for spec in reversed(runs)}


def test_it_is_merged_to_answer_unless_it_would_answer_otherwise(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(arms=["lora"])
    study.run(tmp_path / "out", device="cpu", workers=1)

    def logits(bench: Workbench) -> torch.Tensor:
        bench.generator()
        with torch.no_grad():
            return bench.adapted(input_ids=torch.arange(8)[None]).logits  # type: ignore[no-any-return]

    merged = benches(study, Store(tmp_path / "out"))["lora"]
    of_merged = logits(merged)
    assert not hasattr(merged.adapted, "peft_config")

    def refuse(method: object, model: Any) -> None:
        model.merge_and_unload()
        raise LuthierError("it would answer otherwise")

    monkeypatch.setattr("luthier.workbench.merge_checked", refuse)
    beside = benches(study, Store(tmp_path / "out"))["lora"]
    torch.testing.assert_close(logits(beside), of_merged, atol=1e-5, rtol=1e-4)
    assert hasattr(beside.adapted, "peft_config")


def test_an_update_that_cannot_be_merged_has_no_weights_to_look_at(make_study: MakeStudy, tmp_path: Path) -> None:
    study = make_study(arms=[{"peft": {"type": "poly"}}, {"prompt_tuning": {"virtual_tokens": 2}}])
    study.run(tmp_path, device="cpu", workers=1)
    arms = benches(study, Store(tmp_path))
    updated, prompted = (arms[run.arm.name] for run in study.plan(device="cpu").runs)
    assert updated.merged() is None
    assert prompted.merged() is not None  # a prompt leaves the base's weights as they are


def test_every_arm_of_a_bf16_study_computes_in_it(make_study: MakeStudy, tmp_path: Path) -> None:
    study = make_study(arms=["zero_shot", "lora"], training={"precision": "bf16", "steps": 2})
    for bench in benches(study, Store(tmp_path / "out")).values():
        bench.prepare(0)
        linear = next(module for module in bench.adapted.modules() if type(module) is torch.nn.Linear)
        assert linear.weight.dtype == torch.bfloat16
        assert bench.adapted.get_input_embeddings().weight.dtype == torch.float32
