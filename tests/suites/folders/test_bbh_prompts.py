"""lm-eval's chains of thought for BIG-bench Hard are the authors' own."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.suites.benchmarks import find_tasks

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "bbh" / "cot-prompts"
LINE_BREAKS = "sports_understanding"
"""Where lm-eval puts a line break after "step by step." and the authors a space."""


@pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/data/bbh is not here")
def test_the_chains_of_thought_are_the_authors():
    tasks = find_tasks("bbh")
    for task in tasks:
        name = task.config["dataset_name"]
        authors = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("-----\n", 1)[1].rstrip()
        shots = task.config["fewshot_config"]["samples"]
        text = task.config["doc_to_text"]
        asked = "\n\n".join(text.replace("{{input}}", shot["input"]) + shot["target"] for shot in shots)
        harness = (task.config["description"] + asked).rstrip()
        if name == LINE_BREAKS:
            assert authors != harness
            harness = harness.replace("step by step.\n", "step by step. ")
        assert harness == authors, name
    assert len(tasks) == 27
