"""Where a run ran (versions, git state, processor, memory, GPUs: `environment.json`), and what its machine can do.

torch is not asked for any of it: the answers come from package metadata, the operating system and `nvidia-smi`, so that
planning a study never pays for an import.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from luthier.core.settings import digest
from luthier.version import __version__

LIBRARIES = (
    "torch",
    "transformers",
    "peft",
    "lightning",
    "datasets",
    "tokenizers",
    "safetensors",
    "pydantic",
    "numpy",
    "scipy",
    "rouge-score",
    "sacrebleu",
)
"""The libraries whose version may change a number in a report."""

_CPU_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""x86 (AVX-512, AMX) and ARM, as `/proc/cpuinfo` names them."""
_GPU_BF16_CAPABILITY = 8.0
"""Ampere, the first CUDA compute capability with bf16 tensor cores."""


def capture_environment(folder: Path | str = ".") -> dict[str, Any]:
    """What `environment.json` holds, as plain data. What cannot be found out is null.

    Args:
        folder: the project whose git state is recorded; the working directory by default.
    """
    return {
        "luthier": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _installed_version(name) for name in LIBRARIES},
        "git": _git_state(folder),
        "cpu": {
            "model": _cpu_model(),
            "cores": os.cpu_count(),
            "usable_cores": usable_cores(),
            "bf16": has_fast_bf16("cpu"),
        },
        "memory_bytes": memory_bytes(),
        "gpus": [{"name": gpu.name, "memory_bytes": gpu.memory_bytes} for gpu in _gpus()],
    }


def machine_file(name: str, *depends: Any) -> Path:
    """Where the user's cache folder keeps what was measured on this machine; another machine has another file.

    Args:
        name: what was measured, in a word.
        depends: what else it depends on (libraries, threads, shapes).
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "luthier" / f"{name}-{digest([platform.machine(), _cpu_model(), os.cpu_count(), *depends])}.json"


def usable_cores() -> int:
    """How many cores this process may use: those that it is allowed on, within the container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota, period = [*_read("/sys/fs/cgroup/cpu.max").split(), "", ""][:2]
    if quota.isdigit() and period.isdigit():
        cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def peak_memory_bytes() -> int:
    """The most memory that this process has held so far, in bytes.

    On Linux this is `VmHWM` and not `getrusage`, whose figure a process inherits from the one that started it.
    """
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory() -> None:
    """Let `peak_memory_bytes` count anew, so that one process can tell its runs apart (Linux; elsewhere nothing).

    What the run before left is given back first: Python's garbage, and what glibc's allocator keeps for later.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def gpu_count() -> int:
    """How many NVIDIA GPUs this process may use; `CUDA_VISIBLE_DEVICES` narrows them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return len(_gpus())
    return min(len(_gpus()), len([entry for entry in visible.split(",") if entry.strip() not in ("", "-1")]))


def has_fast_bf16(device: str) -> bool:
    """Whether bfloat16 is quicker than float32 on a device (`cpu`, `cuda`, `cuda:1`): done in hardware, not emulated.

    Of several GPUs, all must have it.
    """
    kind = device.partition(":")[0]
    if kind == "cpu":
        return not _CPU_BF16_FLAGS.isdisjoint(_cpu_flags(_read("/proc/cpuinfo")))
    if kind == "cuda":
        gpus = _gpus()
        return bool(gpus) and all(gpu.capability >= _GPU_BF16_CAPABILITY for gpu in gpus)
    return False


def _cpu_flags(cpuinfo: str) -> set[str]:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def _cpu_model() -> str | None:
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or None


def memory_bytes() -> int | None:
    """The machine's memory, in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


@dataclass(frozen=True)
class _Gpu:
    name: str
    memory_bytes: int | None
    capability: float


@cache
def _gpus() -> tuple[_Gpu, ...]:
    """The NVIDIA GPUs of this machine; none where there is no device file."""
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return ()
    query = ("nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits")
    return _read_gpus(_output(*query) or "")


def _read_gpus(table: str) -> tuple[_Gpu, ...]:
    gpus = []
    for line in table.splitlines():
        name, memory, capability = (cell.strip() for cell in line.rsplit(",", 2))
        # A GPU that shares the machine's memory says [N/A].
        memory_bytes = int(memory) * 2**20 if memory.isdigit() else None
        gpus.append(_Gpu(name, memory_bytes, float(capability)))
    return tuple(gpus)


def _git_state(folder: Path | str) -> dict[str, Any] | None:
    """The commit, and whether tracked files differ from it; null outside a repository or where there is no commit."""
    commit = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": changes != ""}


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    """What a command prints; null where it is missing, fails, or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
