"""A small grammar for text that our own code writes: alternatives, slots, and the spelling that joins them.

Grammar({"bird": ("owl", "rook")}, rng).write("a [young|old] {bird1} saw another {bird}, and the {bird1} flew off.")
"An old rook saw another owl, and the rook flew off."
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.types import Split

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{([a-z_]+)(\d*)\}")
# `a` or `an` goes by sound: a university, a one-way street; an hour, an honest man.
_AN = re.compile(r"\b(a) (?=(?!one\b|once\b|euro|uni[^nm]|us[eu]|util)[aeiou]|hour|honest|honour|heir)", re.IGNORECASE)
_START = re.compile(r"(^|[.!?] +|\n)([a-z])")

_TRIES = 1000
"""Draws for one row before there are held to be no more."""


class Grammar:
    """Writes templates, each slot from its list of words.

    `[a|b|c]` is one of the alternatives. `{key}` is a word of the list `key` that this grammar has not yet used;
    `{key1}` is the same word wherever it stands. Words may hold alternatives and slots of their own.

    Args:
        lists: the words of every slot.
        rng: where every choice comes from.
    """

    def __init__(self, lists: Mapping[str, Sequence[str]], rng: random.Random):
        self.lists, self.rng = lists, rng
        self._bound: dict[str, str] = {}
        self._used: dict[str, list[str]] = {}

    def write(self, template: str) -> str:
        """The template filled, with `a` and `an`, and capitals where sentences start."""
        return spelt(self.fill(template))

    def fill(self, template: str) -> str:
        """The template filled, as it stands."""
        text = template
        while "[" in text or "{" in text:
            while "[" in text:
                text = _ALTERNATIVES.sub(lambda match: self.rng.choice(match[1].split("|")), text)
            text = _SLOT.sub(self._slot, text)
        return text

    def _slot(self, match: re.Match[str]) -> str:
        key, number = match[1], match[2]
        if not number:
            return self._fresh(key)
        if match[0] not in self._bound:
            self._bound[match[0]] = self.fill(self._fresh(key))
        return self._bound[match[0]]

    def _fresh(self, key: str) -> str:
        used = self._used.setdefault(key, [])
        word = self.rng.choice([word for word in self.lists[key] if word not in used] or list(self.lists[key]))
        used.append(word)
        return word


def spelt(text: str) -> str:
    """`an` before a vowel's sound, and a capital where a sentence starts: `a owl. it flew` -> `An owl. It flew`."""
    text = _AN.sub(r"\1n ", text)
    return _START.sub(lambda match: match[1] + match[2].upper(), text)


def write_rows(
    name: str,
    seed: int,
    counts: Mapping[Split, int],
    write: Callable[[random.Random, int], dict[str, Any]],
    key: Sequence[str],
) -> dict[Split, list[dict[str, Any]]]:
    """The rows of the three splits, each from its own random stream.

    The test rows are drawn first, so they stay the same when the other counts change.

    Args:
        name: of the task; enters the random streams.
        seed: which rows.
        counts: rows of each split.
        write: (random stream, number of the row in its split) -> a row without its id.
        key: fields of which no value may stand twice, in one split or in two.

    Raises:
        LuthierError: there are not that many different rows.
    """
    seen: set[str] = set()
    rows: dict[Split, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    order: tuple[Split, ...] = ("test", "validation", "train")
    for split in order:
        for number in range(counts[split]):
            rng = random.Random(f"{name}:{seed}:{split}:{number}")
            for _ in range(_TRIES):
                row = write(rng, number)
                values = {f"{field}: {row[field]}" for field in key}
                if not seen & values:
                    break
            else:
                raise LuthierError(
                    f"only {sum(map(len, rows.values()))} different rows were found",
                    where=f"generated/{name}",
                    mend="ask for fewer rows",
                )
            seen |= values
            rows[split].append({"id": f"{split}-{number:04d}", **row})
    return rows
