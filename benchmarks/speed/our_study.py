"""Our own study on the clock: `luthier study` in a process of its own, and what its records say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.peer import ROOT


@dataclass(frozen=True)
class OurStudy:
    """How the study went.

    Attributes:
        seconds: wall-clock of the whole command, report included.
        workers: runs at once.
        runs: how many it had.
        train_tokens, train_seconds: of all runs together; seconds of one core each.
        new_tokens, predict_seconds: the same of their answers.
        peak_bytes: the most that a worker held.
        first_step: seconds from the start of the command to the end of its first optimizer step.
        loop_began: seconds to the beginning of the first training loop.
    """

    seconds: float
    workers: int
    runs: int
    train_tokens: int
    train_seconds: float
    new_tokens: int
    predict_seconds: float
    peak_bytes: int
    first_step: float
    loop_began: float

    @property
    def train_rate(self) -> float:
        """Trained tokens a second and core."""
        return self.train_tokens / self.train_seconds

    @property
    def answer_rate(self) -> float:
        """Generated tokens a second and core."""
        return self.new_tokens / self.predict_seconds

    def record(self) -> dict[str, Any]:
        """For the JSON file."""
        return {**asdict(self), "train_rate": self.train_rate, "answer_rate": self.answer_rate}


def run_study(study: Path, out: Path, *, workers: int, device: str = "cpu") -> OurStudy:
    """Run the study file into an empty folder.

    Raises:
        RuntimeError: the folder is not empty, it failed, or a run of it did.
    """
    if out.exists() and any(out.iterdir()):
        raise RuntimeError(f"{out} is not empty: its steps would not be measured")
    command = [
        sys.executable, "-m", "luthier.cli", "study", str(study), "--out", str(out), "--workers", str(workers),
        "--device", device,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    log = out.parent / f"{out.name}.log"
    begun = time.perf_counter()
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=ROOT)
        began, first = _first_step(process, out, begun)
        process.wait()
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"luthier study failed: {log.read_text(errors='replace')[-800:]}")
    return _read(out, seconds, workers, began, first)


def weights_of(store: Path, arm: str) -> Path:
    """Where a finished study has the weights of an arm, of the first seed."""
    from luthier.core.store import Store

    for run in Store(store).runs():
        result = run.result()
        if result is not None and result.arm == arm and result.train_key is not None and result.seed == 0:
            return Store(store).step("train", result.train_key).weights
    raise RuntimeError(f"{store}: there are no weights of {arm}")


def _first_step(process: Any, out: Path, begun: float) -> tuple[float, float]:
    """Seconds until the first training log appeared, and until there was a line in it."""
    began = 0.0
    while process.poll() is None:
        logs = list(out.glob("train/*/train.jsonl"))
        now = time.perf_counter() - begun
        began = began or (now if logs else 0.0)
        if any(log.stat().st_size for log in logs):
            return began, now
        time.sleep(0.01)
    return began, 0.0


def _read(out: Path, seconds: float, workers: int, began: float, first: float) -> OurStudy:
    from luthier.core.store import Store

    store = Store(out)
    results = {run.name: run.result() for run in store.runs()}
    for name, result in results.items():
        if result is None or result.status != "finished":
            raise RuntimeError(f"{name}: {result.error if result else 'unfinished'}")
    trained = [store.step("train", folder.name).record() for folder in (out / "train").iterdir()]
    answered = [folder.name for folder in (out / "predict").iterdir()]
    made = [
        prediction.generated_tokens
        for key in answered
        for prediction in store.step("predict", key).predictions()
        if hasattr(prediction, "generated_tokens")
    ]
    return OurStudy(
        seconds=seconds,
        workers=workers,
        runs=len(results),
        train_tokens=sum(one["tokens"] for one in trained),
        train_seconds=sum(one["seconds"] for one in trained),
        new_tokens=sum(made),
        predict_seconds=sum(store.step("predict", key).record()["seconds"] for key in answered),
        peak_bytes=max(one["peak_bytes"] for one in trained),
        first_step=first,
        loop_began=began,
    )
