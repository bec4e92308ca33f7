"""Leakage of a benchmark into the text that a model was pretrained on.

What is looked for is an item as it would stand in a text: its prompt, and its right answer after it, without the words
that the task itself puts around its items (`own_words`). Tokens are those of `tasks/leakage.py`. Three rules call an
item dirty:

- **any N-gram**: one of its N-grams stands in the corpus. N is the 5th percentile of the task's items in words, at
  least 8 and at most 13; n-grams that stand in more than ten documents are ignored, being sayings and boilerplate
  mostly (Brown et al. 2020, arXiv 2005.14165, appendix C).
- **70% of 8-grams**: so much of all its 8-grams stand in the corpus (Chowdhery et al. 2022, arXiv 2204.02311,
  section 8).
- **near-duplicate**: a passage of the corpus is nearly the item (`near_passages.py`).

The first finds a quotation in a long passage, the second copies of most of it, the third copies that were edited. An
item that is too short for a rule is neither dirty nor clean under it. And a dirty passage is not yet a known answer: a
question about an article of an encyclopaedia is dirty where that article was read.

The corpus is read once, document by document, and never held. Documents that were held out from the training do not
count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.core.types import Example
from luthier.pretrain_file import AnySource
from luthier.suites.corpus_pass import CorpusPass, Met, Part, SourceRead
from luthier.suites.near_passages import TRIGRAM, Near, NearPassages
from luthier.suites.ngrams import Words
from luthier.suites.sought import LongestRuns, Shares, Sought, own_words
from luthier.tasks.leakage import Tokens, is_long, tokens_of

SHORTEST, LONGEST = 8, 13
"""Bounds of N (Brown et al. 2020)."""
MOST_DOCUMENTS = 10
"""An n-gram in more documents than this is ignored by the first rule (Brown et al. 2020)."""
EIGHT, MOST_OF_IT = 8, 0.7
"""The second rule's n, and the share from which on an item is dirty (Chowdhery et al. 2022)."""
RULES = ("any N-gram", "70% of 8-grams", "near-duplicate")


@dataclass(frozen=True)
class Place:
    """Where in the corpus: the source, the document's file and row, and the words found there."""

    source: str
    document: str
    text: str


@dataclass(frozen=True)
class Found:
    """What was found of one item.

    Attributes:
        id, task: of the item.
        words: its tokens, the task's own wording left out.
        n: the N of its task.
        share: of its N-grams, how many stand in the corpus; None where it has none.
        share_of_8: the same of 8-grams.
        longest: the longest run of its words, eight or more, that stands in one document.
        similarity: of the passage that is nearest to it, from 0.8 on.
        near: where that passage is.
        long: whether it is long enough to have a near-duplicate.
    """

    id: str
    task: str
    words: int
    n: int
    share: float | None
    share_of_8: float | None
    longest: Place | None
    similarity: float | None
    near: Place | None
    long: bool

    def dirty(self, rule: str) -> bool | None:
        """Whether one of the `RULES` calls it dirty; None where it is too short for that."""
        any_of_n, most_of_8, _ = RULES
        if rule == any_of_n:
            return None if self.share is None else self.share > 0
        if rule == most_of_8:
            return None if self.share_of_8 is None else self.share_of_8 >= MOST_OF_IT
        return self.near is not None if self.long else None


@dataclass(frozen=True)
class PretrainingLeaks:
    """What was found of a benchmark in a corpus.

    Attributes:
        items: in the order given.
        sources: of the corpus.
        seconds: that it took.
    """

    items: tuple[Found, ...]
    sources: tuple[SourceRead, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        items = [{**asdict(one), "dirty": {rule: one.dirty(rule) for rule in RULES}} for one in self.items]
        return {**asdict(self), "items": items}


def find_in_pretraining(
    examples: Sequence[Example], corpus: Mapping[str, AnySource], say: Callable[[str], None] = lambda _: None
) -> PretrainingLeaks:
    """Look for every item of a benchmark in a corpus.

    Args:
        examples: the items; those of one `task` belong together.
        corpus: the sources of a pretraining file, by name.
        say: told which source is being read.

    Raises:
        LuthierError: a source cannot be read.
    """
    started = time.perf_counter()
    asked = _Asked(examples)
    reading = CorpusPass(corpus, say)
    for part in reading.parts():
        asked.look(part)
    held_out = reading.held_out()
    found = asked.found(reading.met, held_out)
    return PretrainingLeaks(tuple(found), reading.sources(held_out), time.perf_counter() - started)


class _Asked:
    """The items, as what is looked for, and what was met of them so far."""

    def __init__(self, examples: Sequence[Example]):
        self.examples = examples
        self.rows = [tokens_of(_as_text(example)) for example in examples]
        self.words = Words(self.rows)
        self.own: dict[int, NDArray[np.bool_]] = {}
        self.n: dict[int, int] = {}
        for numbers in self._tasks.values():
            rows = [self.rows[number] for number in numbers]
            self.own |= dict(zip(numbers, own_words(rows, self.words), strict=True))
            self.n |= dict.fromkeys(numbers, _n_of([int(self.own[number].sum()) for number in numbers]))
        self.eights = self._sought(EIGHT, range(len(examples)))
        self.sought = {
            n: self._sought(n, [number for number in self.n if self.n[number] == n]) for n in set(self.n.values())
        }
        self.near = NearPassages({number: self._own_tokens(number) for number in range(len(examples))}, self.words)
        self.nearest: dict[tuple[int, int], tuple[float, str]] = {}  # item and document -> similarity and words

    @cached_property
    def _tasks(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, example in enumerate(self.examples):
            found.setdefault(example.task, []).append(number)
        return found

    def _own_tokens(self, number: int) -> Tokens:
        return tuple(token for token, own in zip(self.rows[number], self.own[number], strict=True) if own)

    def _sought(self, n: int, numbers: Iterable[int]) -> Sought:
        rows = {number: self.rows[number] for number in sorted(numbers)}
        return Sought(n, rows, self.own, self.words)

    def look(self, part: Part) -> None:
        """Note what a part of the corpus has of the items."""
        every = {TRIGRAM, EIGHT, *self.sought}
        begins = part.begins[:-1]
        for n, starts, hashes in self.words.hashes(self.words.numbers(part.tokens), sorted(every)):
            if n == TRIGRAM:
                self._note(self.near.look(part.tokens, part.begins, starts, hashes), part)
            if n == EIGHT:
                self.eights.look(starts, hashes, begins, part.first)
            if n in self.sought:
                self.sought[n].look(starts, hashes, begins, part.first)

    def _note(self, passages: Iterable[Near], part: Part) -> None:
        for near in passages:
            key = (near.text, part.document_at(near.start))
            text = " ".join(part.tokens[near.start : near.stop])
            self.nearest[key] = max(self.nearest.get(key, (0.0, "")), (near.similarity, text))

    def found(self, met: Sequence[Met], held_out: NDArray[np.bool_]) -> list[Found]:
        """What was met in the documents that were trained on, item by item."""
        shares = {n: sought.found(held_out, MOST_DOCUMENTS)[0] for n, sought in self.sought.items()}
        of_8, runs = self.eights.found(held_out, None)
        nearest: dict[int, tuple[float, int, str]] = {}
        for (number, document), (similarity, text) in self.nearest.items():
            if not held_out[document] and similarity > nearest.get(number, (0.0,))[0]:
                nearest[number] = (similarity, document, text)
        return [
            self._of(number, shares[self.n[number]], of_8, runs, nearest.get(number), met)
            for number in range(len(self.examples))
        ]

    def _of(
        self,
        number: int,
        shares: Shares,
        of_8: Shares,
        runs: LongestRuns,
        near: tuple[float, int, str] | None,
        met: Sequence[Met],
    ) -> Found:
        def place(document: int, text: str) -> Place:
            return Place(met[document].source, met[document].where, text)

        run, row = runs.of(number), self.rows[number]
        return Found(
            id=self.examples[number].id,
            task=self.examples[number].task,
            words=int(self.own[number].sum()),
            n=self.n[number],
            share=shares.of(number),
            share_of_8=of_8.of(number),
            longest=place(run.document, " ".join(row[run.start : run.start + run.words])) if run else None,
            similarity=near[0] if near else None,
            near=place(near[1], near[2]) if near else None,
            long=is_long(self._own_tokens(number)),
        )


def _n_of(lengths: Sequence[int]) -> int:
    """Brown et al.'s N of a task with items of so many words."""
    return int(min(max(np.percentile(lengths, 5), SHORTEST), LONGEST))


def _as_text(example: Example) -> str:
    """Its prompt, and its right answer where it has one."""
    return "\n".join([*(message.content for message in example.messages), *example.references[:1]])
