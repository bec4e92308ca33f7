"""The store: what is written is there whole or not at all, and markers come last."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.store import Store, read_lines, write_lines, write_text
from luthier.core.types import ChoicePrediction, Result, Score, TextPrediction

RESULT = Result(
    arm="lora",
    model="house/decoder",
    task="dialogsum",
    seed=1,
    digest="ab12cd34ef567890",
    prompting="zero_shot",
    method="lora(rank=4)",
    objective="supervised",
    status="finished",
    scores={"rougeL": 0.25},
    warnings=["did not learn"],
)


def test_a_step_is_done_once_its_marker_is_written(tmp_path: Path):
    step = Store(tmp_path).step("train", "k")
    with step.claimed():
        assert not step.done
        step.checkpoint.mkdir()
        (step.checkpoint / "state.json").write_text("{}")
        step.finish({"steps": 3})
    assert step.done
    assert step.record() == {"steps": 3}
    assert not step.checkpoint.exists()
    assert Store(tmp_path).step("train", "k").done
    assert not Store(tmp_path).step("predict", "k").done


def test_predictions_come_back_as_they_were(tmp_path: Path):
    predictions = [
        TextPrediction("a", "line one\nline two\u2028and\u0085more\x0c \u00e9\U0001f600", "length", 12, 8),
        ChoicePrediction("b", ("yes", "no"), (-1.5, -0.25), (2, 3)),
    ]
    step = Store(tmp_path).step("predict", "k")
    step.write_predictions(predictions)
    assert step.predictions() == predictions


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path: Path):
    path = tmp_path / "lines.jsonl"
    write_lines(path, [{"n": 1}, {"n": 2}])
    path.write_text(path.read_text() + '{"n": 3, "te')
    assert read_lines(path, cut_short=True) == [{"n": 1}, {"n": 2}]
    with pytest.raises(LuthierError, match="damaged") as raised:
        read_lines(path)
    assert raised.value.where == f"{path}:3"


def test_a_training_without_a_log_has_no_lines(tmp_path: Path):
    assert Store(tmp_path).step("train", "k").training_log() == []


def test_a_run_is_unfinished_without_its_result(tmp_path: Path):
    store = Store(tmp_path)
    run = store.run("lora-ab12-s1")
    assert run.result() is None
    run.describe({"seed": 1}, "arms: [lora]\n", {"python": "3.11"})
    scores = [Score("b", {"rougeL": 0.5}), Score("a", {})]
    run.write_scores(scores)
    assert run.result() is None
    run.finish(RESULT)
    assert run.result() == RESULT
    assert run.scores() == scores
    assert run.environment() == {"python": "3.11"}
    assert (run.folder / "given.yaml").read_text() == "arms: [lora]\n"
    assert [found.name for found in store.runs()] == ["lora-ab12-s1"]


def test_a_folder_without_a_study_says_so_and_stays_as_it_is(tmp_path: Path):
    store = Store(tmp_path / "none")
    with pytest.raises(LuthierError, match="no study was run"):
        store.study()
    assert store.runs() == []
    assert not store.root.exists()


def test_a_full_disk_leaves_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "result.json"
    write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LuthierError, match="No space left on device") as raised:
        write_text(path, "new and longer")
    assert raised.value.exit_code == 1
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_a_folder_is_held_against_a_second_process(tmp_path: Path):
    out = tmp_path / "out"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LuthierError, match="another process is working") as raised, Store(out).held():
            pass
        assert raised.value.exit_code == 2
        assert raised.value.where == str(out)
    finally:
        holder.communicate("\n", timeout=30)
    with Store(out).held():
        pass  # free again, though the file of the lock is still there


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LuthierError, match="cannot be written") as raised, Store(tmp_path / "file" / "out").held():
        pass
    assert raised.value.exit_code == 2


_HOLD = """
import sys
from luthier.core.store import Store
with Store(sys.argv[1]).held():
    print("held", flush=True)
    sys.stdin.readline()
"""
