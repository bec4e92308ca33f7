"""Documents to pretrain on: text sources, each with documents held out before anything is learnt from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.core.settings import Settings
from luthier.tasks.readers import BadRow, read_rows
from luthier.tasks.task_settings import Texts
from luthier.tasks.templates import Template


class SourceSettings(Settings):
    """One source of documents."""

    data: Texts
    """Local files, a document a row."""
    text: Texts
    """The template of a document's text, or several, of which each document gets one by its hash."""
    weight: float = Field(gt=0)
    """Its share of the training tokens, relative to the other sources'."""
    licence: str
    """What the card says of it."""
    held_out_bytes: int = Field(default=200_000, ge=1)
    """How many bytes of documents are held out (drawn by hash). A document of which a part is held out is not trained
    on."""
    held_out_bytes_per_document: int = Field(default=50_000, ge=1)
    """The most that one long document contributes: of a novel, its beginning."""


@dataclass(frozen=True)
class Source:
    """A source, read.

    Attributes:
        name: as the settings call it.
        train: documents to train on, in file order.
        held_out: documents to measure on.
    """

    name: str
    train: list[str]
    held_out: list[str]


def read_source(name: str, settings: SourceSettings) -> Source:
    """Read all documents of a source and hold some out, always the same.

    Raises:
        LuthierError: a row that cannot be read or rendered, named.
    """
    documents = list(_documents(name, settings))
    by_hash = sorted(range(len(documents)), key=lambda index: _hash(documents[index]))
    held_out: dict[int, str] = {}
    size = 0
    for index in by_hash:
        if size >= settings.held_out_bytes:
            break
        held_out[index] = _first_bytes(documents[index], settings.held_out_bytes_per_document)
        size += len(held_out[index].encode())
    measured = {documents[index] for index in held_out}
    train = [text for text in documents if text not in measured]  # a second copy is held out too
    if not train:
        raise LuthierError(
            f"source {name} has only {size} bytes: all of it would be held out",
            where=", ".join(settings.data),
            mend="give more text, or a smaller held_out_bytes",
        )
    return Source(name, train, list(held_out.values()))


def _documents(name: str, settings: SourceSettings) -> Iterator[str]:
    templates = [Template(text, f"source {name}, text {index}") for index, text in enumerate(settings.text)]
    for path in settings.data:
        for row in read_rows(path):
            if isinstance(row, BadRow):
                raise LuthierError(row.reason, where=row.where, mend="mend the row, or take it out of the file")
            chosen = templates[int(_hash(row.where), 16) % len(templates)]
            text = chosen.render(row.values).strip()
            if text:
                yield text


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _first_bytes(text: str, most: int) -> str:
    return text if len(text.encode()) <= most else text.encode()[:most].decode(errors="ignore")
