"""Passages of a large text that are nearly the same as one of many shorter texts.

Near is what it is between two rows of a task (`tasks/leakage.py`): of a text a of 20 words or more and a passage b of
its length, 2 LCS(a, b) / (|a| + |b|) >= 0.8 (Lee et al. 2021, arXiv 2107.06499), LCS the length of their longest common
subsequence. Three sieves stand before that comparison, each far quicker than the next:

1. Windows of about a text's length are left out where fewer than a third of the trigrams stand in one to ten texts.
   Where every fifth word is another, which is what 0.8 comes to, two fifths of the trigrams are left.
2. MinHash (datasketch, with the bands of `tasks/leakage.py`) says which texts a window resembles.
3. The passage is moved about the window until it fits best (rapidfuzz).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.suites.ngrams import Hashes, Ngrams, Words
from luthier.tasks.leakage import BANDS, ORDERS_A_BAND, THRESHOLD, Tokens, is_long, minhashes

TRIGRAM = 3
TRIGRAM_SHARE = 1 / 3
"""Of a window's trigrams, what must be known for it to be looked at. Two fifths are left of a copy at the threshold
whose words differ at equal distances, more where they differ in places; the rest is for windows that lie beside it."""
MOST_TEXTS = 10
"""A trigram in more of the texts than this is a turn of speech, and does not count."""
LENGTH_STEP = 1.25
"""Texts whose lengths differ by less than this are looked for in windows of one length."""


@dataclass(frozen=True)
class Near:
    """A passage that is nearly one of the texts.

    Attributes:
        text: which one, by its number.
        similarity: from 0.8 to 1.
        start, stop: of the passage, among the tokens that were looked at.
    """

    text: int
    similarity: float
    start: int
    stop: int


class NearPassages:
    """What looks for passages near to a number of texts.

    Args:
        rows: number -> tokens; rows of fewer than 20 words are near to nothing, and left out.
        words: that know every word of the rows.
    """

    def __init__(self, rows: Mapping[int, Tokens], words: Words):
        from datasketch import MinHashLSH

        self._rows = {number: row for number, row in rows.items() if is_long(row)}
        self._trigrams = Ngrams(_telling_trigrams(self._rows.values(), words))
        self._index = MinHashLSH(num_perm=BANDS * ORDERS_A_BAND, params=(BANDS, ORDERS_A_BAND))
        for number, sketch in zip(self._rows, minhashes(self._rows.values()), strict=True):
            self._index.insert(number, sketch)
        self._lengths = _steps(sorted({len(row) for row in self._rows.values()}))

    def look(
        self, tokens: Sequence[str], begins: NDArray[np.intp], starts: NDArray[np.intp], hashes: Hashes
    ) -> Iterator[Near]:
        """Passages of some documents that are near to a text; a text may be met several times.

        Args:
            tokens: of the documents, one after the other, a token that no text holds behind each.
            begins: where each document begins; and where the next one would.
            starts, hashes: the trigrams of known words among the tokens.
        """
        known = np.zeros(len(tokens) + 1, np.int64)
        known[starts[self._trigrams.find(hashes)[0]] + 1] = 1
        so_far = np.cumsum(known)
        met: set[tuple[int, int]] = set()
        for length in self._lengths:
            windows = self._windows(so_far, length)
            cut = [begins[np.searchsorted(begins, window, side="right")] - 1 for window in windows]
            passages = [
                tuple(tokens[window : min(end, window + round(LENGTH_STEP * length))])
                for window, end in zip(windows, cut, strict=True)
            ]
            for window, end, sketch in zip(windows, cut, minhashes(passages), strict=True):
                begin = int(begins[np.searchsorted(begins, window, side="right") - 1])
                for number in self._index.query(sketch):
                    size = len(self._rows[number])
                    place = (number, window // size)
                    if place not in met:
                        met.add(place)
                        yield from self._aligned(number, tokens, max(begin, window - size), min(end, window + 2 * size))

    @staticmethod
    def _windows(so_far: NDArray[np.int64], length: int) -> list[int]:
        """Where windows with enough known trigrams begin; of several in half a window's length the fullest."""
        trigrams = length - TRIGRAM + 1
        if len(so_far) <= trigrams:
            return []
        found = so_far[trigrams:] - so_far[:-trigrams]
        stride = length // 2
        padded = np.pad(found, (0, -len(found) % stride)).reshape(-1, stride)
        places = padded.argmax(axis=1)
        enough = np.flatnonzero(padded[np.arange(len(padded)), places] >= TRIGRAM_SHARE * trigrams)
        return [int(block * stride + places[block]) for block in enough]

    def _aligned(self, number: int, tokens: Sequence[str], begin: int, end: int) -> Iterator[Near]:
        """The passage between the two places that is nearest to a text, where it is near enough."""
        from rapidfuzz import fuzz
        from rapidfuzz.distance import Indel

        row, around = self._rows[number], tuple(tokens[begin:end])
        if len(around) > len(row):
            best = fuzz.partial_ratio_alignment(row, around)
            assert best is not None, "without a cutoff there is a best one"
            begin, around = begin + best.dest_start, around[best.dest_start : best.dest_end]
        similarity = Indel.normalized_similarity(row, around)
        if similarity >= THRESHOLD:
            yield Near(number, round(float(similarity), 4), begin, begin + len(around))


def _telling_trigrams(rows: Iterable[Tokens], words: Words) -> Hashes:
    """The trigrams that stand in few of the rows."""
    of_rows = [found for row in rows for _, _, found in words.hashes(words.numbers(row), (TRIGRAM,))]
    if not of_rows:
        return np.zeros(0, np.uint64)
    hashes, counts = np.unique(np.concatenate([np.unique(found) for found in of_rows]), return_counts=True)
    return hashes[counts <= MOST_TEXTS]


def _steps(lengths: Sequence[int]) -> list[int]:
    """The lengths at which windows are looked at: from the shortest on, where there is one of the next step."""
    steps: list[int] = []
    for length in lengths:
        if not steps or length >= LENGTH_STEP * steps[-1]:
            steps.append(length)
    return steps
