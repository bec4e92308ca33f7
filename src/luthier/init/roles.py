"""Which column is the answer, which are asked about, and what sort of task that makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from luthier.core.errors import LuthierError
from luthier.core.settings import suggest
from luthier.init import names
from luthier.init.columns import Column
from luthier.init.options import first_option, options_of
from luthier.init.question import Ask

Wanted = Literal["text", "classify"]
Sort = Literal["choices", "labels", "options", "number", "short", "text", "translation"]
MOST_CHOICES = 10
"""With more labels than this, scoring each of them takes longer than writing one."""
_SHORT_WORDS = 5.0
_MOST_INPUTS = 4


@dataclass(frozen=True)
class Roles:
    """What was decided.

    Attributes:
        answer: the column that says what a good answer is.
        inputs: the columns that are asked about, in the file's order, a question after what it is about.
        sort: `choices` (few labels), `labels` (many), `options` (each row lists its own), `number`, `short` (a few
            words), `text`, `translation`.
        options: the columns that hold a row's options, in order; the answer says which by its number or letter.
        cluster: a template of what rows of one source share, where there is such a column.
        why: a sentence each on how this was decided.
    """

    answer: Column
    inputs: tuple[Column, ...]
    sort: Sort
    options: tuple[Column, ...] = ()
    cluster: Column | None = None
    why: tuple[str, ...] = field(default=())


def decide(
    columns: Sequence[Column], *, answer: str | None, inputs: Sequence[str], wanted: Wanted | None, ask: Ask | None
) -> Roles:
    """Tell the columns' parts from their names and contents.

    Args:
        columns: as `columns_of` gave them.
        answer, inputs, wanted: what the user said, if anything.
        ask: asks where two readings are as good; None where nobody can be asked.

    Raises:
        LuthierError: nothing to answer or to ask about, or two plausible readings and nobody to ask.
    """
    claimed = {answer, *inputs}
    options = options_of([column for column in columns if column.name not in claimed])
    rest = [column for column in columns if column not in options]
    if len(rest) + len(options) < 2:
        raise LuthierError(
            f"one column only ({columns[0].name}): there is nothing to answer",
            mend="give a file with a column to ask about and one to answer with",
        )
    the_answer, why = _answer(rest, answer, wanted, ask)
    _check_answer(the_answer, wanted)
    options = options if first_option(the_answer, len(options)) is not None else []
    asked, why_inputs = _inputs(rest, the_answer, inputs, ask)
    return Roles(
        answer=the_answer,
        inputs=tuple(asked),
        sort="options" if options else _sort(the_answer, asked, wanted),
        options=tuple(options),
        cluster=_cluster(rest, the_answer, asked),
        why=(why, why_inputs),
    )


def _answer(columns: Sequence[Column], given: str | None, wanted: Wanted | None, ask: Ask | None) -> tuple[Column, str]:
    if given is not None:
        return _named(columns, given, "--answer"), f"{given} is the answer: --answer says so."
    possible = [column for column in columns if column.kind in ("text", "label", "number")]
    possible = [column for column in possible if not names.tells_the_answer(column.name)]
    if wanted:
        possible = [column for column in possible if (column.kind == "label") == (wanted == "classify")]
    named = [column for column in possible if names.is_answer(column.name)]
    unfit = [c for c in columns if c.kind in ("constant", "nested", "empty") and names.is_answer(c.name)]
    if not named and len(unfit) == 1 and not wanted:
        return unfit[0], ""  # refused with its own message
    named = _spelt_out(named)
    if len(named) == 1:
        return named[0], f"{named[0].name} is the answer: it is called so."
    perhaps = [] if named else [column for column in possible if names.may_be_answer(column.name)]
    if len(perhaps) == 1:
        return perhaps[0], f"{perhaps[0].name} is taken for the answer, as its name fits best; --answer names another."
    named = named or perhaps
    labels = [column for column in possible if column.kind == "label" and not names.is_input(column.name)]
    if not named and len(labels) == 1:
        return labels[0], f"{labels[0].name} is the answer: the only column of labels."
    if not named and not labels:
        texts = [column for column in possible if column.kind == "text"]
        found = _of_two_texts(texts)
        if found is not None:
            return found
    return _ask_for_answer(named or labels or possible, columns, ask)


def _spelt_out(named: list[Column]) -> list[Column]:
    """Of a label as a number and the same label as a word (`label`, `label_text`), the word."""
    shares = {tuple(sorted(column.counts.values())) for column in named}
    words = [column for column in named if not column.numeric]
    same = len(named) == 2 and len(shares) == 1 and all(column.kind == "label" for column in named)
    return words if same and len(words) == 1 else named


def _of_two_texts(texts: Sequence[Column]) -> tuple[Column, str] | None:
    """Of two columns of text, the translation or the one that is much shorter."""
    if len(texts) != 2:
        return None
    first, second = texts
    spoken = [names.language(column.name) for column in texts]
    if all(spoken):
        answer = first if spoken[1] == "English" else second
        return answer, f"{answer.name} is the answer: the columns are named after languages."
    asked = [column for column in texts if names.is_input(column.name)]
    if len(asked) == 1:
        answer = second if asked[0] is first else first
        return answer, f"{answer.name} is the answer: {asked[0].name} is what is asked about, and nothing else is left."
    short, long = sorted(texts, key=lambda column: column.words)
    if short.words < long.words / 2:
        return short, (
            f"{short.name} is the answer: no column is called so, and of the two texts it is the shorter one "
            f"({short.words:.0f} words against {long.words:.0f})."
        )
    return None


def _ask_for_answer(possible: Sequence[Column], columns: Sequence[Column], ask: Ask | None) -> tuple[Column, str]:
    if not possible:
        held = ", ".join(f"{column.name} ({column.kind})" for column in columns)
        raise LuthierError(
            f"no column can be the answer: there are {held}", mend="name one with --answer, or give other data"
        )
    if len(possible) == 1:
        return possible[0], f"{possible[0].name} is the answer: nothing else can be."
    if ask is None:
        raise LuthierError(
            f"cannot tell which column is the answer: {', '.join(column.name for column in possible)}",
            mend=f"name it: --answer {_quoted(possible[0].name)}",
        )
    options = [f"{column.name} ({about(column)})" for column in possible]
    chosen = possible[ask("Which column is the answer?", options, 0)]
    return chosen, f"{chosen.name} is the answer: you said so."


def _check_answer(answer: Column, wanted: Wanted | None) -> None:
    if answer.kind == "constant":
        (only,) = answer.counts
        raise LuthierError(
            f"the answer column {answer.name} has one value only, {only[:60]!r}: there is nothing to learn",
            mend="name another with --answer, or give rows with other answers",
        )
    if answer.kind in ("empty", "nested"):
        held = "nothing" if answer.kind == "empty" else "lists or maps"
        raise LuthierError(
            f"the answer column {answer.name} holds {held}",
            mend="name another with --answer, or give a column of text, labels or numbers",
        )
    if wanted == "classify" and answer.distinct > answer.rows / 2:
        raise LuthierError(
            f"{answer.name} has {answer.distinct} different values in {answer.rows} rows: these are no labels",
            mend="name another with --answer, or say --task text",
        )


def _inputs(
    columns: Sequence[Column], answer: Column, given: Sequence[str], ask: Ask | None
) -> tuple[list[Column], str]:
    if given:
        asked = [_named(columns, name, "--input") for name in given]
        unfit = next((column for column in asked if column is answer or column.kind in ("nested", "empty")), None)
        if unfit is not None:
            held = "is the answer" if unfit is answer else f"holds {'lists' if unfit.kind == 'nested' else 'nothing'}"
            raise LuthierError(f"{unfit.name} {held}", where="--input", mend="name another column")
        return asked, f"{_listed(asked)} asked about: --input says so."
    rest = [column for column in columns if column is not answer and not names.tells_the_answer(column.name)]
    texts = [c for c in rest if c.kind == "text" and not names.is_answer(c.name)]
    labels = [c for c in rest if c.kind == "label" and names.is_input(c.name)]
    named = [c for c in rest if c in labels or (c in texts and names.is_input(c.name))]
    if 1 <= len(named) <= _MOST_INPUTS:
        named.sort(key=lambda column: not names.is_context(column.name))  # what a question is about comes first
        return named, f"{_listed(named)} asked about: called so."
    possible = named or texts
    if 1 <= len(possible) <= 2:
        return possible, f"{_listed(possible)} asked about: no other column of text is left."
    if not possible:
        raise LuthierError(
            f"no column of text to ask about: beside {answer.name} there are "
            + (", ".join(f"{column.name} ({column.kind})" for column in rest) or "none"),
            mend="name one with --input, or give data with a column of text",
        )
    if ask is None:
        raise LuthierError(
            f"cannot tell which columns are asked about: {', '.join(column.name for column in possible)}",
            mend=f"name them: --input {_quoted(possible[0].name)} (once for each)",
        )
    longest = max(range(len(possible)), key=lambda position: possible[position].words)
    options = [f"{column.name} ({about(column)})" for column in possible]
    chosen = [possible[ask("Which column is asked about?", options, longest)]]
    return chosen, f"{_listed(chosen)} asked about: you said so."


def _sort(answer: Column, inputs: Sequence[Column], wanted: Wanted | None) -> Sort:
    labels = wanted == "classify" or (answer.kind == "label" and wanted != "text")
    if labels:
        return "choices" if answer.distinct <= MOST_CHOICES else "labels"
    if names.language(answer.name) and len(inputs) == 1 and names.language(inputs[0].name):
        return "translation"
    if answer.numeric:
        return "number"
    return "short" if answer.words <= _SHORT_WORDS else "text"


def _cluster(columns: Sequence[Column], answer: Column, inputs: Sequence[Column]) -> Column | None:
    """An id that rows share, or a text that several questions share."""
    shared = [column for column in columns if column.kind == "group" and column is not answer and not column.missing]
    if len(inputs) > 1:
        shared += [
            column
            for column in inputs
            if names.is_context(column.name) and not column.missing and column.distinct < 0.8 * column.rows
            and max(column.counts.values()) <= 0.05 * column.rows
        ]  # fmt: skip
    return shared[0] if shared else None


def about(column: Column) -> str:
    """What a column holds, in a few words."""
    if column.kind == "label":
        few = ", ".join(label[:20] for label in column.labels[:3]) + (", .." if column.distinct > 3 else "")
        return f"{column.distinct} labels: {few}"
    if column.kind == "text":
        return f"text of {column.words:.0f} words, at most {column.longest}"
    return column.kind


def _named(columns: Sequence[Column], name: str, flag: str) -> Column:
    for column in columns:
        if column.name == name:
            return column
    known = [column.name for column in columns]
    raise LuthierError(
        f"{name}: no such column{suggest(name, known)}", where=flag, mend=f"there are {', '.join(known)}"
    )


def _listed(columns: Sequence[Column]) -> str:
    listed = " and ".join(column.name for column in columns)
    return f"{listed} {'is' if len(columns) == 1 else 'are'}"


def _quoted(name: str) -> str:
    return name if name.isidentifier() else repr(name)
