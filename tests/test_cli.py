"""The command line: quick where it can be, quiet about libraries, and clear about how it ends."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier import cli
from luthier.core.store import Store
from luthier.study import Study
from tests.small_study import everything_in, steps

StudyYaml = Callable[..., Path]
WITHOUT_TORCH = """
import sys
from luthier.cli import main
try:
    main()
finally:
    heavy = {"torch", "transformers", "peft", "lightning", "datasets", "matplotlib"} & set(sys.modules)
    assert not heavy, heavy
"""


@pytest.fixture
def luthier(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls the command in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["luthier", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, printed.out, printed.err

    return call


def without_torch(*arguments: object) -> str:
    """What a command prints, in a process that fails where it has imported torch and its like."""
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_comes_at_once():
    """In processor time, which a busy machine does not stretch; the best of three."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "luthier.cli", "--help"], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0 and "study" in done.stdout and "--dry-run" not in done.stdout
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.5


def test_a_dry_run_prints_every_run_without_torch_and_writes_nothing(study_yaml: StudyYaml, tmp_path: Path):
    path = study_yaml(arms=["zero_shot", "few_shot", "lora"], seeds=[0, 1], baselines=True)
    before = everything_in(tmp_path)
    printed = without_torch("study", path, "--out", tmp_path / "out", "--dry-run", "--device", "cpu")
    runs = Study.load(path).plan(device="cpu", check_lengths=False).runs
    lines = printed.splitlines()
    assert len(runs) == 8
    for line, run in zip(lines, runs, strict=False):
        assert line.startswith(run.run_key()) and f"seed {run.seed}  ~" in line and line.endswith(" s")
        assert run.arm.name in line.split() and run.model.name in line.split()
    assert lines[8].endswith(": 12 train, 3 validation, 4 test")
    assert lines[9].startswith("8 runs, roughly ")
    assert everything_in(tmp_path) == before


def test_a_dry_run_as_json(study_yaml: StudyYaml, luthier: Callable[..., Any]):
    code, out, _ = luthier("study", study_yaml(), "--dry-run", "--json", "--set", "seeds=[5]")
    assert code == 0
    rows = json.loads(out)
    assert [(row["arm"], row["seed"]) for row in rows] == [("zero_shot", 5), ("lora", 5)]
    assert all(len(row["digest"]) == 16 and row["seconds"] > 0 for row in rows)


def test_a_study_from_the_command_line(study_yaml: StudyYaml, luthier: Callable[..., Any], tmp_path: Path):
    out, path = tmp_path / "out", study_yaml()
    command = ["study", path, "--out", out, "--device", "cpu", "--workers", 1]
    code, printed, noise = luthier(*command)
    assert (code, noise) == (0, "")
    assert f"report: {out / 'report.html'}" in printed
    assert "lora" in printed and "rougeL" in printed
    assert Store(out).study()["command"] == " ".join(["luthier", *map(str, command)])

    before = steps(Store(out), "predict")
    code, printed, noise = luthier(*command, "--json")
    assert code == 0
    assert json.loads(printed)["study"] == "small"
    assert "lora" in noise  # the progress, which must not stand in the JSON
    assert steps(Store(out), "predict") == before

    (out / "report.html").unlink()
    code, printed, _ = luthier("report", out)
    assert code == 0 and (out / "report.html").is_file()


def test_a_finished_study_needs_no_torch(study_yaml: StudyYaml, tmp_path: Path):
    path, out = study_yaml(), tmp_path / "out"
    Study.load(path).run(out, device="cpu")
    script = (
        "import sys\n"
        "from luthier.study import Study\n"
        "study = Study.load(sys.argv[1]).run(sys.argv[2], device='cpu', workers=2)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
        "print(len(study.results))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path), str(out)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_a_failed_run_ends_the_command_with_1(study_yaml: StudyYaml, luthier: Callable[..., Any], tmp_path: Path):
    diverging = {"name": "diverging", "method": "full", "learning_rate": 1e30, "warmup": 0.0}
    path, out = study_yaml(arms=["zero_shot", diverging]), tmp_path / "out"
    code, printed, _ = luthier("study", path, "--out", out, "--device", "cpu", "--workers", 1)
    assert code == 1
    assert "Traceback" not in printed and "not finite" in printed
    arms = {arm["arm"]: arm for arm in json.loads((out / "results.json").read_text())["arms"]}
    assert arms["zero_shot"]["status"] == "finished"
    assert arms["diverging"]["status"] == "failed" and "not finite" in arms["diverging"]["error"]


def test_an_interrupt_says_that_nothing_is_lost(
    study_yaml: StudyYaml, luthier: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("luthier.together.run", interrupted)
    command = ["study", study_yaml(), "--out", tmp_path / "out", "--device", "cpu", "--workers", 1]
    code, _, noise = luthier(*command)
    assert code == 130
    again = " ".join(["luthier", *map(str, command)])
    assert noise == f"\nstopped; what was done is kept; to go on: {again}\n"


def test_the_listings_need_no_torch():
    assert "lora" in without_torch("methods")
    assert without_torch("methods", "--markdown").startswith("| word | kind |")


def test_the_schemas(luthier: Callable[..., Any]):
    for what, key in (("study", "arms"), ("pretrain", "sources")):
        code, out, _ = luthier("schema", what)
        schema = json.loads(out)
        assert code == 0 and key in schema["properties"]
    assert "did you" not in out
    code, _, noise = luthier("schema", "nonsense")
    assert code == 2 and noise.startswith("luthier: nonsense: no such file kind")


def test_the_doctor_says_what_is_there(luthier: Callable[..., Any]):
    code, out, _ = luthier("doctor")
    found = json.loads(out)
    assert code == 0 and found["cpu"]["cores"] == os.cpu_count() and "house_models" in found


def test_a_pretraining_dry_run_prints_the_file_resolved(luthier: Callable[..., Any], tmp_path: Path):
    file = Path(__file__).resolve().parents[1] / "studies" / "pretrain" / "decoder.yaml"
    code, out, _ = luthier("pretrain", file, "--out", tmp_path / "out", "--dry-run", "--set", "seed=3")
    assert code == 0 and json.loads(out)["seed"] == 3
    assert not (tmp_path / "out").exists()


def test_report_of_no_study(luthier: Callable[..., Any], tmp_path: Path):
    code, _, noise = luthier("report", tmp_path / "nothing")
    assert code == 2 and "no study was run in this folder" in noise
    assert not (tmp_path / "nothing").exists()


def test_leaks_are_named_before_anything_runs(
    study_yaml: StudyYaml, luthier: Callable[..., Any], rows: Path, tmp_path: Path
):
    data = {"train": str(rows / "train.jsonl"), "test": str(rows / "train.jsonl")}
    file = study_yaml(task={"data": data}, arms=["zero_shot"])
    code, printed, _ = luthier("study", file, "--out", tmp_path / "out", "--device", "cpu", "--workers", 1)
    assert code == 0
    printed = " ".join(printed.split())
    (task,) = Store(tmp_path / "out").study()["tasks"]
    leaked = {pair["id"] for pair in task["leakage"]["pairs"] if pair["split"] == "test"}
    assert len(leaked) == 11 and leaked < set(task["examples"])  # one of the twelve was held out for validation
    assert printed.index("11 of 12 test examples stand (almost)") < printed.index("zero_shot s0 load")
    assert "11 exactly; e.g. train.jsonl:" in printed
    _, dry, _ = luthier("study", file, "--dry-run", "--device", "cpu")
    assert "stand (almost) in the training set" in dry
