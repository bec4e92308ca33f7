"""What to pretrain on: sources of text, each with documents held out before anything is learnt from them, and tasks.

A row is a document. A `.txt` or `.md` file is one document too, with the fields `text` and `title` (the file's name).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.core.settings import Settings
from luthier.tasks.bad_rows import RowError
from luthier.tasks.readers import BadRow, Row, read_rows
from luthier.tasks.task_settings import TaskSettings, Texts
from luthier.tasks.templates import Template

TEXT_FILES = (".txt", ".md")
"""Suffixes of files that are one document each."""


class TaskSource(Settings):
    """A task, or a mixture of tasks, whose examples are trained on as conversations, on the answers alone."""

    task: TaskSettings
    """Where its examples come from; those of `train` are trained on, those of `validation` are held out."""
    weight: float = Field(gt=0)
    """Its share of the training tokens, relative to the other sources'."""
    licence: str
    """What the card says of it."""


class SourceSettings(Settings):
    """One source of documents."""

    data: Texts
    """Local files: a document a row, or text files of one document."""
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
class Document:
    """One document of a source: its text, and the file and row that it comes from."""

    text: str
    where: str


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
    texts = [document.text for document in documents(name, settings)]
    drawn = held_out_of([drawn_by(text, settings) for text in texts], settings)
    held_out = [_first_bytes(texts[index], settings.held_out_bytes_per_document) for index in drawn]
    measured = {texts[index] for index in drawn}
    train = [text for text in texts if text not in measured]  # a second copy is held out too
    if not train:
        raise LuthierError(
            f"source {name} has only {sum(len(text.encode()) for text in held_out)} bytes: all of it would be held out",
            where=", ".join(settings.data),
            mend="give more text, or a smaller held_out_bytes",
        )
    return Source(name, train, held_out)


def drawn_by(text: str, settings: SourceSettings) -> tuple[str, int]:
    """What decides whether a document is held out: its hash, and the bytes that it would contribute."""
    return _hash(text), len(_first_bytes(text, settings.held_out_bytes_per_document).encode())


def held_out_of(found: Sequence[tuple[str, int]], settings: SourceSettings) -> list[int]:
    """The places of the documents of a source that are held out: by their hashes, until there are bytes enough.

    Args:
        found: of every document of the source what `drawn_by` gives.
        settings: of the source.
    """
    drawn: list[int] = []
    size = 0
    for index in sorted(range(len(found)), key=lambda index: found[index][0]):
        if size >= settings.held_out_bytes:
            break
        drawn.append(index)
        size += found[index][1]
    return drawn


def documents(name: str, settings: SourceSettings) -> Iterator[Document]:
    """All documents of a source, one after the other, those that are held out among them.

    Raises:
        LuthierError: a row that cannot be read or rendered, named.
    """
    templates = [Template(text, f"source {name}, text {index}") for index, text in enumerate(settings.text)]
    for path in settings.data:
        found = False
        for row in _rows(path):
            found = True
            if isinstance(row, BadRow):
                raise _refused(row.reason, row.where)
            chosen = templates[int(_hash(row.where), 16) % len(templates)]
            if text := _rendered(chosen, row):
                yield Document(text, row.where)
        if not found:
            raise LuthierError("the file is empty", where=path, mend="take it out of the source, or fill it")


def _rendered(template: Template, row: Row) -> str:
    try:
        text = template.render(row.values).strip()
        text.encode()
    except RowError as error:
        raise _refused(str(error), row.where) from None
    except UnicodeEncodeError:  # JSON can write it
        raise _refused("not valid Unicode: half of a surrogate pair", row.where) from None
    return text


def _refused(reason: str, where: str) -> LuthierError:
    return LuthierError(reason, where=where, mend="mend the row, or take it out of the file")


def _rows(path: str) -> Iterator[Row | BadRow]:
    file = Path(path)
    if file.suffix.lower() not in TEXT_FILES or not file.is_file():
        yield from read_rows(path)
        return
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise LuthierError(f"cannot be read: {error.strerror}", where=path, mend="check its permissions") from None
    if "\0" in text:
        raise LuthierError("not a text file", where=path, mend="give text in UTF-8, or take the file out of the source")
    if text.strip():
        yield Row({"text": text, "title": file.stem}, path)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _first_bytes(text: str, most: int) -> str:
    return text if len(text.encode()) <= most else text.encode()[:most].decode(errors="ignore")
