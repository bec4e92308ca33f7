"""The training step, run on fake tensors: nothing is computed, everything is counted.

It is the step of `training/loop.py` (the objective's loss under autocast, backward, clipping, AdamW), with the model
built from its config and the method attached. What counts is a step after the first: the optimizer's state is there
before it begins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from luthier.core.errors import LuthierError
from luthier.methods.method import Method, trainable
from luthier.models.batch import Batch
from luthier.models.flat import use_flat_attention
from luthier.objectives.objective import Objective
from luthier.planner.fakes import Base
from luthier.planner.subject import FEW, Rows, Subject

if TYPE_CHECKING:
    from luthier.planner.ledger import Ledger
    from luthier.planner.operation import Operation

Precision = Literal["fp32", "bf16"]

_EARLY, _LATE = "backward", "backward, second half"
"""In the backward pass activations go and gradients come, so the worst moment is at one of its ends: each half has a
peak of its own, which grows in a straight line with the depth."""


@dataclass(frozen=True)
class Way:
    """How a training is done.

    Attributes:
        method: what moves.
        precision: of the computation: `fp32`, or `bf16` (autocast).
        base: of the frozen weights that are held: `fp32`, `bf16`, or `nf4` (QLoRA's four bits, see `four_bit.py`).
        checkpointing: whether activations are computed again in the backward pass instead of being kept.
        foreach: whether the optimizer works on all weights at once, as torch's does on a GPU.
    """

    method: Method
    precision: Precision = "fp32"
    base: Base = "fp32"
    checkpointing: bool = False
    foreach: bool = False


@dataclass(frozen=True)
class Traced:
    """What one optimizer step needs.

    Attributes:
        peaks: phase -> part -> bytes, at the moment when most is alive in that phase.
        operations: how often each operation is called.
        calls: how often torch is called at all, views included.
        flops: of matrix products and attention, backward pass and recomputation included.
        parameters, trained: weights of the model (the method's included), and those that move.
        passes: forward passes (micro-batches) a step.
        tokens: a step, padding apart.
    """

    peaks: Mapping[str, Mapping[str, int]]
    operations: Mapping[Operation, int]
    calls: int
    flops: int
    parameters: int
    trained: int
    passes: int
    tokens: int

    @property
    def peak(self) -> Mapping[str, int]:
        """Part -> bytes, at the moment when most is alive."""
        return max(self.peaks.values(), key=lambda parts: sum(parts.values()))

    @property
    def peak_bytes(self) -> int:
        """The most bytes of tensors alive at once."""
        return sum(self.peak.values())


def trace(subject: Subject, way: Way, rows: Rows, objective: Objective) -> Traced:
    """Run a training step on fake tensors.

    Raises:
        LuthierError: the method does not fit the model, or the model cannot be run without data.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    from luthier.planner.fakes import fake_batch, materialise, tensors_of
    from luthier.planner.ledger import BATCH, WEIGHTS, Ledger

    if subject.layers is not None and subject.layers > FEW and subject.repeats:
        two, three = (trace(subject.of_depth(depth), way, rows, objective) for depth in (2, 3))
        return _deeper(two, three, subject.layers - 2)
    model, flat = build(subject, way)
    batches = rows.batches(subject, flat=flat and way.method.flat_on(subject.kind) and not way.checkpointing)
    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)  # what it logs is raised too
    ledger = Ledger(vocabulary=subject.text_config.vocab_size, fake=True)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        with fake, ledger:
            materialise(model, way.base)
            ledger.assign((*model.parameters(), *model.buffers()), WEIGHTS)
            held = [fake_batch(batch, fake) for batch in batches]
            ledger.assign((tensor for batch in held for tensor in tensors_of(batch)), BATCH)
            step = Step(model, way, objective, ledger)
            step.make_state()
            ledger.clear()
            step.run(_different(held))
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        kind = type(model).__name__
        raise LuthierError(
            f"{subject.name} ({kind}) cannot be planned with {way.method.label()}: {first.strip()[:200]}",
            where=str(subject.folder),
            mend="check its config; a step that looks at data which a plan does not have can only be measured",
            exit_code=1,
        ) from error
    everything = list(model.parameters())
    return Traced(
        peaks={phase: dict(parts) for phase, parts in ledger.peaks.items()},
        operations=dict(ledger.operations),
        calls=ledger.calls.total(),
        flops=sum(done.flops * count for done, count in ledger.operations.items()),
        parameters=sum(parameter.numel() for parameter in everything),
        trained=sum(parameter.numel() for parameter in everything if parameter.requires_grad),
        passes=len(batches),
        tokens=sum(batch.tokens for batch in batches),
    )


def _deeper(two: Traced, three: Traced, more: int) -> Traced:
    """A model of so many layers more than two: a layer adds what the third one added to each phase and each part."""

    def line(before: int, after: int) -> int:
        return before + more * (after - before)

    return Traced(
        peaks={
            phase: {
                part: line(two.peaks[phase].get(part, 0), parts.get(part, 0)) for part in {**two.peaks[phase], **parts}
            }
            for phase, parts in three.peaks.items()
        },
        operations={
            done: line(two.operations.get(done, 0), three.operations.get(done, 0))
            for done in {**two.operations, **three.operations}
        },
        calls=line(two.calls, three.calls),
        flops=line(two.flops, three.flops),
        parameters=line(two.parameters, three.parameters),
        trained=line(two.trained, three.trained),
        passes=three.passes,
        tokens=three.tokens,
    )


def build(subject: Subject, way: Way) -> tuple[Any, bool]:
    """The model on the meta device with the method attached, and whether its rows may be flat."""
    import torch

    model = subject.build()
    flat = use_flat_attention(model)
    torch.manual_seed(0)
    try:
        model = way.method.attach(model, None)
    except AttributeError as error:
        raise LuthierError(
            f"{way.method.label()} reads the tokenizer, which a plan does not have",
            where="--set",
            mend="leave out the text to start from (initialise: text); any other start costs the same",
        ) from error
    if way.checkpointing:
        if not getattr(model, "supports_gradient_checkpointing", True):
            raise LuthierError(
                f"{subject.name} has no gradient checkpointing", where="--checkpointing", mend="plan without it"
            )
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.train(), flat


class Step:
    """One optimizer step, as the training loop takes it, in phases that a ledger is told of.

    Args:
        model: with the method attached.
        way: precision and optimizer.
        objective: gives the summed loss.
        ledger: keeps the books; None where nobody does.
    """

    def __init__(self, model: Any, way: Way, objective: Objective, ledger: Ledger | None = None):
        import torch
        from lightning.fabric import Fabric

        self.objective, self.ledger = objective, ledger
        for name in ("lightning.fabric", "lightning.pytorch"):  # either tells of the precision that it was asked for
            logging.getLogger(name).setLevel(logging.ERROR)
        self.fabric = Fabric(
            accelerator="cpu", devices=1, precision="bf16-mixed" if way.precision == "bf16" else "32-true"
        )
        self.forward = self.fabric.setup_module(model, move_to_device=False)
        self.trained = list(trainable(model))
        groups = way.method.parameter_groups(model, 1e-3)
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, foreach=way.foreach)
        self._times, self._accumulated = 1, 0
        if ledger is not None:
            for parameter in self.trained:
                parameter.register_post_accumulate_grad_hook(self._has_gradient)
        self.clip: Callable[[], Any] = lambda: torch.nn.utils.clip_grad_norm_(self.trained, 1.0, foreach=way.foreach)

    def run(self, batches: Sequence[tuple[Batch, int]]) -> None:
        """A step over micro-batches, each standing for so many of its shape."""
        units = sum(self.objective.units(batch) * times for batch, times in batches)
        for batch, times in batches:
            self._enter("forward", times)
            loss = self.objective.loss(self.forward, batch) / units
            self._enter(_EARLY, times)
            self.fabric.backward(loss)
            del loss
        self._enter("clip")
        self.clip()
        self._enter("optimizer")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._assign_state()

    def make_state(self) -> None:
        """Let the optimizer make its state, as the first step of a training does."""
        import torch

        for parameter in self.trained:
            parameter.grad = torch.empty_like(parameter)
        self._enter("optimizer")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._assign_state()

    def _assign_state(self) -> None:
        if self.ledger is not None:
            states = (value for state in self.optimizer.state.values() for value in state.values())
            self.ledger.assign((value for value in states if hasattr(value, "untyped_storage")), "optimizer state")

    def _has_gradient(self, parameter: Any) -> None:
        assert self.ledger is not None
        self.ledger.assign([parameter.grad], "gradients")
        self._accumulated += 1
        if 2 * self._accumulated >= len(self.trained):
            self._enter(_LATE, self._times)

    def _enter(self, phase: str, times: int = 1) -> None:
        self._times = times
        if phase == _EARLY:
            self._accumulated = 0
        if self.ledger is not None:
            self.ledger.weight = times
            self.ledger.enter(phase)


def _different(batches: Sequence[Batch]) -> list[tuple[Batch, int]]:
    """Of batches of one shape the first two, the second standing for all that follow it: from the second on, a step's
    gradients are there already."""
    shapes = [(tuple(batch.input_ids.shape), len(batch.targets), batch.lengths) for batch in batches]
    found = []
    for place, (batch, shape) in enumerate(zip(batches, shapes, strict=True)):
        before = shapes[:place].count(shape)
        if before < 2:
            found.append((batch, 1 if before == 0 else shapes.count(shape) - 1))
    return found
