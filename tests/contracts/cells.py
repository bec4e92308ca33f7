"""The matrix of methods: every one that trains, with each of its variants, on every family of models.

What `luthier methods` prints is made of the same cells, so that none is claimed without a test. `make test` takes a
fair sample: every row once (of those of `peft` every fourth), in turns on the nine families; all others are slow.
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch

from luthier.method_matrix import ready, rows
from luthier.methods.additive.fusion import Fusion
from luthier.methods.method import Method, trainable
from luthier.models.families import FAMILIES
from tests.families import attach_to, family_model

ROWS = rows()


@dataclass(frozen=True)
class Cell:
    """A method on a family of models."""

    row: Method
    family: str

    @property
    def method(self) -> Method:
        """The method as it can be attached."""
        return _over_adapters(self.family) if isinstance(self.row, Fusion) else self.row

    @property
    def refusal(self) -> str | None:
        """Why it cannot work; None where it is claimed to."""
        return self.row.refusal(FAMILIES[self.family], self.family)

    @property
    def merge_refusal(self) -> str | None:
        """Why it cannot be merged."""
        return self.row.merge_refusal(FAMILIES[self.family], self.family)

    def __str__(self) -> str:
        return f"{self.row.label()}-{self.family}"


@cache
def _over_adapters(family: str) -> Method:
    """Fusion over two adapters of that family, in a folder that goes with the process."""
    folder = mkdtemp(prefix="cells-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.manual_seed(0)
    return ready(Fusion(**Fusion.variants[0]), lambda: family_model(family), Path(folder))


def all_cells() -> list[Cell]:
    """Every cell, those that are refused too."""
    return [Cell(method, family) for method in ROWS for family in FAMILIES]


def as_parameters(cells: Sequence[Cell]) -> list[Any]:
    """The cells as parameters of a test: the sample as it is, the rest marked slow; what is tested of one cell stays in
    one process, where it is trained once."""
    sample = {str(cell) for cell in fast()}
    slow = {True: (), False: (pytest.mark.slow,)}
    return [
        pytest.param(cell, id=str(cell), marks=(pytest.mark.xdist_group(str(cell)), *slow[str(cell) in sample]))
        for cell in cells
    ]


def working() -> list[Cell]:
    """The cells that are claimed to work."""
    return [cell for cell in all_cells() if cell.refusal is None]


def disturbed(cell: Cell, seed: int = 0) -> Any:
    """A model with the method on it, its trainable weights moved away from where they start, as training would."""
    model = attach_to(cell.family, cell.method, seed)
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in trainable(model):
            spread = float(parameter.abs().mean()) or 0.02
            parameter.add_(torch.randn(parameter.shape, generator=stream) * 0.3 * spread)
    return model.eval()


def fast() -> list[Cell]:
    """Each row once, of the many of `peft` every fourth: on the next family in turn on which it works."""
    families, chosen = list(FAMILIES), []
    generic = [method for method in ROWS if method.name == "peft"]
    for turn, method in enumerate(method for method in ROWS if method not in generic or method in generic[::4]):
        start = turn % len(families)
        order = [Cell(method, family) for family in families[start:] + families[:start]]
        chosen += [cell for cell in order if cell.refusal is None][:1]
    return chosen
