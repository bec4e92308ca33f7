"""Looking for many n-grams in a large text at once: hashes of all of its windows, computed in numpy.

Words become random 64-bit values w, and a window of n words

    h(i) = sum over k < n of w[i + k] B^(n - 1 - k)    mod 2^64

(Karp & Rabin 1987, "Efficient randomized pattern-matching algorithms"). The n-grams looked for are a sorted array of
such hashes, behind a table of one byte for every 24 leading bits, which turns most windows away at the cost of one
look. With G n-grams and W windows the chance of a single false hit is about G W / 2^64: 1 in 100,000 for three million
n-grams and sixty million windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from luthier.tasks.leakage import Tokens

Hashes = NDArray[np.uint64]

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no power of it vanishes
_LEADING_BITS = 24
_SEED = 1


class Words:
    """The words that are looked for, each with its value; all others are unknown, and no n-gram holds one."""

    def __init__(self, rows: Iterable[Tokens]):
        self._number = {word: place for place, word in enumerate(sorted({word for row in rows for word in row}), 1)}
        self._values = np.random.default_rng(_SEED).integers(0, 2**64, len(self._number) + 1, dtype=np.uint64)

    def numbers(self, tokens: Sequence[str]) -> NDArray[np.int64]:
        """`(token,)`: a number from 1 for every word that is known, 0 for the others."""
        return np.fromiter(map(self._number.get, tokens, repeat(0)), np.int64, len(tokens))

    def hashes(
        self, numbers: NDArray[np.int64], lengths: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[np.intp], Hashes]]:
        """For each length n, upwards, the windows of n known words: where they begin, and their hashes."""
        values, unknown = self._values[numbers], np.concatenate([[0], np.cumsum(numbers == 0)])
        found = values
        for n in range(1, max(lengths, default=0) + 1):
            if len(values) < n:
                return
            if n > 1:
                found = found[:-1] * _BASE + values[n - 1 :]
            if n in lengths:
                starts = np.flatnonzero(unknown[n:] == unknown[:-n])
                yield n, starts, found[starts]


class Ngrams:
    """A set of n-grams of one length.

    Attributes:
        hashes: of all that are looked for, each once, upwards.
    """

    def __init__(self, hashes: Hashes):
        self.hashes = np.unique(hashes)
        self._near = np.zeros(2**_LEADING_BITS, bool)
        self._near[self._leading(self.hashes)] = True

    def find(self, hashes: Hashes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Which of the given hashes are in the set: their places among the given, and in the set."""
        given = np.flatnonzero(self._near[self._leading(hashes)])
        if not len(given) or not len(self.hashes):
            return given[:0], given[:0]
        places = np.minimum(np.searchsorted(self.hashes, hashes[given]), len(self.hashes) - 1)
        same = self.hashes[places] == hashes[given]
        return given[same], places[same]

    @staticmethod
    def _leading(hashes: Hashes) -> NDArray[np.int64]:
        return (hashes >> np.uint64(64 - _LEADING_BITS)).astype(np.int64)
