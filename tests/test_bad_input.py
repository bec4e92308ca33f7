"""Mistakes in what was given: found before any work, one clear message, exit code 2, and nothing is written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier import cli
from tests.small_study import files

StudyYaml = Callable[..., Path]
Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs `luthier study`, checks that it was refused before any work, and gives the message."""

    def call(path: Path | str, *options: str) -> str:
        out = tmp_path / "out"
        default = [] if "--device" in options else ["--device", "cpu"]
        arguments = ["luthier", "study", str(path), "--out", str(out), *default, *options]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert end.value.code == 2
        assert printed.out == ""
        assert "Traceback" not in printed.err
        assert not out.exists()
        return printed.err

    return call


def test_no_such_study_file(refused: Refused, tmp_path: Path):
    message = refused(tmp_path / "none.yaml")
    assert message == f"luthier: no such file\n  where: {tmp_path}/none.yaml\n  mend:  check the path\n"


def test_not_yaml_and_not_a_study(refused: Refused, tmp_path: Path):
    broken, empty = tmp_path / "broken.yaml", tmp_path / "empty.yaml"
    broken.write_text("models: [a\narms: lora\n")
    assert f"where: {broken}:2" in refused(broken)
    empty.write_text("# nothing yet\n")
    assert "not a study: it has no keys" in refused(empty)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": [{"lora": {"rnak": 8}}]}, "arms.0.stages.0.method.lora: rnak: no such key; did you mean rank?"),
        ({"seds": [0]}, "seds: no such key; did you mean seeds?"),
        ({"task": {"primry": "nll"}}, "tasks.0: primry: no such key; did you mean primary?"),
        ({"arms": ["lorra"]}, "lorra: no such name; did you mean lora?"),
        ({"arms": ["lora", "lora"]}, "two arms are called lora: give one of them a `name`"),
        ({"reference": "full"}, "reference: there is no arm full; there are zero_shot, lora"),
        ({"task": {"primary": "chrf"}}, "primary: no metric here measures chrf; they measure rouge"),
        ({"arms": None}, "arms: Field required"),
    ],
)
def test_keys_and_names(changes: dict[str, Any], message: str, refused: Refused, study_yaml: StudyYaml):
    path = study_yaml(**changes)
    printed = refused(path)
    assert message in printed and f"where: {path}" in printed


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("nonsense", "'nonsense' is not an assignment"),
        ("seeds.5=1", "'5' is not a position in a list of 1"),
        ("seeds=[", "'[' is not a YAML value"),
        ("sedes=[1]", "sedes: no such key; did you mean seeds?"),
        ("seeds=none", "seeds"),
    ],
)
def test_assignments(assignment: str, message: str, refused: Refused, study_yaml: StudyYaml):
    assert message in refused(study_yaml(), "--set", assignment)


def test_options(refused: Refused, study_yaml: StudyYaml):
    assert "Invalid value for '--workers'" in refused(study_yaml(), "--workers", "0")
    assert "tpu: no such device" in refused(study_yaml(), "--device", "tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(refused: Refused, study_yaml: StudyYaml):
    assert "cuda was asked for, and torch sees 0 GPUs" in refused(study_yaml(), "--device", "cuda")


@pytest.fixture
def with_lines(study_yaml: StudyYaml, rows: Path, tmp_path: Path) -> Callable[..., Path]:
    """A study whose training file has these lines more."""

    def write(*lines: str, **task: Any) -> Path:
        train = tmp_path / "train.jsonl"
        train.write_text((rows / "train.jsonl").read_text() + "".join(line + "\n" for line in lines))
        return study_yaml(task={"data": {**files(rows), "train": str(train)}, **task})

    return write


def test_no_such_data_file(refused: Refused, study_yaml: StudyYaml, rows: Path):
    path = study_yaml(task={"data": {**files(rows), "test": str(rows / "tset.jsonl")}})
    message = refused(path)
    assert "no such file" in message and f"where: {rows}/tset.jsonl" in message


def test_a_line_that_is_no_json(refused: Refused, with_lines: Callable[..., Path], tmp_path: Path):
    message = refused(with_lines('{"dialogue": "Anna: hi."', '{"dialogue": "Ben: hi.", "summary": "Hi."}'))
    assert "1 of 21 rows cannot be used" in message
    assert f"{tmp_path}/train.jsonl:13: " in message
    assert "--skip-bad-rows" in message


def test_an_empty_completion(refused: Refused, with_lines: Callable[..., Path], tmp_path: Path):
    message = refused(with_lines('{"dialogue": "Anna: hi.", "summary": " "}'))
    assert f"{tmp_path}/train.jsonl:13: empty reference" in message


def test_a_field_that_no_row_has(refused: Refused, study_yaml: StudyYaml):
    message = refused(study_yaml(task={"prompt": "{{ dialog }}\n\nSummary:"}))
    assert "dialog" in message and "dialogue" in message


def test_a_row_that_is_too_long(refused: Refused, study_yaml: StudyYaml, long_rows: Path):
    message = refused(study_yaml(task={"data": files(long_rows)}))
    assert "2 rows of task meetings are longer than the context" in message
    assert f"{long_rows}/train.jsonl:13, {long_rows}/test.jsonl:5" in message


def test_tuned_arms_without_a_training_set(refused: Refused, study_yaml: StudyYaml, rows: Path):
    message = refused(study_yaml(task={"data": {"test": str(rows / "test.jsonl")}}))
    assert "task meetings has no training examples, and lora need some" in message


def _without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _truncated(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _own_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "modeling_x.X"}}))


def _without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_weights, "the folder holds no weights"),
        (_truncated, "model.safetensors is truncated"),
        (_pickled, "pytorch_model.bin: pickled weights are refused"),
        (_own_code, "config.json names code of the model's own (auto_map)"),
        (_without_tokenizer, "the folder holds no tokenizer"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_damaged_model(
    damage: Callable[[Path], None],
    message: str,
    refused: Refused,
    study_yaml: StudyYaml,
    decoder: Path,
    tmp_path: Path,
):
    folder = shutil.copytree(decoder, tmp_path / "damaged")
    damage(folder)
    printed = refused(study_yaml(models=[str(folder)]))
    assert message in printed and str(folder) in printed


def test_no_such_model(refused: Refused, study_yaml: StudyYaml, tmp_path: Path):
    assert "no such folder" in refused(study_yaml(models=[str(tmp_path / "none")]))
    assert "no such house model" in refused(study_yaml(models=["house/decodr"]))


def test_an_output_folder_in_use(
    study_yaml: StudyYaml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    hold = (
        "import sys\nfrom luthier.core.store import Store\n"
        "with Store(sys.argv[1]).held():\n    print(flush=True)\n    sys.stdin.readline()"
    )
    holder = subprocess.Popen([sys.executable, "-c", hold, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        holder.stdout.readline()
        arguments = ["luthier", "study", str(study_yaml()), "--out", str(out), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        holder.communicate(b"\n", timeout=30)
    assert end.value.code == 2
    printed = capsys.readouterr().err
    assert "another process is working in this output folder" in printed and str(out) in printed
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_from_a_real_command_line(study_yaml: StudyYaml, tmp_path: Path):
    """Once through a process of its own: what the shell sees."""
    path = study_yaml(arms=[{"lora": {"rnak": 8}}])
    command = [sys.executable, "-m", "luthier.cli", "study", str(path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("luthier: arms.0.stages.0.method.lora: rnak: no such key; did you mean rank?\n")
    assert not (tmp_path / "out").exists()
