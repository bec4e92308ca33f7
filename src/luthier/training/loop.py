"""The training loop: one for every method, regulariser and objective, none of which it knows by name.

It asks the method for its parameter groups, the objective for a summed loss and its units, the regulariser for a
penalty and for what it replays, and the data for the micro-batches of a step. A step's gradient is

    grad = sum_b d loss(b) / sum_b units(b)        over its micro-batches b

so accumulation over ragged rows equals the big batch. Everything that the next step depends on stands in a checkpoint:
an interrupted training goes on as if it had not been. A signal to stop waits for the end of the present step, and a
checkpoint is saved then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core import interruption
from luthier.core.errors import LuthierError
from luthier.core.training_settings import TrainingSettings
from luthier.methods.method import Method, trainable
from luthier.models.lower_layers import forget_lower_layers, keep_lower_layers
from luthier.objectives.objective import Objective, TrainingData
from luthier.regularisers.regulariser import Regulariser, Restraint
from luthier.training import parallel
from luthier.training.checkpoint import load_checkpoint, save_checkpoint
from luthier.training.optimizer import build_optimizers, rate_factor, set_rate
from luthier.training.step_log import StepLog

if TYPE_CHECKING:
    import torch

    from luthier.models.batch import Batch

Notify = Callable[[str, int, int, Mapping[str, float]], None]
"""Told of progress: phase, step, total, values."""


@dataclass(frozen=True)
class Trained:
    """How a training went.

    Attributes:
        steps: optimizer steps taken.
        kept_step: the step whose weights were kept (the last, or the best under early stopping).
        seconds: wall-clock, over all sittings, checkpoints and validations included.
        tokens: real tokens seen.
        loss: mean loss of the last steps (up to 20), per unit.
        validation_loss: at the kept step; None where there was no validation.
    """

    steps: int
    kept_step: int
    seconds: float
    tokens: int
    loss: float
    validation_loss: float | None


@interruption.put_off()
def train(
    model: Any,
    data: TrainingData,
    *,
    method: Method,
    objective: Objective,
    regulariser: Regulariser,
    settings: TrainingSettings,
    learning_rate: float,
    device: str = "cpu",
    precision: str = "fp32",
    retained: TrainingData | None = None,
    checkpoints: Path | None = None,
    log: Path | None = None,
    notify: Notify = lambda phase, step, total, values: None,
    beside: Callable[[], Mapping[str, float]] | None = None,
) -> Trained:
    """Train the model in place and say how it went.

    Args:
        model: with what is to be trained attached; moved to the device.
        data: micro-batches by epoch and step.
        method, objective, regulariser: what moves, by which loss, held back by what.
        settings: budget, optimizer and schedule.
        learning_rate: the resolved peak rate.
        device: `cpu`, `cuda` or `cuda:1`.
        precision: `fp32`, or `bf16` (autocast over fp32 weights).
        retained: what is not to be forgotten, for a regulariser that `retains`.
        checkpoints: where to save and resume, and where early stopping keeps the best weights; None trains without, and
            keeps the last.
        log: a JSON line a step is added to this file.
        notify: told of every step.
        beside: measures the model as it is, before the first step and after each validation; what it gives, by name, is
            added to the log. It must draw no random number and leave the model as it was.

    Raises:
        LuthierError: the loss or its gradient is not finite (the weights are those before the step), or a checkpoint
            cannot be written (exit code 1).
        Interrupted: SIGTERM or Ctrl-C has come; what is needed to go on is saved.
    """
    steps = steps_of(data, settings)
    model.to(device).eval()
    method.survey(model, data, objective)
    optimizers = build_optimizers(method.parameter_groups(model, learning_rate), model, settings, device)
    objective.prepare(model, data)
    fabric, forward = on_device(model, device, precision, settings.compile)
    method.prepare(model, steps)
    restraint = regulariser.begin(model.eval(), method=method, objective=objective, retained=retained)
    mover = _Mover(fabric, forward, model, optimizers, method, objective, restraint, settings.clip)
    state = fresh_state()
    if checkpoints is not None:
        state = load_checkpoint(checkpoints, model, optimizers, method=method) or state
    lines = StepLog(log if parallel.first() else None, state["step"])
    validate_at = validated_after(steps, settings)
    if steps > data.steps_per_epoch and not settings.compile:  # compiled passes have their layers inside
        first = sum(batch.tokens for batch in data.step(0, 0))
        keep_lower_layers(forward, model, tokens=first * data.steps_per_epoch)
    begun, earlier, saved = time.perf_counter(), state["seconds"], time.perf_counter()
    if beside is not None and not state["step"]:
        lines.add(step=0, **beside())
    model.train()
    while state["step"] < steps and not _out_of_patience(state, settings):
        step = state["step"]
        batches = data.step(*divmod(step, data.steps_per_epoch))
        rate = set_rate(optimizers, rate_factor(step, steps, settings))
        replayed = restraint.replayed(step)
        loss = mover.step(batches, replayed, step)
        state["step"] = step + 1
        state["tokens"] += sum(batch.tokens for batch in (*batches, *replayed))
        state["seconds"] = earlier + time.perf_counter() - begun
        state["losses"] = [*state["losses"][-19:], loss]
        lines.add(step=step + 1, loss=loss, learning_rate=rate, tokens=state["tokens"], seconds=state["seconds"])
        speed = state["tokens"] / state["seconds"]
        notify("train", step + 1, steps, {"loss": loss, "tokens_per_second": speed})
        if step + 1 in validate_at and (held_out := data.validation()):
            value = mean_loss(fabric, forward, model, held_out, objective)
            lines.add(step=step + 1, validation_loss=value, **(beside() if beside is not None else {}))
            notify("validate", step + 1, steps, {"validation_loss": value})
            keep_best(state, value, model, optimizers, method, settings, checkpoints)
        # All processes stop after the same step, whichever of them has heard the signal.
        asked = parallel.total(float(interruption.asked())) > 0
        due = time.perf_counter() - saved > 60 * settings.checkpoint_minutes
        if checkpoints is not None and (due or asked) and parallel.first():
            lines.flush()
            save_checkpoint(checkpoints, model, optimizers, state, method=method)
            saved = time.perf_counter()
        if asked:
            raise interruption.stop() if parallel.first() else SystemExit(1)
    forget_lower_layers(forward)
    kept, validation_loss = state["step"], state.get("last")
    if settings.patience and checkpoints is not None and state["best"] is not None:
        best = load_checkpoint(checkpoints, model, optimizers, method=method, name="best")
        if best is not None:  # else it was damaged, and the last weights are what there is
            kept, validation_loss = best["best_step"], best["best"]
    model.eval()
    return Trained(
        steps=state["step"],
        kept_step=kept,
        seconds=earlier + time.perf_counter() - begun,
        tokens=state["tokens"],
        loss=sum(state["losses"]) / len(state["losses"]),
        validation_loss=validation_loss,
    )


def steps_of(data: TrainingData, settings: TrainingSettings) -> int:
    """How many optimizer steps the budget comes to."""
    # Rounded first: 0.7 of 10 steps is 7.000000000000001 to a computer, and means 7.
    return settings.steps or max(1, math.ceil(round(settings.epochs * data.steps_per_epoch, 6)))


def validated_after(steps: int, settings: TrainingSettings) -> set[int]:
    """The steps that a validation follows."""
    return {round(steps * (turn + 1) / settings.validations) for turn in range(settings.validations)}


def fresh_state() -> dict[str, Any]:
    """What a checkpoint says of a training beside tensors, before the first step."""
    return {"step": 0, "tokens": 0, "seconds": 0.0, "best": None, "best_step": 0, "bad": 0, "losses": []}


def mean_loss(fabric: Any, forward: Any, model: Any, batches: list[Batch], objective: Objective) -> float:
    """The loss per unit over batches, without gradients."""
    import torch

    model.eval()
    with torch.no_grad():
        losses = [float(objective.loss(forward, fabric.to_device(batch))) for batch in parallel.share(batches)]
    model.train()
    return parallel.total(sum(losses)) / sum(objective.units(batch) for batch in batches)


def on_device(model: Any, device: str, precision: str, compiled: bool) -> tuple[Any, Any]:
    """Lightning Fabric around the model: device, autocast, and later sharding."""
    import torch
    from lightning.fabric import Fabric

    kind, _, index = device.partition(":")
    fabric = Fabric(
        accelerator=kind,
        devices=[int(index)] if index else 1,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.to_device(model)
    forward = fabric.setup_module(torch.compile(model) if compiled else model)
    return fabric, forward


@dataclass(frozen=True)
class _Mover:
    """What an optimizer step is made with."""

    fabric: Any
    forward: Any
    model: Any
    optimizers: list[torch.optim.Optimizer]
    method: Method
    objective: Objective
    restraint: Restraint
    clip: float

    def step(self, batches: list[Batch], replayed: Sequence[Batch], step: int) -> float:
        """One optimizer step over its micro-batches, and those that a restraint replays; gives the loss per unit of the
        former, penalties apart."""
        import torch

        units = sum(self.objective.units(batch) for batch in batches)
        mean: float | torch.Tensor = 0.0
        for batch in parallel.share(batches):
            batch = self.fabric.to_device(batch)
            loss = self.objective.loss(self.forward, batch) / units
            mean += loss.detach()
            for penalty in (
                self.restraint.penalty(self.forward, self.model, batch, step),
                self.method.penalty(self.model),
            ):
                if penalty is not None:
                    loss = loss + penalty * (self.objective.units(batch) / units)
            self.fabric.backward(loss)
        beside = sum(self.objective.units(batch) for batch in replayed)
        for batch in parallel.share(replayed):
            loss = self.objective.loss(self.forward, self.fabric.to_device(batch))
            self.fabric.backward(loss * (self.restraint.weight / beside))
        parallel.sum_gradients(trainable(self.model))
        norm = torch.nn.utils.clip_grad_norm_(list(trainable(self.model)), self.clip)
        value = parallel.total(mean)
        if not (math.isfinite(value) and math.isfinite(float(norm))):
            raise LuthierError(
                f"the loss is {value} and the gradient's norm {float(norm)} at step {step + 1}: not finite",
                where="examples " + ", ".join(name for batch in batches for name in batch.example_ids),
                mend="lower the learning rate, or look at these examples; the weights are those before this step",
                exit_code=1,
            )
        for optimizer in self.optimizers:
            optimizer.step()
        self.method.after_step(self.model, step)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        return value


def _out_of_patience(state: dict[str, Any], settings: TrainingSettings) -> bool:
    return bool(settings.patience) and state["bad"] >= settings.patience


def keep_best(
    state: dict[str, Any],
    value: float,
    model: Any,
    optimizers: list[torch.optim.Optimizer],
    method: Method,
    settings: TrainingSettings,
    checkpoints: Path | None,
) -> None:
    """Note a validation's loss; the weights too, where they are the best so far and early stopping may want them."""
    state["last"] = value
    if not math.isfinite(value) or (state["best"] is not None and value >= state["best"]):
        state["bad"] += 1
        return
    state.update(best=value, best_step=state["step"], bad=0)
    if settings.patience and checkpoints is not None and parallel.first():
        save_checkpoint(checkpoints, model, optimizers, state, method=method, name="best")
