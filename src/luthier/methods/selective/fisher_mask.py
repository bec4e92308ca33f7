"""FISH mask (Sung et al. 2021, arXiv 2111.09839): train the entries that the loss depends on most, chosen once.

F_i = 1/N sum_n (d/dw_i log p(y_n | x_n))^2        the k entries of largest F_i are trained, all others frozen

w are the matrices within the layers, k is a share of their entries, and n runs over the first N training examples, one
by one: the gradient of a batch, squared, would be something else. It is the *empirical* Fisher information, taken at
the right answers y_n, in evaluation mode, and on an encoder with the head as it was drawn. The paper ranks all of a
model's weights; embeddings, norms and biases are left out here, so that the share is one of matrices alone.

Only k numbers are trained, saved and kept by the optimizer. The passes themselves are dense: each matrix is copied with
its update, and its whole gradient computed before k of its entries are read. Of a million entries at the default share,
5,000 move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.methods.method import rate_between
from luthier.methods.selective.selective import Selective
from luthier.models.anatomy import anatomy_of
from luthier.models.head import head_weights, train_head
from luthier.models.kinds import Kind
from luthier.models.single import singly

if TYPE_CHECKING:
    import torch

    from luthier.methods.selective.replaced import Values
    from luthier.models.batch import Batch

_PLACES, _VALUES = "places", "update"
"""What is saved of a matrix: where in it, flattened, and what is added there."""


class FisherMask(Selective):
    """Train the few entries of the matrices that the Fisher information ranks highest."""

    name: ClassVar[str] = "fisher_mask"
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.09, "encoder-decoder": 0.06}
    moves: ClassVar[str] = "the entries of matrices that matter most for the task"
    paper: ClassVar[str] = "Sung et al. 2021, arXiv 2111.09839"

    share: float = Field(default=0.005, gt=0, le=1)
    """Of the entries of the matrices within the layers (0.005 is the share of the paper's main results)."""
    examples: int = Field(default=128, ge=1)
    """N, how many training examples are looked at, all of them where there are fewer. (The paper took 1,024, and its
    own comparison went from 32 to 16,384; each costs a forward and a backward pass.)"""

    def learning_rate(self, parameters: int) -> float:
        """3e-3 up to 5M parameters (measured: 24 steps of eight examples of generated/entities took 11 and 20% of the
        house decoder's held-out loss away with 1e-3 and 3e-3; in 36 steps a BERT of two layers went from 1.09 nats to
        1.08, 0.95 and 0.84 with 1e-3, 3e-3 and 1e-2), 1e-4 from 340M on (the highest rate that the paper searched, for
        BERT-large), on a log-log line between."""
        return rate_between(parameters, (5e6, 3e-3), (340e6, 1e-4))

    def chosen(self, model: Any) -> list[str]:
        """The matrices of which entries move."""
        return [f"{name}.weight" for name in anatomy_of(model).linears]

    def attach(self, model: Any, tokenizer: Any) -> Any:
        """Put an update of the right size onto the matrices; `survey` says where it stands."""
        from luthier.methods.selective.sparse_update import scatter

        model.requires_grad_(False)
        names = [name.removesuffix(".weight") for name in self.chosen(model)]
        scatter(model, names, self._count(model.get_submodule(name).weight.numel() for name in names))
        return train_head(model)

    def survey(self, model: Any, data: Any, objective: Any) -> None:
        """Measure the Fisher information of every entry, and move the update to where it is largest."""
        from luthier.methods.selective.sparse_update import UPDATE, move

        count = getattr(model, UPDATE).numel()
        move(model, fisher_information(model, data, objective, self.examples).topk(count).indices.sort().values)

    def state(self, model: Any) -> dict[str, torch.Tensor]:
        from luthier.methods.selective.sparse_update import positions

        return {_PLACES: positions(model)}

    def restore(self, model: Any, state: Mapping[str, torch.Tensor]) -> None:
        from luthier.methods.selective.sparse_update import move

        move(model, state[_PLACES])

    def stored(self, model: Any) -> int:
        """A place beside each number that is trained, the head's apart."""
        from luthier.methods.selective.sparse_update import UPDATE

        return super().stored(model) + int(getattr(model, UPDATE).numel())

    def trained(self, model: Any) -> dict[str, torch.Tensor]:
        """Of each matrix the places (32-bit integers: 2^31 entries are more than a matrix has) and the update; and a
        classifier's head."""
        from luthier.methods.selective.sparse_update import scattered

        parts = {name: one for name, _, one in scattered(model)}
        if not parts:
            raise LuthierError(
                "there is no update in this model to be saved",
                where=self.name,
                mend="save it from the model that was trained: one that was loaded has it in its matrices",
            )
        saved = {f"{name}.{_PLACES}": one.places.int() for name, one in parts.items()}
        return saved | {f"{name}.{_VALUES}": one.part().clone() for name, one in parts.items()} | head_weights(model)

    def replacements(self, model: Any, saved: dict[str, torch.Tensor]) -> dict[str, Values] | None:
        from luthier.methods.selective.replaced import Values

        parameters, matrices = dict(model.named_parameters()), self.chosen(model)
        head = head_weights(model)
        parts = {matrix: matrix.removesuffix("weight") for matrix in matrices}
        if saved.keys() != {*head, *(part + end for part in parts.values() for end in (_PLACES, _VALUES))}:
            return None
        found = {name: Values(saved[name]) for name in head}
        if any(saved[name].shape != parameter.shape for name, parameter in head.items()):
            return None
        moved = 0
        for matrix, part in parts.items():
            weight, places, update = parameters[matrix], saved[part + _PLACES], saved[part + _VALUES]
            if places.shape != update.shape or not bool(((places >= 0) & (places < weight.numel())).all()):
                return None
            places, moved = places.long().to(weight.device), moved + len(places)
            # As the training adds it, so that the sum is the same to the last bit.
            found[matrix] = Values(weight.detach().view(-1)[places] + update.to(weight), places)
        return found if moved == self._count(parameters[matrix].numel() for matrix in matrices) else None

    def merge(self, model: Any) -> Any:
        """The plain model with the update in its matrices, as it was trained with."""
        from luthier.methods.selective.sparse_update import UPDATE, fold

        if hasattr(model, UPDATE):
            fold(model)
        return super().merge(model)

    def _count(self, sizes: Iterator[int]) -> int:
        return max(1, round(self.share * sum(sizes)))


def fisher_information(model: Any, data: Any, objective: Any, examples: int) -> torch.Tensor:
    """F of every entry of the matrices with an update, flattened, one matrix after the other, fp32.

    Args:
        model: with the method attached, the update zero, in evaluation mode.
        data: the `TrainingData`.
        objective: the `Objective` whose summed loss is the negative log-likelihood.
        examples: how many of the first epoch are read at the most.
    """
    import torch

    from luthier.methods.selective.sparse_update import originals

    matrices = originals(model)
    information = torch.zeros(sum(weight.numel() for weight in matrices), device=matrices[0].device)
    parts = information.split([weight.numel() for weight in matrices])
    count = 0
    for weight in matrices:
        weight.requires_grad_(True)
    for single in _first(data, examples):
        loss = objective.loss(model, single.to(information.device))
        for part, gradient in zip(parts, torch.autograd.grad(loss, matrices, allow_unused=True), strict=True):
            if gradient is not None:  # an expert that no token of this example was sent to
                part += gradient.float().square().flatten()
        count += 1
    for weight in matrices:
        weight.requires_grad_(False)
    return information / count


def _first(data: Any, examples: int) -> Iterator[Batch]:
    """The first examples of the first epoch, one by one."""
    left = examples
    for index in range(data.steps_per_epoch):
        for batch in data.step(0, index):
            for single in singly(batch):
                if not left:
                    return
                left -= 1
                yield single
