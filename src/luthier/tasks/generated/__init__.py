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


def _sentiment(seed: int) -> Mapping[Split, Sequence[Mapping[str, Any]]]:
    from luthier.tasks.generated.sentiment import sentiment

    return sentiment(seed)


def _entities(seed: int) -> Mapping[Split, Sequence[Mapping[str, Any]]]:
    from luthier.tasks.generated.entities import entities

    return entities(seed)


def _arithmetic(seed: int) -> Mapping[Split, Sequence[Mapping[str, Any]]]:
    from luthier.tasks.generated.arithmetic import arithmetic

    return arithmetic(seed)


def _yes_no(seed: int) -> Mapping[Split, Sequence[Mapping[str, Any]]]:
    from luthier.tasks.generated.yes_no import yes_no

    return yes_no(seed)


GENERATED: dict[str, Generate] = {
    "support_desk": _support_desk,
    "sentiment": _sentiment,
    "entities": _entities,
    "arithmetic": _arithmetic,
    "yes_no": _yes_no,
}
