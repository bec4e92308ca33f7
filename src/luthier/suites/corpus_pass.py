"""One pass over the text that a model was pretrained on: some hundred thousand tokens at a time, never all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from luthier.pretrain_file import AnySource
from luthier.tasks.corpus import Document, SourceSettings, documents, drawn_by, held_out_of
from luthier.tasks.leakage import tokens_of
from luthier.tasks.task import load_task

TOKENS_AT_ONCE = 250_000
_BETWEEN = ""
"""Stands behind every document; no text has it as a token."""


@dataclass(frozen=True)
class Part:
    """Some whole documents, as tokens.

    Attributes:
        tokens: one document after the other, an empty token behind each.
        begins: where each document begins, and where the next one would.
        first: the number of the first document, counted over the whole corpus.
    """

    tokens: list[str]
    begins: NDArray[np.intp]
    first: int

    def document_at(self, place: int) -> int:
        """The number of the document that a token belongs to."""
        return self.first + int(np.searchsorted(self.begins, place, side="right")) - 1


@dataclass(frozen=True)
class Met:
    """A document that went by: its source, its place there, its bytes, and what decides whether it was held out."""

    source: str
    where: str
    bytes: int
    drawn_by: tuple[str, int] | None


@dataclass(frozen=True)
class SourceRead:
    """What was read of a source: its name, its documents that were trained on, and their bytes in UTF-8."""

    name: str
    documents: int
    bytes: int


class CorpusPass:
    """Reads the sources of a pretraining file, and remembers which documents went by.

    Args:
        corpus: the sources, by name.
        say: told which one is being read.
    """

    def __init__(self, corpus: Mapping[str, AnySource], say: Callable[[str], None]):
        self._corpus, self._say = corpus, say
        self.met: list[Met] = []

    def parts(self) -> Iterator[Part]:
        """The corpus, part by part; a document longer than a part is one by itself.

        Raises:
            LuthierError: a source cannot be read.
        """
        tokens: list[str] = []
        begins = [0]
        for name, settings in self._corpus.items():
            self._say(f"reading {name}")
            for document in _documents_of(name, settings):
                drawn = drawn_by(document.text, settings) if isinstance(settings, SourceSettings) else None
                self.met.append(Met(name, document.where, len(document.text.encode()), drawn))
                tokens += tokens_of(document.text)
                tokens.append(_BETWEEN)
                begins.append(len(tokens))
                if len(tokens) >= TOKENS_AT_ONCE:
                    yield Part(tokens, np.array(begins), len(self.met) - len(begins) + 1)
                    tokens, begins = [], [0]
        if tokens:
            yield Part(tokens, np.array(begins), len(self.met) - len(begins) + 1)

    def held_out(self) -> NDArray[np.bool_]:
        """`(document,)`: which that went by were not trained on; nor was a second copy of such a one."""
        held = np.zeros(len(self.met), bool)
        for name, numbers in groupby(range(len(self.met)), lambda number: self.met[number].source):
            settings, mine = self._corpus[name], list(numbers)
            keys = [key for number in mine if (key := self.met[number].drawn_by) is not None]
            if isinstance(settings, SourceSettings):
                drawn = {keys[index][0] for index in held_out_of(keys, settings)}
                held[mine] = [key in drawn for key, _ in keys]
        return held

    def sources(self, held_out: NDArray[np.bool_]) -> tuple[SourceRead, ...]:
        """What was trained on of each."""
        kept = [one for one, held in zip(self.met, held_out, strict=True) if not held]
        sizes = {name: [one.bytes for one in kept if one.source == name] for name in self._corpus}
        return tuple(SourceRead(name, len(bytes_), sum(bytes_)) for name, bytes_ in sizes.items())


def _documents_of(name: str, settings: AnySource) -> Iterator[Document]:
    """The documents of a source of text; of a task the conversations that it trains on."""
    if isinstance(settings, SourceSettings):
        yield from documents(name, settings)
        return
    for example in load_task(settings.task).splits["train"]:
        turns = [message.content for message in example.messages]
        yield Document("\n".join([*turns, example.reference]), example.where or example.id)
