"""Runs side by side: the same results as one after the other, and a worker that dies takes only its own run."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from luthier import workers
from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import Progress, ignore
from luthier.report.summary import summarise
from luthier.study import Study
from luthier.workers import run_all
from tests.small_study import scores

MakeStudy = Callable[..., Study]


def test_side_by_side_as_one_after_the_other_and_one_worker_killed(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("luthier.study.usable_cores", lambda: 2)  # a thread each, as this process has
    arms = [{"name": "victim", "method": "full", "steps": 500}, "lora", "lead"]
    victims: list[int] = []

    def kill(event: Progress) -> None:
        if event.run.startswith("victim") and event.phase == "train" and not victims:
            first = min(multiprocessing.active_children(), key=lambda child: int(child.name.rpartition("-")[2]))
            assert first.pid is not None
            victims.append(first.pid)
            os.kill(first.pid, signal.SIGKILL)

    parallel = make_study(arms=arms).run(tmp_path / "out", device="cpu", workers=2, listener=kill)
    assert len(victims) == 1
    killed, *others = parallel.results
    assert killed.status == "failed"
    assert killed.error is not None and "killed by signal 9 (often: out of memory" in killed.error
    assert [result.status for result in others] == ["finished"] * 2
    assert Store(tmp_path / "out").run(Store(tmp_path / "out").study()["runs"][0]).result() == killed
    assert not multiprocessing.active_children()
    (failure,) = summarise(Store(tmp_path / "out")).failures
    assert failure.error == killed.error

    alone = make_study(arms=arms[1:]).run(tmp_path / "alone", device="cpu")
    assert [result.scores for result in others] == [result.scores for result in alone.results]
    assert scores(Store(tmp_path / "out")) == scores(Store(tmp_path / "alone"))


def test_an_interrupt_ends_the_workers_at_once(make_study: MakeStudy, tmp_path: Path):
    arms = [{"name": name, "method": name, "steps": 1_000_000} for name in ("full", "lora")]
    runs = make_study(arms=arms).plan(device="cpu", check_lengths=False).runs
    started = time.monotonic()

    def interrupt(event: Progress) -> None:
        if event.phase == "train":  # as Ctrl-C would, wherever the parent stands
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(runs, Store(tmp_path), workers=2, threads=1, device="cpu", given="", listener=interrupt)
    assert time.monotonic() - started < 60
    assert not multiprocessing.active_children()
    assert all(Store(tmp_path).run(run.folder).result() is None for run in runs)


def test_what_concerns_all_runs_stops_the_study(make_study: MakeStudy, tmp_path: Path):
    """The folder cannot be written: no run is to blame."""
    (tmp_path / "runs").write_text("a file in the place of the folder of the runs")
    runs = make_study(arms=["lead"]).plan(device="cpu", check_lengths=False).runs
    with pytest.raises(LuthierError, match="cannot write") as raised:
        run_all(runs, Store(tmp_path), workers=1, threads=1, device="cpu", given="", listener=ignore)
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
    for run in make_study(arms=["few_shot", {"lora": {"rank": 4}}]).plan(device="cpu", check_lengths=False).runs:
        again = pickle.loads(pickle.dumps(run))
        assert again == run and again.folder == run.folder
