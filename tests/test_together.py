"""Which runs are trained together, and that a study comes to the same either way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier import together
from luthier.core.store import Store
from luthier.deploy.trained import trained_in
from luthier.run import run
from luthier.run_spec import RunSpec
from luthier.study import Study
from luthier.together import done_together, pays, stackable, train_together
from tests.small_study import steps

MakeStudy = Callable[..., Study]

LOW = {"name": "low", "method": {"lora": {"rank": 2}}}
HIGH = {"name": "high", "method": {"lora": {"rank": 4}}, "learning_rate": 0.001}
METHOD = LOW["method"]
DEVICE = "cpu"


def runs_of(make_study: MakeStudy, arms: list[Any], **changes: Any) -> tuple[RunSpec, ...]:
    return make_study(arms=arms, **changes).plan(device=DEVICE, check_lengths=False).runs


def names(groups: list[list[RunSpec]]) -> list[list[str]]:
    return [[spec.arm.name for spec in group] for group in groups]


def test_ranks_scales_and_rates_go_together(make_study: MakeStudy) -> None:
    scaled = {"name": "scaled", "method": {"lora": {"rslora": True, "alpha": 4.0}}}
    runs = runs_of(make_study, ["zero_shot", LOW, HIGH, scaled, "full", "lora"])
    assert names(stackable(runs)) == [["low", "high", "scaled", "lora"]]
    assert [len(part) for part in stackable(runs, most=2)] == [2, 2]
    assert [len(part) for part in stackable(runs, most=3)] == [3]  # one alone is no group


def test_what_reads_other_batches_does_not(make_study: MakeStudy) -> None:
    assert [len(group) for group in stackable(runs_of(make_study, [LOW, HIGH], seeds=[0, 1]))] == [2, 2]
    for other in (
        {"name": "other", "method": METHOD, "batch_size": 2},
        {"name": "other", "method": METHOD, "steps": 3},
        {"name": "other", "method": METHOD, "prompting": "few_shot"},
        {"name": "other", "method": {"lora": {"targets": "attention"}}},
        {"name": "other", "method": METHOD, "micro_batch_tokens": 64},
    ):
        assert not stackable(runs_of(make_study, [HIGH, other])), other


@pytest.mark.parametrize(
    "arm",
    [
        {"name": "a", "method": {"lora": {"dropout": 0.1}}},
        {"name": "a", "method": {"lora": {"plus": 16.0}}},
        {"name": "a", "method": {"lora": {"initialise": "pissa"}}},
        {"name": "a", "method": "dora"},
        {"name": "a", "method": "lora", "regulariser": "l2_sp"},
        {"name": "a", "method": "lora", "optimizer": "muon"},
        {"name": "a", "method": "lora", "validations": 2, "patience": 1},
        {"name": "a", "method": "lora", "compile": True},
    ],
)
def test_what_has_no_place_in_a_stack(arm: dict[str, Any], make_study: MakeStudy) -> None:
    assert not stackable(runs_of(make_study, [arm, {**arm, "name": "b", "learning_rate": 0.001}]))


def test_a_training_stands_in_a_group_once(make_study: MakeStudy) -> None:
    runs = runs_of(make_study, [LOW, HIGH])
    assert names(stackable([*runs, *runs])) == names(stackable(runs))


def test_it_pays_for_small_models_on_a_gpu() -> None:
    assert pays(57_000_000, "cuda") and pays(1_000_000_000, "cuda:1")
    assert not pays(8_000_000_000, "cuda") and not pays(57_000_000, "cpu")


@pytest.mark.slow
def test_a_study_comes_to_the_same(make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = runs_of(make_study, [LOW, HIGH])
    singly, stacked = Store(tmp_path / "singly"), Store(tmp_path / "stacked")
    expected = [run(spec, singly, device=DEVICE) for spec in runs]
    monkeypatch.setattr(together, "pays", lambda parameters, device: True)
    results = done_together(runs, stacked, device=DEVICE)

    for spec, result, other in zip(runs, results, expected, strict=True):
        assert (result.status, result.digest) == ("finished", other.digest)
        assert result.scores == pytest.approx(other.scores, rel=1e-5)
        for key in spec.train_keys():
            step, alone = stacked.step("train", key), singly.step("train", key)
            record, before = step.record(), alone.record()
            assert record.pop("stacked") == 2
            assert record.keys() == before.keys()
            differ = {name for name in record if record[name] != before[name]}
            assert differ <= {"seconds", "peak_bytes", "loss", "validation_loss"}
            assert record["loss"] == pytest.approx(before["loss"], rel=1e-6)
            assert [list(line) for line in step.training_log()] == [list(line) for line in alone.training_log()]
            assert trained_in(step.weights) == trained_in(alone.weights)
            files = [sorted(path.name for path in one.weights.iterdir()) for one in (step, alone)]
            assert files[0] == files[1]
            assert not step.checkpoint.exists()
    assert steps(stacked, "train").keys() == steps(singly, "train").keys()


def test_only_what_is_missing_is_trained(make_study: MakeStudy, tmp_path: Path) -> None:
    runs = runs_of(make_study, [LOW, HIGH, "lora"])
    store, keys = Store(tmp_path), [spec.train_keys()[0] for spec in runs]
    assert set(train_together(runs[:2], store)) == set(keys[:2])
    before = steps(store, "train")
    assert train_together(runs, store) == []  # one alone is left to `run`
    assert steps(store, "train") == before


@pytest.mark.slow
def test_a_stack_that_memory_does_not_hold_is_halved(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luthier.training import stacked

    runs = runs_of(make_study, [LOW, HIGH, "lora", {"name": "rank 3", "method": {"lora": {"rank": 3}}}])
    tried: list[int] = []
    plain = stacked.train_stacked

    def small_device(base: Any, arms: list[Any], *args: Any, **kwargs: Any) -> None:
        tried.append(len(arms))
        if len(arms) > 2:
            raise torch.OutOfMemoryError
        plain(base, arms, *args, **kwargs)

    monkeypatch.setattr(stacked, "train_stacked", small_device)
    finished = train_together(runs, Store(tmp_path))
    assert tried == [4, 2, 2]
    assert set(finished) == {spec.train_keys()[0] for spec in runs}
