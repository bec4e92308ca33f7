"""Runs side by side: the same results as one after the other, and a worker that dies takes only its own run."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from luthier import workers
from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import Progress, Result, ignore
from luthier.report.summary import summarise
from luthier.run import run
from luthier.run_spec import RunSpec
from luthier.study import Study
from luthier.workers import crew
from tests.small_study import scores

MakeStudy = Callable[..., Study]


def done(runs: Sequence[RunSpec], store: Store, **how: Any) -> list[Result]:
    with crew(store, **how) as do:
        return do(runs)


def test_side_by_side_as_one_after_the_other_and_one_worker_killed(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("luthier.study.usable_cores", lambda: 2)  # a thread each, as this process has
    arms = [{"name": "victim", "method": "full", "steps": 5000}, "lora", "lead"]
    victims: list[int] = []
    heard: list[tuple[str, str]] = []

    def kill(event: Progress) -> None:
        heard.append((event.run.partition("-")[0], event.phase))
        if heard[-1] != ("victim", "train"):
            return
        children = sorted(multiprocessing.active_children(), key=lambda child: int(child.name.rpartition("-")[2]))
        if not victims:
            children = children[:1]  # the first worker has the first run
        elif not {("lora", "done"), ("lead", "done"), ("victim", "again")} <= set(heard):
            return  # until the other workers, if any, have nothing to do
        for child in children:
            assert child.pid is not None
            victims.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)

    parallel = make_study(arms=arms).run(tmp_path / "out", device="cpu", workers=2, listener=kill)
    assert len(victims) in (2, 3)
    killed, *others = parallel.results
    assert killed.status == "failed"
    assert killed.error is not None and "killed by signal 9, twice (often: out of memory" in killed.error
    assert [result.status for result in others] == ["finished"] * 2
    assert Store(tmp_path / "out").run(Store(tmp_path / "out").study()["runs"][0]).result() == killed
    assert not multiprocessing.active_children()
    (failure,) = summarise(Store(tmp_path / "out")).failures
    assert failure.error == killed.error

    alone = make_study(arms=arms[1:]).run(tmp_path / "alone", device="cpu")
    assert [result.scores for result in others] == [result.scores for result in alone.results]
    assert scores(Store(tmp_path / "out")) == scores(Store(tmp_path / "alone"))


def test_a_worker_has_what_quantising_takes(make_study: MakeStudy, tmp_path: Path):
    """Which is kept from the process that workers are forked from: most have no use for it."""
    runs = make_study(arms=["qlora"]).plan(device="cpu", check_lengths=False).runs
    (result,) = done(runs, Store(tmp_path / "out"), workers=1, threads=1, device="cpu", given="", listener=ignore)
    assert result.error is None
    assert result.scores == run(runs[0], Store(tmp_path / "alone")).scores


def test_a_worker_killed_once_is_forgiven(make_study: MakeStudy, tmp_path: Path):
    """Its run is taken up again by another worker: a moment's lack of memory does not cost a night."""
    arms = [{"name": "victim", "method": "full", "steps": 30, "checkpoint_minutes": 1e-9}]
    heard: list[str] = []

    def kill(event: Progress) -> None:
        if event.phase == "train" and "train" not in heard:
            (child,) = multiprocessing.active_children()
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
        heard.append(event.phase)

    runs = make_study(arms=arms).plan(device="cpu", check_lengths=False).runs
    store = Store(tmp_path / "out")
    (result,) = done(runs, store, workers=1, threads=1, device="cpu", given="", listener=kill)
    assert heard.count("again") == 1
    assert result.status == "finished"
    whole = run(runs[0], Store(tmp_path / "whole"))
    assert result.scores == whole.scores


def test_an_interrupt_ends_the_workers_soon_and_they_save(make_study: MakeStudy, tmp_path: Path):
    arms = [{"name": name, "method": name, "steps": 1_000_000} for name in ("full", "lora")]
    runs = make_study(arms=arms).plan(device="cpu", check_lengths=False).runs
    raised: list[float] = []

    def interrupt(event: Progress) -> None:
        if event.phase == "train":  # as Ctrl-C would, wherever the parent stands
            raised.append(time.monotonic())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        done(runs, Store(tmp_path), workers=2, threads=1, device="cpu", given="", listener=interrupt)
    assert time.monotonic() - raised[0] < workers._SECONDS_TO_STOP + 10
    assert not multiprocessing.active_children()
    assert all(Store(tmp_path).run(run.folder).result() is None for run in runs)
    assert list(tmp_path.glob("train/*/checkpoint/step-*/state.json"))  # of the one that had begun to train


def test_what_concerns_all_runs_stops_the_study(make_study: MakeStudy, tmp_path: Path):
    """The folder cannot be written: no run is to blame."""
    (tmp_path / "runs").write_text("a file in the place of the folder of the runs")
    runs = make_study(arms=["lead"]).plan(device="cpu", check_lengths=False).runs
    with pytest.raises(LuthierError, match="cannot write") as raised:
        done(runs, Store(tmp_path), workers=1, threads=1, device="cpu", given="", listener=ignore)
    assert raised.value.exit_code == 1
    assert not multiprocessing.active_children()


def test_a_run_waits_for_one_that_makes_a_step_that_it_needs(make_study: MakeStudy):
    arms = [{"name": "a", "method": "lora"}, {"name": "b", "method": "lora"}, "zero_shot"]
    a, b, zero_shot = make_study(arms=arms).plan(device="cpu", check_lengths=False).runs
    assert workers._next([b, zero_shot], running=[a]) == 1
    assert workers._next([b, zero_shot], running=[]) == 0
    assert workers._next([b], running=[a]) == 0


@pytest.mark.parametrize(
    ("device", "visible", "shown"),
    [
        ("cpu", "0,1", [{}, {}]),
        ("cuda", "4, 6", [{"CUDA_VISIBLE_DEVICES": "4"}, {"CUDA_VISIBLE_DEVICES": "6"}, {"CUDA_VISIBLE_DEVICES": "4"}]),
        ("cuda", None, [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]),
        ("cuda:1", None, [{}]),
    ],
)
def test_every_worker_sees_a_gpu_of_its_own(
    device: str, visible: str | None, shown: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workers, "gpu_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [workers._own_gpu(slot, device) for slot in range(len(shown))] == shown


def test_what_goes_to_a_worker_survives_the_way(make_study: MakeStudy):
    for spec in make_study(arms=["few_shot", {"lora": {"rank": 4}}]).plan(device="cpu", check_lengths=False).runs:
        again = pickle.loads(pickle.dumps(spec))
        assert again == spec and again.folder == spec.folder
