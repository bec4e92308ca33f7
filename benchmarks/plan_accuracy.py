"""How right `luthier plan` is: predicted against measured memory and time, on this machine.

    OMP_NUM_THREADS=1 python benchmarks/plan_accuracy.py --json runs/plan_accuracy.json

Every cell is a training by `training/loop.py` of a small model with random weights: {decoder, encoder, encoder-decoder}
x {full, LoRA, prompt tuning} x two lengths. Memory is the peak of live tensor bytes in the third step, kept by the
planner's ledger over real tensors; beside it stands the same peak by torch's own allocator (its profiler's memory
events), which also sees what kernels allocate for themselves. Time is processor time of one thread (other processes
stretch wall-clock, not this), the median over steps, the cells taken in turns so that a slow minute hits all of them.

The encoder is trained on masked tokens, the others on answers. A cell fails where memory is off by more than 10% or
time by more than 25%.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from luthier.core.training_settings import TrainingSettings
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.architectures import T5, Bert
from luthier.models.batch import Batch
from luthier.models.flat import use_flat_attention
from luthier.objectives.supervised import Supervised
from luthier.planner.calibration import calibrated
from luthier.planner.seconds import step_seconds
from luthier.planner.step import Precision, Way, trace
from luthier.planner.subject import Rows, Subject, find_subject, rows

MEMORY_BOUND, TIME_BOUND = 0.10, 0.25
LENGTHS = (128, 384)
BATCH = 4
METHODS: tuple[Method, ...] = (Full(), LoRA(), PromptTuning())


@dataclass
class Cell:
    """One comparison; bytes and seconds of a step."""

    kind: str
    method: str
    length: int
    predicted_bytes: int
    measured_bytes: int
    allocator_bytes: int
    predicted_seconds: float
    measured_seconds: float

    @property
    def memory_error(self) -> float:
        return self.predicted_bytes / self.measured_bytes - 1

    @property
    def time_error(self) -> float:
        return self.predicted_seconds / self.measured_seconds - 1

    @property
    def held(self) -> bool:
        return abs(self.memory_error) <= MEMORY_BOUND and abs(self.time_error) <= TIME_BOUND


class Same:
    """The same micro-batches in every step."""

    def __init__(self, batches: list[Batch], steps: int):
        self.batches, self.steps_per_epoch = batches, steps

    def step(self, epoch: int, index: int) -> list[Batch]:
        return self.batches

    def validation(self) -> list[Batch]:
        return []


@dataclass
class Training:
    """A real training of one cell, from random weights."""

    subject: Subject
    method: Method
    rows: Rows
    precision: Precision

    def run(self, steps: int, notify: Any) -> None:
        """Train for so many steps; `notify` is called after each."""
        import torch

        from luthier.regularisers.regulariser import NoRegulariser
        from luthier.training.loop import train

        torch.manual_seed(0)
        model = self.subject.build("cpu")
        flat = use_flat_attention(model) and self.method.flat_on(self.subject.kind)
        train(
            self.method.attach(model, None),
            Same(self.rows.batches(self.subject, flat=flat), steps),
            method=self.method,
            objective=Supervised(),
            regulariser=NoRegulariser(),
            settings=TrainingSettings(steps=steps, validations=0),
            learning_rate=1e-4,
            precision=self.precision,
            notify=notify,
        )

    def live_bytes(self) -> int:
        """The peak of live tensor bytes in the third step."""
        from luthier.planner.ledger import Ledger

        ledger = Ledger(vocabulary=0)
        with ledger:
            self.run(3, lambda phase, step, *_: ledger.clear() if step == 2 else None)
        return ledger.peak.total()

    def allocator_bytes(self) -> int:
        """The most that torch's allocator had handed out at once, in any of three steps."""
        import torch

        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            self.run(3, lambda *_: None)
        held = most = 0
        for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
            if event.name() == "[memory]":
                held += event.nbytes()
                most = max(most, held)
        return most

    def seconds(self, steps: int) -> float:
        """Processor seconds of a step, the median of all but the first."""
        marks: list[float] = []
        self.run(steps + 1, lambda *_: marks.append(time.thread_time()))
        return statistics.median(after - before for before, after in pairwise(marks))


def subjects() -> Iterator[Subject]:
    """The house decoder, and an encoder and an encoder-decoder of the house models' sizes, as configs."""
    yield find_subject("house/decoder")
    ids = SimpleNamespace(pad_token_id=0, eos_token_id=2)
    for architecture in (
        Bert(layers=4, d_feed_forward=1024, vocabulary=4096),
        T5(layers=4, d_feed_forward=544, vocabulary=4096, context=512),
    ):
        with tempfile.TemporaryDirectory() as folder:
            architecture.build(ids).config.save_pretrained(folder)
            # The folder goes, the config stays.
            yield find_subject(folder)


def cells(precision: Precision, lengths: Sequence[int], rounds: int, steps: int) -> list[Cell]:
    """Every cell, its times taken in so many rounds."""
    import torch

    found, trainings = [], []
    rates = calibrated(torch.get_num_threads())
    for subject in subjects():
        for method in METHODS:
            for length in lengths:
                purpose = "pretraining" if subject.kind == "encoder" else "supervised"
                added = method.added_positions
                the_rows = rows(subject, count=BATCH, length=length, purpose=purpose, added=added)  # type: ignore[arg-type]
                traced = trace(subject, Way(method, precision), the_rows, Supervised())
                training = Training(subject, method, the_rows, precision)
                trainings.append(training)
                found.append(
                    Cell(
                        subject.kind,
                        method.name,
                        length,
                        traced.peak_bytes,
                        training.live_bytes(),
                        training.allocator_bytes(),
                        step_seconds(traced, rates),
                        0.0,
                    )
                )
                print(subject.kind, method.name, length, "planned and weighed", file=sys.stderr, flush=True)
    taken: list[list[float]] = [[] for _ in found]
    for _ in range(rounds):
        for place, training in enumerate(trainings):
            taken[place].append(training.seconds(steps))
    for cell, seconds in zip(found, taken, strict=True):
        cell.measured_seconds = statistics.median(seconds)
    return found


def table(found: Sequence[Cell]) -> str:
    """Markdown."""
    lines = [
        "| model | method | length | peak, planned | measured | off | allocator | step, planned | measured | off |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for cell in found:
        lines.append(
            f"| {cell.kind} | {cell.method} | {cell.length} | {cell.predicted_bytes / 1e6:.1f} MB "
            f"| {cell.measured_bytes / 1e6:.1f} MB | {cell.memory_error:+.1%} | {cell.allocator_bytes / 1e6:.1f} MB "
            f"| {1000 * cell.predicted_seconds:.0f} ms | {1000 * cell.measured_seconds:.0f} ms "
            f"| {cell.time_error:+.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table; exit code 1 where a cell missed its bound."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for name in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    found = cells(options.precision, options.lengths, options.rounds, options.steps)
    print(table(found))
    worst_memory = max(abs(cell.memory_error) for cell in found)
    worst_time = max(abs(cell.time_error) for cell in found)
    held = sum(cell.held for cell in found)
    print(f"{held} of {len(found)} cells held; at worst {worst_memory:.1%} of memory, {worst_time:.0%} of time")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(cell) for cell in found], indent=1) + "\n", encoding="utf-8")
    if held < len(found):
        sys.exit(1)


if __name__ == "__main__":
    main()
