"""Adapters on top of trained ones (Pfeiffer et al. 2020, arXiv 2005.00052, MAD-X: a task's on top of a language's).

    h <- h + update_1(h), then h <- h + update_2(h)        update_1 trained before and frozen, update_2 trained

Two ways lead there: an arm of two stages, whose first leaves its adapter frozen in the model; and `on`, which loads
trained ones from their folders. Either way the saved folder holds the upper one alone, and names those below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.methods.additive.placed import (
    ABOUT,
    PlacedMethod,
    contents_of,
    copy_weights,
    digest_of,
    read_about,
    stored_weights,
)


class StackedMethod(PlacedMethod):
    """A method that can stand on top of trained ones of its own kind; a subclass says what it puts in."""

    on: tuple[str, ...] = ()
    """Folders of trained ones of the same method, which are loaded below this one and stay frozen, the lowest first
    (none)."""

    def insert(self, model: Any, name: str) -> None:
        """Put this one's own modules in."""
        raise NotImplementedError

    def fingerprint(self) -> Any:
        """With what is in the folders below, where there are any."""
        return {**super().fingerprint(), **({"below": contents_of(self.on)} if self.on else {})}

    def build(self, model: Any, name: str, about: Mapping[str, Any] | None) -> None:
        """This one's modules, above those of `on`, above what the base has."""
        from luthier.methods.additive.adapter_places import setup_of
        from luthier.models.row_adapters import BASE

        chains = setup_of(model).chains
        below = chains[BASE]
        for folder in map(Path, self.on):
            below = (*below, self._lay_below(model, folder, below))
        self.insert(model, name)
        chains[name] = (*below, name)

    def _lay_below(self, model: Any, folder: Path, below: tuple[str, ...]) -> str:
        """Load a trained one, frozen and without its head, unless it is there already; gives its digest."""
        from luthier.methods.additive.adapter_places import parts_of, setup_of, weights_of

        about = read_about(folder, self.name, model)
        name = digest_of(folder)
        if tuple(about["below"]) != below:
            raise LuthierError(
                "it was itself trained on top of others, which are not below it here",
                where=str(folder),
                mend="name those before it under `on`",
            )
        if not parts_of(model, name):
            read(type(self), about["settings"], where=str(folder / ABOUT)).insert(model, name)
            del setup_of(model).chains[name]  # it answers only under others
            weights = weights_of(model, name)
            copy_weights(weights, folder, beside=set(stored_weights(folder)) - weights.keys())
        return name
