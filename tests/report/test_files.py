"""`results.json`, `results.csv` and `report.md`."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from luthier.core.store import Store
from luthier.core.types import Score
from luthier.report.files import _csv, results, write_report
from luthier.report.markdown import markdown
from luthier.report.summary import summarise
from tests.report.made_up import CONTROL, ITEMS, make_study, run_name, scores


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_study(tmp_path_factory.mktemp("study"))).parent


def test_results_json_holds_numpys_numbers(written: Path) -> None:
    data = json.loads((written / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    keys = ["study", "version", "verdict", "margin", "sizes", "leakage", "choices", "flags"]
    assert list(data) == [*keys, "sequences", "no_sequences", "arms"]
    assert data["margin"] is None and data["leakage"] == {} and data["no_sequences"] == []
    arms = {arm["arm"]: arm for arm in data["arms"]}
    assert list(arms) == ["zero_shot", "lora", "full", "broken", "lead-3"]
    for name, seeds in (("zero_shot", 3), ("lora", 3), ("full", 2), ("lead-3", 1)):
        ours = np.array([scores(name, seed)["rougeL"] for seed in range(seeds)])
        theirs = np.array([scores("zero_shot", seed)["rougeL"] for seed in range(seeds)])
        assert arms[name]["seeds"] == list(range(seeds))
        assert arms[name]["scores"]["rougeL"]["mean"] == pytest.approx(ours.mean())
        if name != "zero_shot":
            found = arms[name]["against"]["zero_shot"]["rougeL"]
            assert found["difference"] == pytest.approx((ours - theirs).mean())
            assert found["low"] < found["difference"] < found["high"]
    assert arms["lora"]["scores"]["bleu"]["low"] is None
    assert "nll" not in arms["lead-3"]["scores"]
    assert arms["broken"]["status"] == "failed" and "not finite" in arms["broken"]["error"]
    assert arms["full"]["status"] == "partial"
    assert arms["lora"]["cost"]["trainable_parameters"] == 147_456 and arms["lora"]["forgetting"] == {}


def test_results_csv_has_one_row_a_run(written: Path) -> None:
    with open(written / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 3 + 1
    lora = next(row for row in rows if (row["arm"], row["seed"]) == ("lora", "1"))
    assert float(lora["rougeL"]) == pytest.approx(scores("lora", 1)["rougeL"].mean())
    assert (lora["status"], lora["train_seconds"], lora["peak_bytes"]) == ("finished", "41.0", "720000000")
    broken = next(row for row in rows if row["arm"] == "broken")
    assert broken["status"] == "failed" and broken["rougeL"] == "" and "not finite" in broken["error"]
    assert next(row for row in rows if row["baseline"] == "True")["nll"] == ""


def test_report_md_is_safe_and_complete(written: Path) -> None:
    text = (written / "report.md").read_text(encoding="utf-8")
    assert "| lora | 0.343 \\[0.323, 0.362\\] |" in text
    assert "full has the highest mean rougeL" in text
    assert "<script>" not in text and "&lt;script>" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1
    assert "luthier study studies/support-desk.yaml" in text


def test_results_json_holds_all_that_a_study_of_today_found(grown: Store) -> None:
    data = results(summarise(grown))
    assert data["margin"] == 0.01 and [choice["arm"] for choice in data["choices"]] == ["lora", "zero_shot", "full"]
    assert [pair["split"] for pair in data["leakage"]["dialogues"]["pairs"]] == ["test", "test", "validation"]
    arms = {arm["arm"]: arm for arm in data["arms"]}
    full = arms["full"]
    assert (full["outcome"], full["tied_with_best"], full["cheapest"]) == ("better", True, True)
    assert full["smallest_visible"] == pytest.approx(0.0216, abs=1e-3)
    assert full["by_seed"] == {str(seed): scores("full", seed)["rougeL"].mean() for seed in range(3)}
    assert full["without_leaks"]["n"] == 18 and arms["lora"]["above_control"]["rougeL"][0]["control"] == "nearest"
    lost = full["forgetting"]["base samples"]
    assert lost["p_holm"] == 2 * lost["p"] < 0.01, "the surer one of two retention tasks"
    assert lost | {"n": 0, "low": 0, "high": 0, "p": 0, "p_holm": 0} == {
        "measure": "bits_per_byte",
        "lower_is_better": True,
        "before": pytest.approx(2.065),
        "after": pytest.approx(2.267, abs=1e-3),
        "difference": pytest.approx(0.202, abs=1e-3),
        "low": 0,
        "high": 0,
        "n": 0,
        "p": 0,
        "p_holm": 0,
        "lost": True,
    }
    assert arms[CONTROL]["control_of"] == "full" and arms[CONTROL]["outcome"] is None


def test_two_runs_of_a_study_differ_in_time_and_memory_alone(tmp_path: Path) -> None:
    first, second = (make_study(tmp_path / name, failing=(), grown=True) for name in "ab")
    for folder in second.runs():
        result = folder.result()
        assert result is not None
        cost = result.cost
        slower = {"train_seconds": 2 * cost.train_seconds, "tokens_per_second": 1.0, "peak_bytes": 3 * cost.peak_bytes}
        folder.finish(result.model_copy(update={"cost": cost.model_copy(update=slower)}))
    one, other = (results(summarise(store)) for store in (first, second))
    assert one != other
    for arm in (*one["arms"], *other["arms"]):
        for name in ("train_seconds", "predict_seconds", "tokens_per_second", "peak_bytes"):
            del arm["cost"][name]
    assert json.dumps(one) == json.dumps(other)


def test_results_csv_tells_the_sizes_and_names_a_run_once(sized: Store) -> None:
    rows = list(csv.DictReader(_csv(summarise(sized)).splitlines()))
    assert [row["size"] for row in rows if row["arm"] == "lora"] == ["50"] * 3 + ["200"] * 3 + ["800"] * 3
    assert [row["size"] for row in rows if row["arm"] == "nearest"] == [""]
    assert {row["control_of"] for row in rows} == {"", "full"}


def test_a_measure_that_no_arm_has_an_estimate_of_stands_in_the_csv(tmp_path: Path) -> None:
    store = make_study(tmp_path, failing=())
    for seed in range(3):
        folder = store.run(run_name("lora", seed))
        own = ITEMS[seed]
        folder.write_scores(
            Score(one.example_id, {**one.values, "odd": 1.0} if one.example_id == own else one.values)
            for one in folder.scores()
        )
        result = folder.result()
        assert result is not None
        folder.finish(result.model_copy(update={"scores": {**result.scores, "odd": 1.0}}))
    summary = summarise(store)
    assert "odd" not in summary.groups[0].measures, "the seeds have no example in common"
    rows = list(csv.DictReader(_csv(summary).splitlines()))
    assert [row["odd"] for row in rows if row["arm"] == "lora"] == ["1.0"] * 3


def test_an_interrupted_study_of_sizes_has_a_report(tmp_path: Path) -> None:
    store = make_study(tmp_path, failing=(), grown=True, sizes=(50, 200))
    for seed in range(3):
        (store.run(run_name("full", seed, 50)).folder / "result.json").unlink()
    page = write_report(store).read_text(encoding="utf-8")
    assert "zero_shot 0.188 at every size; lora 0.243 at 50, 0.339 at 200; full 0.437 at 200" in page


def test_report_md_has_every_part(grown: Store, sized: Store) -> None:
    text = markdown(summarise(grown))
    headings = [line.strip("# ") for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "support-desk",
        "Verdict",
        "dialogues on house/decoder",
        "Against the best, full",
        "Above the controls",
        "What is forgotten",
        "rougeL by seed",
        "Trials",
        "Failed",
        "Run it again",
    ]
    assert "<details><summary>Leaked rows (3)</summary>" in text and "train.jsonl:9" in text
    assert "    luthier report " in text and "--set reference=null" in text
    several = markdown(summarise(sized))
    assert "## Overview" in several.replace("### ", "## ") and "| full | 0.341 | 0.437 | 0.441 |" in several
    assert "rougeL over training examples" in several


def test_the_report_is_made_without_torch(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    code = (
        "import sys; from luthier.core.store import Store; from luthier.report.files import write_report; "
        f"write_report(Store({str(store.root)!r})); sys.exit('torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0
    assert (tmp_path / "report.html").exists()
