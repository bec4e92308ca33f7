"""Values that stand in the place of a base's own: several kept by name, one shown, and the base's put aside meanwhile.

They are plain tensors beside the model, in no state dict: a model with them has the base's parameters and no others.
Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from luthier.core.errors import LuthierError

_PLACE = "luthier_replaced"


@dataclass(frozen=True)
class Values:
    """What a parameter, or a part of it, is to hold.

    Attributes:
        values: of the parameter's shape; or `(n,)`, one for each of `places`.
        places: `(n,)` where in the flattened parameter; None for all of it.
    """

    values: torch.Tensor
    places: torch.Tensor | None = None

    def put(self, parameter: torch.Tensor) -> Values:
        """Write them into the parameter; gives what stood there."""
        with torch.no_grad():
            if self.places is None:
                before = Values(parameter.detach().clone())
                parameter.copy_(self.values)
            else:
                places = self.places.to(parameter.device)
                flat = parameter.detach().view(-1)
                before = Values(flat[places], places)
                flat[places] = self.values.to(flat)
        return before


class Replaced:
    """What was loaded into a base.

    Attributes:
        kept: name -> parameter -> values.
        shown: whose values stand in the model; None for the base's own.
    """

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Values]] = {}
        self.shown: str | None = None
        self._aside: dict[str, Values] = {}

    def show(self, model: Any, name: str | None) -> None:
        """Put the values of that name into the model, or with None the base's own back.

        Raises:
            LuthierError: nothing of that name was loaded.
        """
        wanted = {} if name is None else self._named(name)
        parameters = dict(model.named_parameters())
        for place, values in self._aside.items():
            values.put(parameters[place])
        self._aside = {place: values.put(parameters[place]) for place, values in wanted.items()}
        self.shown = name

    def drop(self, model: Any, name: str) -> None:
        """Forget the values of that name; the base's own stand in the model where they were shown.

        Raises:
            LuthierError: nothing of that name was loaded.
        """
        self._named(name)
        if self.shown == name:
            self.show(model, None)
        del self.kept[name]
        if not self.kept:
            forget(model)

    @contextmanager
    def hidden(self, model: Any) -> Iterator[None]:
        """Within it, the base's own values stand in the model.

        Raises:
            LuthierError: nothing was loaded.
        """
        if not self.kept:
            raise LuthierError(
                "the base's own weights are not kept while others are trained in their place",
                where="disabled",
                mend="save what was trained, and load it onto a fresh base",
            )
        shown = self.shown
        self.show(model, None)
        try:
            yield
        finally:
            self.show(model, shown)

    def _named(self, name: str) -> dict[str, Values]:
        if name not in self.kept:
            raise LuthierError(
                f"nothing called {name} was loaded",
                where=name,
                mend=f"load it first; there are: {', '.join(self.kept) or 'none'}",
            )
        return self.kept[name]


def replaced_in(model: Any) -> Replaced:
    """What was loaded into a model; nothing yet where none of it was."""
    if not hasattr(model, _PLACE):
        setattr(model, _PLACE, Replaced())
    found: Replaced = getattr(model, _PLACE)
    return found


def forget(model: Any) -> None:
    """Drop all that is kept beside a model; what is shown stays in it."""
    if hasattr(model, _PLACE):
        delattr(model, _PLACE)
