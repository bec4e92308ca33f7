"""`results.json`, `results.csv` and `report.md`."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from luthier.report.files import write_report
from tests.report.made_up import make_study, scores


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_study(tmp_path_factory.mktemp("study"))).parent


def test_results_json_holds_numpys_numbers(written: Path) -> None:
    data = json.loads((written / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert list(data) == ["study", "version", "verdict", "arms"]
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
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in tables}) == 1
    assert "luthier study studies/support-desk.yaml" in text


def test_the_report_is_made_without_torch(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    code = (
        "import sys; from luthier.core.store import Store; from luthier.report.files import write_report; "
        f"write_report(Store({str(store.root)!r})); sys.exit('torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0
    assert (tmp_path / "report.html").exists()
