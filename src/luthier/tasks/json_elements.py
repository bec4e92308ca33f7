"""The elements of the list in a JSON text, each with its line (the json module tells no places)."""

from __future__ import annotations

import json
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from typing import Any

_DECODER = json.JSONDecoder()
Elements = list[tuple[int, Any]]


class JsonElementsError(Exception):
    """Valid JSON, but neither a list nor an object with exactly one list in it."""


def json_elements(text: str) -> Elements:
    """(line, value) of every element of a top-level list, or of the one list among an object's values.

    Raises:
        json.JSONDecodeError: not valid JSON.
        JsonElementsError: neither of the two shapes.
    """
    lists: list[Elements] = []
    start = _skip(text, 0)
    if text.startswith("[", start):
        elements, end = _list(text, start, _Lines(text))
        lists.append(elements)
    elif text.startswith("{", start):
        lists, end = _lists_of_object(text, start)
    else:
        _, end = _DECODER.raw_decode(text, start)
    if _skip(text, end) != len(text):
        raise json.JSONDecodeError("Extra data", text, _skip(text, end))
    if len(lists) != 1:
        found = "no list" if not lists else f"{len(lists)} lists"
        raise JsonElementsError(f"the file holds {found}")
    return lists[0]


class _Lines:
    """Line numbers of growing positions, each stretch of the text counted once."""

    def __init__(self, text: str):
        self.text, self.position, self.line = text, 0, 1

    def at(self, position: int) -> int:
        self.line += self.text.count("\n", self.position, position)
        self.position = position
        return self.line


def _skip(text: str, position: int) -> int:
    match = WHITESPACE.match(text, position)
    return int(match.end())


def _expect(text: str, position: int, characters: str) -> int:
    """The position after one of these characters, whitespace before it skipped."""
    position = _skip(text, position)
    if position >= len(text) or text[position] not in characters:
        raise json.JSONDecodeError(f"Expecting {' or '.join(repr(c) for c in characters)}", text, position)
    return position + 1


def _list(text: str, start: int, lines: _Lines) -> tuple[Elements, int]:
    elements: Elements = []
    position = _skip(text, start + 1)
    if text.startswith("]", position):
        return elements, position + 1
    while True:
        position = _skip(text, position)
        line = lines.at(position)
        value, position = _DECODER.raw_decode(text, position)
        elements.append((line, value))
        position = _expect(text, position, ",]")
        if text[position - 1] == "]":
            return elements, position


def _lists_of_object(text: str, start: int) -> tuple[list[Elements], int]:
    lists: list[Elements] = []
    lines = _Lines(text)
    position = _skip(text, start + 1)
    if text.startswith("}", position):
        return lists, position + 1
    while True:
        position = _expect(text, position, '"') - 1
        _, position = _DECODER.raw_decode(text, position)
        position = _skip(text, _expect(text, position, ":"))
        if text.startswith("[", position):
            elements, position = _list(text, position, lines)
            lists.append(elements)
        else:
            _, position = _DECODER.raw_decode(text, position)
        position = _expect(text, position, ",}")
        if text[position - 1] == "}":
            return lists, position
