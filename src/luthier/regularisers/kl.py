"""The Kullback-Leibler divergence from the base's answers to the model's (Li & Hoiem 2016, arXiv 1606.09282: Learning
without Forgetting; as a penalty on a language model, Ziegler et al. 2019, arXiv 1909.08593).

    L = L_task + strength * T^2 / n * sum_t KL(p0_t || p_t)
    KL(p0 || p) = sum_v p0(v) log(p0(v) / p(v))        p = softmax(logits / T), p0 the base's

over the n scored positions of the batch itself: it needs no data but the task's. T^2 keeps the gradient as large
whatever the temperature (Hinton et al. 2015, arXiv 1503.02531). The direction is that of Li & Hoiem: what the base held
possible is to stay possible. Ziegler et al. have it the other way round, as their model samples.

The base answers without dropout and without gradients. Where the method starts at its base, the base is the trained
weights' own start, put in their place for one forward pass; else the method is disabled for it, where it can be, and
where it cannot, what is kept is the answers that the training started with. A step costs two more forward passes and
one more backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.models.forward import inference, scored_logits
from luthier.models.head import head_parts
from luthier.models.kinds import Kind
from luthier.regularisers.regulariser import Regulariser, Restraint
from luthier.regularisers.starting_point import starting_point

if TYPE_CHECKING:
    import torch

    from luthier.models.batch import Batch


class KL(Regulariser):
    """Keep the answers near the base's, token by token, on the task's own inputs."""

    name: ClassVar[str] = "kl"
    paper: ClassVar[str] = "Li & Hoiem 2016, arXiv 1606.09282; Ziegler et al. 2019, arXiv 1909.08593"

    strength: float = Field(default=1.0, ge=0)
    """Li & Hoiem's weight of the old answers. Measured, in the sequence that `l2_sp` tells of: 5.00 nats on the task
    before and 0.245 on the new one without, 2.51 and 0.446 with 1; with `lora` 4.29 and 0.248, 1.65 and 0.520."""
    temperature: float = Field(default=2.0, gt=0)
    """Li & Hoiem's, after Hinton et al.: what the base held unlikely counts for more. Measured: at temperature 1, 2.95
    and 0.811 in place of 2.51 and 0.446."""

    def refusal(self, kind: Kind) -> str | None:
        if kind != "encoder":
            return None
        return "it holds answers near the base's, and an encoder has none before its head is trained"

    def begin(self, model: Any, *, method: Any, objective: Any, retained: Any | None) -> Restraint:
        """Raises:
        LuthierError: the model is an encoder.
        """
        if head_parts(model):
            raise LuthierError(
                f"kl cannot be used here: {self.refusal('encoder')}",
                where="regulariser: kl",
                mend="take l2_sp, or train a language model",
            )
        if not self.strength:
            return Restraint()
        return _Distillation(self.strength, self.temperature, _base_of(model, method))


class _Distillation(Restraint):
    """KL(base || model) at the scored positions.

    Args:
        strength, temperature: as set.
        base: gives a context within which the model answers as its base does.
    """

    def __init__(self, strength: float, temperature: float, base: Callable[[], AbstractContextManager[None]]):
        self.strength, self.temperature, self.base = strength, temperature, base

    def penalty(self, forward: Any, model: Any, batch: Batch, step: int) -> torch.Tensor | None:
        from torch.nn.functional import kl_div, log_softmax

        with self.base(), inference(model):
            kept = log_softmax(scored_logits(forward, batch) / self.temperature, dim=-1)
        now = log_softmax(scored_logits(forward, batch) / self.temperature, dim=-1)
        # Cloned out of inference mode: the backward pass needs it.
        divergence = kl_div(now, kept.clone(), reduction="batchmean", log_target=True)
        return self.strength * self.temperature**2 * divergence


def _base_of(model: Any, method: Any) -> Callable[[], AbstractContextManager[None]]:
    start = starting_point(model)
    if method.starts_at_base:
        return lambda: _at(model, start)
    try:
        with _disabled(model, method):
            pass
    except NotImplementedError:
        return lambda: _at(model, start)
    return lambda: _disabled(model, method)


@contextmanager
def _at(model: Any, start: dict[str, torch.Tensor]) -> Iterator[None]:
    """Within it, the trained weights are those of the start.

    Their `data` is exchanged: the parameters stay the same objects, for the optimizer and for a graph that waits for
    its backward pass.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if name in start}
    present = {name: parameter.data for name, parameter in trained.items()}
    for name, parameter in trained.items():
        parameter.data = start[name]
    try:
        yield
    finally:
        for name, parameter in trained.items():
            parameter.data = present[name]


@contextmanager
def _disabled(model: Any, method: Any) -> Iterator[None]:
    """Within it, the method is switched off; afterwards the same parameters require gradients as before, which peft
    would decide anew."""
    before = {parameter: parameter.requires_grad for parameter in model.parameters()}
    try:
        with method.disabled(model):
            yield
    finally:
        for parameter, required in before.items():
            parameter.requires_grad_(required)
