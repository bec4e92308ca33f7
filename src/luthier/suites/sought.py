"""The n-grams of a benchmark's questions, and where they stand in a corpus: the share of each, and the longest run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.suites.ngrams import Hashes, Ngrams, Words
from luthier.tasks.leakage import COMMON_ROWS, COMMON_SHARE, Tokens

TEMPLATE = 8
"""Words of the runs by which a task's own wording is known."""
_NONE: Hashes = np.zeros(0, np.uint64)
_MOST_PLACES = 100
"""Of one n-gram, how many places are tried for the longest run."""


@dataclass(frozen=True)
class Run:
    """Words of a question that follow each other in a document, too.

    Attributes:
        start, words: where it begins in the question, and how many words it has.
        document: by its number.
    """

    start: int
    words: int
    document: int


def own_words(rows: Sequence[Tokens], words: Words) -> list[NDArray[np.bool_]]:
    """For each question of a task, which of its tokens are its own, and not the task's wording or shared examples.

    The wording is what stands in runs of eight tokens that more than a tenth of the questions have, and more than five.

    Args:
        rows: the questions' tokens.
        words: that know every word of them.
    """
    runs = [next((found for _, _, found in words.hashes(words.numbers(row), (TEMPLATE,))), _NONE) for row in rows]
    every, counts = np.unique(np.concatenate([np.unique(found) for found in [*runs, _NONE]]), return_counts=True)
    wording = Ngrams(every[counts > max(COMMON_SHARE * len(rows), COMMON_ROWS)])
    own = []
    for row, found in zip(rows, runs, strict=True):
        mask = np.ones(len(row), bool)
        for start in wording.find(found)[0]:  # every word is known, so the places are those in the row
            mask[start : start + TEMPLATE] = False
        own.append(mask)
    return own


class Sought:
    """The n-grams of one length that questions consist of.

    Args:
        n: words of an n-gram.
        rows: number of a question -> its tokens.
        own: number of a question -> which of them are its own; an n-gram is sought where all are.
        words: that know every word of the rows.
    """

    def __init__(self, n: int, rows: Mapping[int, Tokens], own: Mapping[int, NDArray[np.bool_]], words: Words):
        self.n = n
        owners, starts, hashes = [], [], []
        for number, row in rows.items():
            for _, places, found in words.hashes(words.numbers(row), (n,)):
                kept = np.all(np.lib.stride_tricks.sliding_window_view(own[number], n)[places], axis=1)
                owners.append(np.full(int(kept.sum()), number))
                starts.append(places[kept])
                hashes.append(found[kept])
        self._owners = np.concatenate(owners) if owners else np.zeros(0, np.int64)
        self._starts = np.concatenate(starts) if starts else np.zeros(0, np.int64)
        self._ngrams = Ngrams(np.concatenate(hashes) if hashes else _NONE)
        self._of_set = self._ngrams.find(np.concatenate(hashes))[1] if hashes else np.zeros(0, np.int64)
        self._met: list[NDArray[np.int64]] = []

    def look(self, starts: NDArray[np.intp], hashes: Hashes, begins: NDArray[np.intp], first: int) -> None:
        """Note where n-grams of some documents are among the sought.

        Args:
            starts, hashes: of the n-grams.
            begins: where each document begins, among the same tokens.
            first: the number of the first of these documents.
        """
        places, of_set = self._ngrams.find(hashes)
        at = starts[places]
        document = np.searchsorted(begins, at, side="right") - 1
        self._met.append(np.stack([of_set, document + first, at - begins[document]]))

    def found(self, held_out: NDArray[np.bool_], most_documents: int | None) -> tuple[Shares, LongestRuns]:
        """What was met, in the documents that were trained on.

        Args:
            held_out: per document, whether it was not trained on.
            most_documents: an n-gram in more documents than this is ignored; none is where it is None.
        """
        met = np.concatenate([*self._met, np.zeros((3, 0), np.int64)], axis=1)
        met = met[:, ~held_out[met[1]]]
        pairs = np.unique(met[:2], axis=1)
        documents = np.bincount(pairs[0], minlength=len(self._ngrams.hashes))[self._of_set]
        ignored = np.zeros(len(documents), bool) if most_documents is None else documents > most_documents
        shares = Shares(
            sought=np.bincount(self._owners, minlength=1),
            counted=np.bincount(self._owners[~ignored], minlength=1),
            met=np.bincount(self._owners[(documents > 0) & ~ignored], minlength=1),
        )
        return shares, LongestRuns(self.n, self._owners, self._starts, self._of_set, met)


@dataclass(frozen=True)
class Shares:
    """Per question, how many of its n-grams were sought, were counted, and were met."""

    sought: NDArray[np.int64]
    counted: NDArray[np.int64]
    met: NDArray[np.int64]

    def of(self, number: int) -> float | None:
        """The share of a question's n-grams that were met; None where it is too short to have one."""
        if number >= len(self.sought) or not self.sought[number]:
            return None
        counted = int(self.counted[number]) if number < len(self.counted) else 0
        return int(self.met[number]) / counted if counted and number < len(self.met) else 0.0


class LongestRuns:
    """Finds the longest run of a question that stands in one document, of what was met."""

    def __init__(
        self,
        n: int,
        owners: NDArray[np.int64],
        starts: NDArray[np.int64],
        of_set: NDArray[np.int64],
        met: NDArray[np.int64],
    ):
        self._n = n
        self._owners, self._starts, self._of_set = owners, starts, of_set  # owners never fall: questions come in order
        self._met = met[:, np.argsort(met[0], kind="stable")]

    def of(self, number: int) -> Run | None:
        """The longest one, of several the first; None where no n-gram was met."""
        mine = slice(*np.searchsorted(self._owners, [number, number + 1]))
        low, high = (np.searchsorted(self._met[0], self._of_set[mine], side=side) for side in ("left", "right"))
        high = np.minimum(high, low + _MOST_PLACES)
        hits = [
            (int(self._met[1, place]), int(self._met[2, place]) - int(start), int(start))
            for start, begin, end in zip(self._starts[mine], low, high, strict=True)
            for place in range(begin, end)
        ]
        best: Run | None = None
        before, length = None, 0
        for document, diagonal, start in sorted(hits):
            length = length + 1 if before == (document, diagonal, start - 1) else 1
            before = (document, diagonal, start)
            words = length + self._n - 1
            if best is None or words > best.words:
                best = Run(start - length + 1, words, document)
        return best
