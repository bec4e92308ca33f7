"""`docs/adding.md`, followed to the letter in a copy of the package."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from luthier.core.store import Store
from tests.tiny import tiny_model

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
FILES = re.findall(r"(?:this file|file)\s+as\s+`([\w./]+)`:\n\n```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL)
EDITS = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the page's files and edits in it."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(
        ROOT / "src" / "luthier", folder / "src" / "luthier", ignore=shutil.ignore_patterns("__pycache__", "house")
    )
    for name, content in FILES:
        assert not (folder / name).exists()
        (folder / name).write_text(content, encoding="utf-8")
    registry = folder / "src" / "luthier" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    for hunk in "\n@@\n".join(edit.rstrip("\n") for edit in EDITS).split("\n@@\n"):
        lines = hunk.splitlines()
        before = "".join(line[1:] + "\n" for line in lines if line[0] in " -")
        after = "".join(line[1:] + "\n" for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"docs/adding.md shows registry.py as it is no longer:\n{before}"
        text = text.replace(before, after)
    registry.write_text(text, encoding="utf-8")
    return folder


def follow(house: Path, command: str, *options: str) -> str:
    """What a command of the page prints in the copy."""
    word, *arguments = shlex.split(command)
    assert word == "luthier"
    done = subprocess.run(
        [sys.executable, "-m", "luthier.cli", *arguments, *options],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_adds_three_things_and_runs_them():
    assert [Path(name).name for name, _ in FILES] == ["my_norms.py", "my_length.py", "my_brief.py", "my_study.yaml"]
    assert len(EDITS) == 3
    assert [command.split()[1] for command in COMMANDS[0].splitlines()] == ["methods", "study"]
    for edit in EDITS:  # an import and one word
        assert len([line for line in edit.splitlines() if line.startswith("+")]) == 2


def test_a_toy_method_metric_and_prompting_in_a_study(house: Path):
    methods, study = COMMANDS[0].splitlines()
    listed = follow(house, methods)
    assert {"my_norms", "my_length", "my_brief"} <= set(listed.split())

    model = tiny_model("llama", house / "tiny", context=1024)
    small = {"train": 8, "validation": 2, "test": 3}
    follow(
        house,
        study,
        *("--device", "cpu", "--workers", "1"),
        *("--set", f"models.0={model}", "--set", "seeds=[0]", "--set", "baselines=false", "--set", "controls=false"),
        *("--set", f"tasks.0.limit={json.dumps(small)}", "--set", "tasks.0.generation.max_new_tokens=4"),
        *("--set", "training={epochs: 1, batch_size: 4, validations: 0}"),
    )
    store = Store(house / "runs" / "mine")
    results = json.loads((store.root / "results.json").read_text(encoding="utf-8"))
    arms = {arm["arm"]: arm for arm in results["arms"]}
    assert list(arms) == ["zero_shot", "my_brief", "my_norms", "both"]
    assert {arm["status"] for arm in arms.values()} == {"finished"}
    assert all("my_length" in arm["scores"] for arm in arms.values())
    for name in ("my_norms", "both"):
        # Five layers of width 64 are normalised: two in each of two blocks, and the last.
        assert arms[name]["cost"]["trainable_parameters"] == 5 * 64
        assert arms[name]["method"] == "my_norms"
    nll = {name: arm["scores"]["nll"]["mean"] for name, arm in arms.items()}
    assert len(set(nll.values())) == 4  # each of the two changes something, and both change more
    assert nll["my_norms"] < nll["zero_shot"]  # it learns
