"""What is recorded of the machine, against what the system itself says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from luthier import __version__
from luthier.core import environment
from luthier.core.environment import capture_environment, has_fast_bf16, peak_memory_bytes, usable_cores


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The system's files, as the test writes them; a file that is not among them is empty."""
    contents: dict[str, str] = {}
    monkeypatch.setattr(environment, "_read", lambda path: contents.get(path, ""))
    return contents


def test_it_is_plain_data_with_the_versions_in_use():
    captured = capture_environment()
    assert json.loads(json.dumps(captured)) == captured
    assert captured["luthier"] == __version__
    assert captured["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert captured["libraries"]["torch"] == metadata.version("torch")
    assert None not in captured["libraries"].values()
    assert captured["memory_bytes"] > 2**28


def test_a_library_that_is_missing_is_null(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environment, "LIBRARIES", ("no-such-library",))
    assert capture_environment()["libraries"] == {"no-such-library": None}


def test_git_state(tmp_path: Path):
    assert capture_environment(tmp_path)["git"] is None  # no repository
    _git(tmp_path, "init", "--quiet")
    assert capture_environment(tmp_path)["git"] is None  # no commit
    tracked = tmp_path / "study.yaml"
    tracked.write_text("arms: []\n")
    _git(tmp_path, "add", "study.yaml")
    _git(tmp_path, "commit", "--quiet", "--message", "first")
    commit = _git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "results.csv").write_text("untracked\n")
    assert capture_environment(tmp_path)["git"] == {"commit": commit, "dirty": False}
    tracked.write_text("arms: [lora]\n")
    assert capture_environment(tmp_path)["git"] == {"commit": commit, "dirty": True}


def test_git_may_be_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert capture_environment()["git"] is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux ties processes to cores")
def test_usable_cores_are_those_that_the_process_is_allowed_on(files: dict[str, str]):
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert usable_cores() == len(allowed)


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("350000 100000", 3), ("50000 100000", 1), ("", 8)])
def test_usable_cores_respect_the_containers_quota(
    quota: str, cores: int, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    files["/sys/fs/cgroup/cpu.max"] = quota
    assert usable_cores() == cores


@pytest.mark.parametrize(
    ("cpuinfo", "fast"),
    [
        ("model name\t: A\nflags\t\t: fpu avx2 avx512_bf16 ssse3\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),  # ARM
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("model name\t: avx512_bf16\n", False),
        ("", False),
    ],
)
def test_bf16_on_a_cpu(cpuinfo: str, fast: bool, files: dict[str, str]):
    files["/proc/cpuinfo"] = cpuinfo
    assert has_fast_bf16("cpu") is fast


@pytest.mark.parametrize(
    ("table", "fast"),
    [
        ("NVIDIA H100 80GB HBM3, 81559, 9.0", True),
        ("NVIDIA A100, 40960, 8.0\nTesla T4, 15360, 7.5", False),
        ("", False),
    ],
)
def test_bf16_on_gpus(table: str, fast: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environment, "_gpus", lambda: environment._read_gpus(table))
    assert has_fast_bf16("cuda") is fast
    assert has_fast_bf16("cuda:0") is fast


def test_no_other_device_is_taken_to_have_bf16():
    assert has_fast_bf16("mps") is False


def test_gpus_are_recorded_with_their_memory(monkeypatch: pytest.MonkeyPatch):
    table = "Tesla T4, 15360, 7.5\nA GPU, with a comma, [N/A], 12.1"  # the second shares the machine's memory
    monkeypatch.setattr(environment, "_gpus", lambda: environment._read_gpus(table))
    assert capture_environment()["gpus"] == [
        {"name": "Tesla T4", "memory_bytes": 15360 * 2**20},
        {"name": "A GPU, with a comma", "memory_bytes": None},
    ]


def test_peak_memory_is_what_the_process_held_and_stays_after_it_is_freed():
    before = peak_memory_bytes()
    held = bytearray(before + 2**26)
    held[::4096] = b"x" * len(held[::4096])
    size = len(held)
    del held
    assert size <= peak_memory_bytes() < before + size + 2**26


def test_peak_memory_is_not_inherited_from_the_parent():
    held = bytearray(2**28)
    held[::4096] = b"x" * len(held[::4096])
    code = "from luthier.core.environment import peak_memory_bytes; print(peak_memory_bytes())"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert 2**20 < int(printed) < 2**27
    assert peak_memory_bytes() > 2**28
    del held


def test_neither_it_nor_the_package_imports_torch():
    code = "import sys, luthier.core.environment as e; e.capture_environment(); print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "False"
