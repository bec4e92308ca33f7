"""A whole plan: what is asked, and what it costs in memory, operations, time and money."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from luthier.core.environment import has_fast_bf16
from luthier.core.errors import LuthierError
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.objectives.supervised import Supervised
from luthier.planner.advice import Fit, adaptation_ways, fits, sentence
from luthier.planner.kv_cache import kv_cache_bytes
from luthier.planner.machines import Machine, find_machine
from luthier.planner.seconds import UTILISATION, gpu_seconds, step_seconds
from luthier.planner.step import Precision, Traced, Way, trace
from luthier.planner.subject import Purpose, Rows, Subject, find_subject, rows


@dataclass(frozen=True)
class Asked:
    """What a plan is made for.

    Attributes:
        model: a house model, a folder, or a hub id.
        method: which weights move.
        purpose: `supervised` or `pretraining`.
        batch_size: rows an optimizer step.
        length: tokens of a row.
        answer: those of them that are scored; a quarter by default.
        machine: `here`, `cpu`, or a GPU's name.
        precision: `auto`, `fp32` or `bf16`.
        micro_tokens: the most tokens of one forward pass.
        checkpointing: compute activations again instead of keeping them.
        examples, epochs: of a training.
        price: of an hour of the machine.
        threads: of the processor.
        utilisation: the share of a GPU's peak that is taken to be reached.
    """

    model: str
    method: Method
    purpose: str = "supervised"
    batch_size: int = 8
    length: int = 512
    answer: int | None = None
    machine: str = "here"
    precision: str = "auto"
    micro_tokens: int = 4096
    checkpointing: bool = False
    examples: int | None = None
    epochs: float = 2.0
    price: float | None = None
    threads: int = 1
    utilisation: float = UTILISATION


@dataclass(frozen=True)
class Planned:
    """A plan.

    Attributes:
        asked: what it is for.
        subject: the model.
        rows: of a step.
        machine: where.
        precision: as resolved.
        traced: memory and operations of a step.
        kv_cache_bytes: when answers are generated, for a batch of such rows; None where there is none.
        step_seconds: of an optimizer step.
        steps: of the training; None where no number of examples was given.
        fits: the largest passes of full fine-tuning, LoRA and QLoRA, and of another method that was asked for.
        advice: one sentence.
    """

    asked: Asked
    subject: Subject
    rows: Rows
    machine: Machine
    precision: Precision
    traced: Traced
    kv_cache_bytes: int | None
    step_seconds: float
    steps: int | None
    fits: list[Fit]
    advice: str

    @property
    def seconds(self) -> float | None:
        """Of the training."""
        return None if self.steps is None else self.steps * self.step_seconds

    @property
    def cost(self) -> float | None:
        """Of the training, in the price's money."""
        if self.seconds is None or self.asked.price is None:
            return None
        return self.seconds / 3600 * self.asked.price

    @property
    def basis(self) -> str:
        """Where the time comes from."""
        if self.machine.here:
            threads = self.asked.threads
            return f"measured on this processor, {threads} thread{'' if threads == 1 else 's'}"
        return f"assumes {self.asked.utilisation:.0%} of the data sheet's peak; not measured, small models take longer"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "model": self.asked.model,
            "kind": self.subject.kind,
            "parameters": self.traced.parameters,
            "trained": self.traced.trained,
            "method": self.asked.method.label(),
            "objective": self.asked.purpose,
            "precision": self.precision,
            "checkpointing": self.asked.checkpointing,
            "batch_size": self.rows.count,
            "length": self.rows.length,
            "answer": self.rows.answer,
            "passes": self.traced.passes,
            "machine": {
                "name": self.machine.name,
                "memory_bytes": self.machine.memory_bytes,
                "usable_bytes": self.machine.usable_bytes,
            },
            "memory": {**self.parts, "peak": self.traced.peak_bytes},
            "kv_cache_bytes": self.kv_cache_bytes,
            "flops": self.traced.flops,
            "step_seconds": self.step_seconds,
            "time_basis": self.basis,
            "steps": self.steps,
            "seconds": self.seconds,
            "cost": self.cost,
            "fits": [asdict(one) for one in self.fits],
            "advice": self.advice,
        }

    @property
    def parts(self) -> Mapping[str, int]:
        """Part -> bytes at the peak, the largest first; what is less than a thousandth of the whole is left out."""
        least = self.traced.peak_bytes / 1000
        return dict(
            sorted(((p, size) for p, size in self.traced.peak.items() if size > least), key=lambda item: -item[1])
        )


def make_plan(asked: Asked, *, offline: bool = False, seconds: Callable[[Traced], float] | None = None) -> Planned:
    """Plan an adaptation.

    Args:
        asked: what is planned.
        offline: look hub ids up in the cache only.
        seconds: of a step, in place of what this machine's processor is measured to take.

    Raises:
        LuthierError: no such model or machine, an architecture that cannot be built, numbers that cannot be.
    """
    _check(asked)
    machine = find_machine(asked.machine)
    precision = _precision(asked.precision, machine)
    subject = find_subject(asked.model, offline=offline)
    the_rows = rows(
        subject,
        count=asked.batch_size,
        length=asked.length,
        answer=asked.answer,
        purpose=cast(Purpose, asked.purpose),
        micro_tokens=asked.micro_tokens,
        added=asked.method.added_positions,
    )
    way = Way(asked.method, precision, checkpointing=asked.checkpointing, foreach=not machine.here)
    objective = Supervised()  # the loss of every purpose: cross-entropy of the rows' scored tokens
    traced = trace(subject, way, the_rows, objective)
    full, lora = (
        Way(method, precision, checkpointing=asked.checkpointing, foreach=way.foreach)
        for method in (Full(), asked.method if isinstance(asked.method, LoRA) else LoRA())
    )
    found = fits(subject, adaptation_ways(way, full, lora), the_rows, objective, machine)
    if seconds is None:
        taken = (
            _here(traced, asked.threads) if machine.here else gpu_seconds(traced, machine, precision, asked.utilisation)
        )
    else:
        taken = seconds(traced)
    return Planned(
        asked=asked,
        subject=subject,
        rows=the_rows,
        machine=machine,
        precision=precision,
        traced=traced,
        kv_cache_bytes=kv_cache_bytes(subject, the_rows),
        step_seconds=taken,
        steps=_steps(asked),
        fits=found,
        advice=sentence(found, the_rows, machine, traced.peak_bytes, asked.method.name),
    )


def _here(traced: Traced, threads: int) -> float:
    from luthier.planner.calibration import calibrated, keep

    rates = calibrated(threads)
    taken = step_seconds(traced, rates)
    keep(rates)
    return taken


def _steps(asked: Asked) -> int | None:
    """As the training loop counts them: the last batch of an epoch may be a smaller one."""
    if asked.examples is None:
        return None
    return max(1, math.ceil(round(asked.epochs * math.ceil(asked.examples / asked.batch_size), 6)))


def _check(asked: Asked) -> None:
    if not asked.method.trains:
        raise LuthierError(f"{asked.method.name} trains nothing", where="--method", mend="name a method that trains")
    positive = {
        "--examples": asked.examples,
        "--epochs": asked.epochs,
        "--price": asked.price,
        "--threads": asked.threads,
    }
    for option, value in positive.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise LuthierError(f"{value} is not a positive number", where=option, mend="give more than 0")
    if not 0 < asked.utilisation <= 1:
        raise LuthierError(
            f"{asked.utilisation} is no share of a peak", where="--utilisation", mend="give more than 0 and at most 1"
        )
    if asked.purpose not in ("supervised", "pretraining"):
        raise LuthierError(
            f"{asked.purpose}: no such objective to plan", where="--objective", mend="say supervised or pretraining"
        )
    if asked.precision not in ("auto", "fp32", "bf16"):
        raise LuthierError(f"{asked.precision}: no such precision", where="--precision", mend="say auto, fp32 or bf16")


def _precision(word: str, machine: Machine) -> Precision:
    fast = has_fast_bf16("cpu") if machine.here else machine.bf16_flops > 0
    if word == "auto":
        return "bf16" if fast else "fp32"
    if word == "bf16" and not machine.here and not fast:
        raise LuthierError(f"{machine.name} has no bf16", where="--precision", mend="say fp32, or auto")
    return "bf16" if word == "bf16" else "fp32"
