"""Tasks whose text our own code writes: no corpus, deterministic by seed, named `generated/NAME` in a study file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from luthier.core.types import Split

Generate = Callable[[int], Mapping[Split, Sequence[Mapping[str, Any]]]]
"""seed -> the rows of every split."""


def _support_desk(seed: int) -> Mapping[Split, Sequence[Mapping[str, Any]]]:
    from luthier.tasks.generated.support_desk import support_desk

    return support_desk(seed)


GENERATED: dict[str, Generate] = {"support_desk": _support_desk}
