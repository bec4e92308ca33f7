"""What a column holds: text, labels, numbers, an id; how long, how many different, how many missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from luthier.init import names
from luthier.tasks.readers import Row

Kind = Literal["text", "label", "number", "id", "group", "constant", "nested", "empty"]
MOST_LABELS = 200
"""More different values than this are no labels."""
_MOST_NUMBERS = 20
"""More different numbers than this are quantities, not labels."""
_LABEL_WORDS, _LABEL_CHARACTERS = 5.0, 80
_REPEATED = 4
"""A label stands in so many rows on average, or more."""
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Column:
    """One column, looked at.

    Attributes:
        name, kind: what it is called and what it seems to hold; a `group` is an id that rows share.
        rows, missing: how many rows there are, and how many have nothing here.
        words, longest: the mean number of words, and the most.
        counts: how often each value stands there, as templates print it (stripped).
        whole: its values are floats without a fraction (51.0).
        padded: some value has white space around it.
    """

    name: str
    kind: Kind
    rows: int
    missing: int
    words: float
    longest: int
    counts: Counter[str]
    whole: bool = False
    padded: bool = False

    @property
    def distinct(self) -> int:
        """How many different values."""
        return len(self.counts)

    @property
    def labels(self) -> list[str]:
        """Its values in order: numbers by size, words by the alphabet."""
        return sorted(self.counts, key=lambda text: (0, float(text), text) if _is_number(text) else (1, 0.0, text))

    @property
    def numeric(self) -> bool:
        """Whether every value is a number."""
        return all(map(_is_number, self.counts))


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """Every column that all of these rows' files have, in order; one that is missing in a row counts as missing."""
    order = dict.fromkeys(name for row in rows for name in row.values)
    return [_column(name, [row.values.get(name) for row in rows]) for name in order]


def _column(name: str, values: Sequence[Any]) -> Column:
    present = [value for value in values if value is not None and not (isinstance(value, str) and not value.strip())]
    whole = bool(present) and all(isinstance(value, float) and value.is_integer() for value in present)
    texts = [str(int(value)) if whole else str(value) for value in present]
    counts = Counter(text.strip() for text in texts)
    lengths = [len(_WORD.findall(text)) for text in texts]
    nested = any(isinstance(value, list | dict) for value in present)
    return Column(
        name=name,
        kind="nested" if nested else _kind(name, counts, sum(lengths) / max(1, len(lengths))),
        rows=len(values),
        missing=len(values) - len(present),
        words=sum(lengths) / max(1, len(lengths)),
        longest=max(lengths, default=0),
        counts=counts,
        whole=whole,
        padded=any(text != text.strip() for text in texts),
    )


def _kind(name: str, counts: Counter[str], words: float) -> Kind:
    if len(counts) < 2:
        return "constant" if counts else "empty"
    total = counts.total()
    few = len(counts) <= max(2, total // _REPEATED)
    answers = names.is_answer(name) or names.may_be_answer(name)
    if names.is_id(name) and not answers:
        shared = names.may_be_shared(name) and len(counts) <= 0.9 * total and max(counts.values()) <= 0.05 * total
        return "group" if shared else "id"
    if not answers and len(counts) == total and _looks_like_ids(counts):
        return "id"
    if all(map(_is_number, counts)):
        labels = few and len(counts) <= _MOST_NUMBERS and all(float(text).is_integer() for text in counts)
        return "label" if labels else "number"
    short = words <= _LABEL_WORDS and max(map(len, counts)) <= _LABEL_CHARACTERS
    return "label" if few and short and len(counts) <= MOST_LABELS else "text"


def _looks_like_ids(counts: Counter[str]) -> bool:
    """Numbers that count the rows, or words with digits in them (`train_17`, hashes)."""
    if all(re.fullmatch(r"[0-9]{1,18}", text) for text in counts):
        numbers = sorted(map(int, counts))
        return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return all(re.fullmatch(r"\S*\d\S*", text) and not _is_number(text) for text in counts)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None
