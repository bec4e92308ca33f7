"""Several trainings in one loop: arms that see the same batches, each with its own adapter, over one pass of the base.

The batch of a step is repeated, a copy for every arm; copy k goes through the base and through arm k's adapter
(`methods/reparameterised/stacked_lora.py`). With the loss l_k(b) of arm k on micro-batch b

    grad = sum_b d (sum_k l_k(b)) / sum_b units(b)

and since l_k depends on arm k's weights alone, that is every arm's own gradient. Each is clipped by itself, moved at
its own rate, logged, validated and saved by itself, and equals what `training/loop.py` comes to, to rounding; so do its
checkpoints, and either goes on from the other's.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from luthier.core import interruption
from luthier.core.training_settings import TrainingSettings
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.batch import Batch
from luthier.objectives.next_token import NextToken
from luthier.objectives.objective import TrainingData
from luthier.training.checkpoint import load_checkpoint, save_checkpoint
from luthier.training.loop import Notify, Trained, fresh_state, keep_best, on_device, steps_of, validated_after
from luthier.training.optimizer import build_optimizers, rate_factor, set_rate
from luthier.training.stacked_adamw import StackedAdamW, clip_rows
from luthier.training.step_log import StepLog

if TYPE_CHECKING:
    import torch

    from luthier.methods.reparameterised.stacked_lora import StackedLoRA

AnyBatch = TypeVar("AnyBatch", bound=Batch)


@dataclass
class StackedArm:
    """One training of the stack.

    Attributes:
        model: a shell of the base (`models/shells.py`) with the arm's method attached; it holds the trained weights in
            the end, and is never computed with.
        method: a LoRA without dropout, PiSSA or LoRA+.
        learning_rate: its peak rate.
        checkpoints, log, notify: as for `train`.
        trained: how it went; None where the arm has left the stack, and is to be trained by itself.
    """

    model: Any
    method: LoRA
    learning_rate: float
    checkpoints: Path | None = None
    log: Path | None = None
    notify: Notify = lambda phase, step, total, values: None
    trained: Trained | None = None
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list, repr=False)
    state: dict[str, Any] = field(default_factory=fresh_state, repr=False)


@interruption.put_off()
def train_stacked(
    base: Any,
    arms: Sequence[StackedArm],
    data: TrainingData,
    *,
    objective: NextToken,
    settings: TrainingSettings,
    device: str = "cpu",
    precision: str = "fp32",
) -> None:
    """Train the arms together, in place; their `trained` says how it went.

    An arm leaves the stack where its loss or gradient is not finite, or its checkpoint is of another step than most
    others': its `trained` is None then, and `train` goes on with it, or says what is wrong.

    Args:
        base: the base itself, or a shell of it; moved to the device, and changed for good.
        arms: their models are other shells of the same base.
        data: micro-batches by epoch and step.
        objective, settings, device, precision: as for `train`, the same for all arms; AdamW, without early stopping.

    Raises:
        LuthierError: a checkpoint cannot be written (exit code 1).
        Interrupted: SIGTERM or Ctrl-C has come; what is needed to go on is saved.
    """
    steps = steps_of(data, settings)
    for arm in arms:
        groups = arm.method.parameter_groups(arm.model, arm.learning_rate)
        arm.optimizers = build_optimizers(groups, arm.model, settings)
        if arm.checkpoints is not None:
            arm.state = load_checkpoint(arm.checkpoints, arm.model, arm.optimizers, method=arm.method) or arm.state
    reached = [arm.state["step"] for arm in arms]
    together = [arm for arm in arms if arm.state["step"] == max(reached, key=reached.count)]
    stack = _Stack(base.to(device), together, data, objective, settings, device, precision)
    validate_at = validated_after(steps, settings)
    saved = time.perf_counter()
    while stack.arms and stack.step < steps:
        stack.advance(steps)
        if stack.step in validate_at:
            stack.validate(steps)
        asked = interruption.asked()
        if asked or time.perf_counter() - saved > 60 * settings.checkpoint_minutes:
            stack.save()
            saved = time.perf_counter()
        if asked:
            raise interruption.stop()
    stack.finish()


class _Stack:
    """The arms that are still trained together, and what a step of theirs is made with."""

    def __init__(
        self,
        base: Any,
        arms: list[StackedArm],
        data: TrainingData,
        objective: NextToken,
        settings: TrainingSettings,
        device: str,
        precision: str,
    ):
        from luthier.methods.reparameterised.stacked_lora import StackedLoRA

        self.arms, self.data, self.objective, self.settings = arms, data, objective, settings
        self.step: int = arms[0].state["step"]
        self.adapters: StackedLoRA = StackedLoRA(base, [arm.model for arm in arms], [arm.method for arm in arms])
        rates = [arm.learning_rate for arm in arms]
        self.optimizer = StackedAdamW(self.adapters.weights, rates, settings, self.step)
        for row, arm in enumerate(arms if self.step else ()):
            for moment, name in self._moments():
                moment[row] = self.adapters.packed(_of_optimizer(arm, name))
        self.fabric, self.forward = on_device(base, device, precision, compiled=False)
        self.model = base.train()
        self.logs = [StepLog(arm.log, self.step) for arm in arms]
        self.clock = time.perf_counter()

    def advance(self, steps: int) -> None:
        """One optimizer step of every arm."""
        batches = self.data.step(*divmod(self.step, self.data.steps_per_epoch))
        factor = rate_factor(self.step, steps, self.settings)
        losses = self._without_lost_arms(self._losses_and_gradients(batches))
        if not self.arms:
            return
        self.optimizer.step(self.adapters.gradients, factor)
        self.step += 1
        self._note_time()
        for arm, log, loss in zip(self.arms, self.logs, losses, strict=True):
            state, rate = arm.state, set_rate(arm.optimizers, factor)
            state["step"] = self.step
            state["tokens"] += sum(batch.tokens for batch in batches)
            state["losses"] = [*state["losses"][-19:], loss]
            log.add(step=self.step, loss=loss, learning_rate=rate, tokens=state["tokens"], seconds=state["seconds"])
            speed = state["tokens"] / state["seconds"]
            arm.notify("train", self.step, steps, {"loss": loss, "tokens_per_second": speed})

    def validate(self, steps: int) -> None:
        """The validation loss of every arm."""
        import torch

        batches = self.data.validation()
        if not batches:
            return
        self.model.eval()
        with torch.no_grad():
            summed = torch.stack([self._losses(batch) for batch in batches]).sum(dim=0)
        self.model.train()
        units = sum(self.objective.units(batch) for batch in batches)
        for arm, log, loss in zip(self.arms, self.logs, summed.tolist(), strict=True):
            value = loss / units
            log.add(step=self.step, validation_loss=value)
            arm.notify("validate", self.step, steps, {"validation_loss": value})
            keep_best(arm.state, value, arm.model, arm.optimizers, arm.method, self.settings, None)

    def save(self) -> None:
        """A checkpoint of every arm that wants one."""
        self._note_time()
        for row, (arm, log) in enumerate(zip(self.arms, self.logs, strict=True)):
            if arm.checkpoints is not None:
                self._hand_back(row, arm)
                log.flush()
                save_checkpoint(arm.checkpoints, arm.model, arm.optimizers, arm.state, method=arm.method)

    def finish(self) -> None:
        """Every arm's weights in its own model, and how its training went."""
        self._note_time()
        for row, arm in enumerate(self.arms):
            self._hand_back(row, arm)
            arm.model.eval()
            state = arm.state
            arm.trained = Trained(
                steps=state["step"],
                kept_step=state["step"],
                seconds=state["seconds"],
                tokens=state["tokens"],
                loss=sum(state["losses"]) / len(state["losses"]),
                validation_loss=state.get("last"),
            )

    def _losses(self, batch: Batch) -> torch.Tensor:
        """The summed loss of every arm, `(arm,)`."""
        return self.objective.losses(self.forward, copies(self.fabric.to_device(batch), len(self.arms)), len(self.arms))

    def _losses_and_gradients(self, batches: Sequence[Batch]) -> torch.Tensor:
        """Every arm's loss per unit, `(arm,)`; its gradient is left with its adapter."""
        self.adapters.gradients.zero_()
        units = sum(self.objective.units(batch) for batch in batches)
        mean: Any = 0.0
        for batch in batches:
            losses = self._losses(batch) / units
            mean = mean + losses.detach()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "grad and param do not obey")  # gradients stand in one matrix
                self.fabric.backward(losses.sum())
        return mean

    def _without_lost_arms(self, losses: torch.Tensor) -> list[float]:
        """Clip the gradients; the arms whose loss or gradient is not finite leave. Gives the others' losses."""
        import torch

        norms = clip_rows(self.adapters.gradients, self.settings.clip)
        values, lengths = torch.stack([losses, norms]).tolist()  # the one time that a step waits for the device
        kept = [row for row in range(len(self.arms)) if math.isfinite(values[row]) and math.isfinite(lengths[row])]
        if len(kept) < len(self.arms):
            gradients = self.adapters.gradients[kept]
            self.adapters.keep(kept)
            self.adapters.gradients.copy_(gradients)
            self.optimizer.keep(kept, self.adapters.weights)
            self.arms, self.logs = [self.arms[row] for row in kept], [self.logs[row] for row in kept]
        return [values[row] for row in kept]

    def _note_time(self) -> None:
        """Each arm's share of the time since this was last asked for."""
        now = time.perf_counter()
        for arm in self.arms:
            arm.state["seconds"] += (now - self.clock) / len(self.arms)
        self.clock = now

    def _moments(self) -> tuple[tuple[torch.Tensor, str], ...]:
        """The optimizer's moments, and what torch's AdamW calls them."""
        return (self.optimizer.first, "exp_avg"), (self.optimizer.second, "exp_avg_sq")

    def _hand_back(self, row: int, arm: StackedArm) -> None:
        """Put an arm's weights into its own model, and the moments into its own optimizer."""
        import torch

        rank = arm.method.rank
        weights = self.adapters.unpacked(self.adapters.weights[row], rank)
        moments = {name: self.adapters.unpacked(moment[row], rank) for moment, name in self._moments()}
        (optimizer,) = arm.optimizers
        for name, parameter in _trained(arm).items():
            parameter.data.copy_(weights[name])
            optimizer.state[parameter] = {
                "step": torch.tensor(float(self.step)),
                **{moment: values[name] for moment, values in moments.items()},
            }


def copies(batch: AnyBatch, count: int) -> AnyBatch:
    """A batch that holds the rows of this one so many times, all of them once before any stands there again."""
    import torch

    decoder = batch.input_ids if batch.decoder_input_ids is None else batch.decoder_input_ids
    numbers = torch.arange(count, device=batch.targets.device)[:, None]
    changed: dict[str, Any] = {
        item.name: value.repeat(count, 1)
        for item in fields(batch)
        if isinstance(value := getattr(batch, item.name), torch.Tensor) and value.ndim == 2
    }
    if batch.scored is not None:
        changed["scored"] = (batch.scored + numbers * decoder.numel()).reshape(-1)
    return replace(
        batch,
        **changed,
        targets=batch.targets.repeat(count),
        owners=(batch.owners + numbers * len(batch.example_ids)).reshape(-1),
        example_ids=batch.example_ids * count,
        tasks=batch.tasks * count,
        tokens=batch.tokens * count,
    )


def _trained(arm: StackedArm) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in arm.model.named_parameters() if parameter.requires_grad}


def _of_optimizer(arm: StackedArm, moment: str) -> dict[str, torch.Tensor]:
    """A moment of the arm's own optimizer, by the names of the parameters."""
    (optimizer,) = arm.optimizers
    return {name: optimizer.state[parameter][moment] for name, parameter in _trained(arm).items()}
