"""A study as a whole: what it records, what it does not do twice, and what it does with failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import Progress
from luthier.study import Study
from tests.small_study import everything_in, files, steps

MakeStudy = Callable[..., Study]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def undated(folder: Path) -> dict[str, Any]:
    """`results.json`: it holds no date, and its seconds are those of the runs."""
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_from_a_file_to_a_report(study_yaml: Callable[..., Path], out: Path):
    study = Study.load(study_yaml(baselines=True))
    page = study.run(out, device="cpu", command="luthier study small.yaml").report()
    assert page == out / "report.html"
    assert [result.status for result in study.results] == ["finished"] * 5
    assert {"report.html", "report.md", "results.csv", "results.json", "study.json"} <= set(everything_in(out))
    arms = undated(out)["arms"]
    assert [arm["arm"] for arm in arms] == ["zero_shot", "lora", "lead", "copy", "best_constant"]
    assert arms[1]["scores"]["nll"]["n"] == 4
    assert "zero_shot" in arms[1]["against"]

    record = Store(out).study()
    assert record["name"] == "small" and record["reference"] == "zero_shot"
    assert record["runs"] == [path.name for path in map(out.joinpath, record["runs"])]
    (task,) = record["tasks"]
    assert task["rows"] == {"train": 12, "validation": 3, "test": 4}
    assert task["measures"][0] == "rougeL" and "nll" in task["lower_is_better"]
    assert len(task["examples"]) == 4 and all("Summary:" in text["prompt"] for text in task["examples"].values())
    assert record["models"][0]["context"] == 256
    assert record["seconds"] > 0


def test_a_report_wants_a_study_that_ran(make_study: MakeStudy):
    with pytest.raises(LuthierError, match="has not run yet"):
        make_study().report()


def test_finished_runs_are_not_run_again(make_study: MakeStudy, out: Path, monkeypatch: pytest.MonkeyPatch):
    make_study().run(out, device="cpu").report()
    results, before = undated(out), (steps(Store(out), "train"), steps(Store(out), "predict"))

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("something was run")

    heard: list[Progress] = []
    with monkeypatch.context() as patch:
        patch.setattr("luthier.together.run", never)
        patch.setattr("luthier.workers._start", never)
        patch.setattr("luthier.plan.check_lengths_of", never)
        study = make_study().run(out, device="cpu", workers=2, listener=heard.append)
    study.report()
    assert undated(out) == results
    assert (steps(Store(out), "train"), steps(Store(out), "predict")) == before
    assert [event.phase for event in heard] == ["done", "done"]
    assert all("rougeL" in event.values for event in heard)


def test_an_unfinished_run_is_taken_up_again(make_study: MakeStudy, out: Path):
    first = make_study().run(out, device="cpu")
    before = (steps(Store(out), "train"), steps(Store(out), "predict"))
    (out / "runs" / Store(out).study()["runs"][1] / "result.json").unlink()
    second = make_study().run(out, device="cpu")
    assert [result.scores for result in second.results] == [result.scores for result in first.results]
    assert (steps(Store(out), "train"), steps(Store(out), "predict")) == before


def test_a_new_metric_trains_and_predicts_nothing(make_study: MakeStudy, out: Path):
    make_study().run(out, device="cpu")
    before = (steps(Store(out), "train"), steps(Store(out), "predict"))
    assert (len(before[0]), len(before[1])) == (1, 4)  # two arms, two kinds of prediction
    study = make_study(task={"metrics": ["rouge", "nll", "chrf", "bits_per_byte"]}).run(out, device="cpu")
    assert (steps(Store(out), "train"), steps(Store(out), "predict")) == before
    assert all({"chrf", "bits_per_byte", "nll"} <= set(result.scores) for result in study.results)


def test_another_test_set_trains_nothing(make_study: MakeStudy, out: Path):
    make_study().run(out, device="cpu")
    trained, predicted = steps(Store(out), "train"), steps(Store(out), "predict")
    study = make_study(task={"limit": {"test": 3}}).run(out, device="cpu")
    assert steps(Store(out), "train") == trained
    assert len(steps(Store(out), "predict")) == 2 * len(predicted)
    assert [len(Store(out).run(name).scores()) for name in Store(out).study()["runs"]] == [3, 3]
    assert all(result.status == "finished" for result in study.results)


@pytest.mark.slow
def test_what_no_seed_changes_is_done_once(make_study: MakeStudy, out: Path):
    arms = ["zero_shot", {"few_shot": {"shots": 1}}, {"name": "a", "method": "lora"}, {"name": "b", "method": "lora"}]
    study = make_study(arms=arms, seeds=[0, 1], baselines=True).run(out, device="cpu")
    ran = [(result.arm, result.seed) for result in study.results]
    assert ran == [
        ("zero_shot", 0), ("few_shot", 0), ("few_shot", 1), ("a", 0), ("a", 1), ("b", 0), ("b", 1),
        ("lead", 0), ("copy", 0), ("best_constant", 0),
    ]  # fmt: skip
    assert len(steps(Store(out), "train")) == 2  # a and b are trained alike
    assert len(steps(Store(out), "predict")) == 2 * (1 + 2 + 2 + 3)  # texts and likelihoods


def test_a_changed_study_reports_its_own_runs_alone(make_study: MakeStudy, out: Path):
    make_study(arms=["zero_shot", "lora"]).run(out, device="cpu").report()
    make_study(arms=["zero_shot", {"lora": {"rank": 2}}]).run(out, device="cpu").report()
    assert len(Store(out).runs()) == 3  # the old ones are kept
    assert [(arm["arm"], arm["method"]) for arm in undated(out)["arms"]] == [
        ("zero_shot", "none"),
        ("lora", "lora(rank=2)"),
    ]


def test_a_failed_run_does_not_stop_the_others(make_study: MakeStudy, out: Path):
    diverging = {"name": "diverging", "method": "full", "learning_rate": 1e30, "warmup": 0.0}
    study = make_study(arms=["zero_shot", diverging, "lora"]).run(out, device="cpu")
    study.report()
    assert [result.status for result in study.results] == ["finished", "failed", "finished"]
    failed = undated(out)["arms"][1]
    assert failed["status"] == "failed" and "not finite" in failed["error"] and failed["scores"] == {}
    assert "not finite" in (out / "report.html").read_text(encoding="utf-8")


def test_skipped_rows_are_named_in_the_record(make_study: MakeStudy, rows: Path, out: Path, tmp_path: Path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text((rows / "train.jsonl").read_text() + "{not json\n")
    study = make_study(arms=["lora"], task={"data": {**files(rows), "train": str(broken)}})
    with pytest.raises(LuthierError, match=r"broken.jsonl:13"):
        study.run(out, device="cpu")
    assert not out.exists()
    study.run(out, device="cpu", skip_bad_rows=True)
    assert study.results[0].status == "finished"
    (skipped,) = Store(out).study()["tasks"][0]["skipped"]
    assert skipped["where"] == f"{broken}:13"


def test_rows_left_out_as_too_long_are_neither_trained_on_nor_scored(
    make_study: MakeStudy, long_rows: Path, rows: Path, out: Path
):
    study = make_study(arms=["lora"], task={"data": files(long_rows)})
    with pytest.raises(LuthierError, match="longer than the context"):
        study.run(out, device="cpu")
    assert not out.exists()
    study.run(out, device="cpu", skip_bad_rows=True)
    skipped = Store(out).study()["tasks"][0]["skipped"]
    assert [row["where"] for row in skipped] == [f"{long_rows}/train.jsonl:13", f"{long_rows}/test.jsonl:5"]
    whole = make_study(arms=["lora"], task={"data": files(rows)}).run(out, device="cpu")
    assert study.results[0].scores == whole.results[0].scores  # as if they had not been there
