"""The templates of the study: how a row is asked, what a good answer is, and the candidates where they are few."""

from __future__ import annotations

import json
import keyword
from dataclasses import dataclass

from luthier.init import names
from luthier.init.columns import Column
from luthier.init.options import first_option
from luthier.init.roles import Roles
from luthier.tasks.templates import ROW

_TAKEN = {ROW, "range", "dict", "namespace", "true", "false", "none", "loop", "self", "super", "caller", "varargs"}
"""Names that a template gives another meaning than the row's."""
_LONG = 40
"""A text of more words than this stands apart from the others, in a paragraph of its own."""
_CLUSTER_CHARACTERS = 100


@dataclass(frozen=True)
class Wording:
    """Jinja templates over the row's fields: the prompt, the reference, the candidates, the text that the answer
    is about, and what rows of one source share."""

    prompt: str
    reference: str
    choices: tuple[str, ...] = ()
    source: str | None = None
    cluster: str | None = None


def words_for(roles: Roles) -> Wording:
    """The templates that go with what was decided."""
    if roles.options:
        return _of_options(roles)
    pieces = [_task(roles), _asked(roles), _cue(roles)]
    return Wording(
        prompt="\n\n".join(piece for piece in pieces if piece),
        reference=_print(roles.answer, " | trim" if roles.answer.padded else ""),
        choices=tuple(map(_literal, roles.answer.labels)) if roles.sort == "choices" else (),
        source=_source(roles),
        cluster=_cluster(roles),
    )


def _of_options(roles: Roles) -> Wording:
    fields = [_field(column.name) for column in roles.options]
    first = first_option(roles.answer, len(fields))
    answer = _field(roles.answer.name)
    if first in ("0", "1"):
        place = f"{answer} | int" if first == "0" else f"({answer} | int) - 1"
    else:
        place = f"'{''.join(chr(ord(first or 'A') + step) for step in range(len(fields)))}'.index({answer})"
    return Wording(
        prompt=f"{_asked(roles)}\n\nAnswer:",
        reference=f"{{{{ [{', '.join(fields)}][{place}] }}}}",
        choices=tuple(f"{{{{ {name} }}}}" for name in fields),
        cluster=_cluster(roles),
    )


def _task(roles: Roles) -> str:
    """The line that says what is wanted; empty where the inputs say it themselves."""
    noun = _noun(roles)
    what = names.plain(roles.answer.name).lower()
    question = any(names.is_question(column.name) for column in roles.inputs)
    if roles.sort == "choices" and question:
        return f"Answer the question with {_or(roles.answer.labels)}."
    if roles.sort == "choices":
        return f"Which {what} fits this {noun}: {_or(roles.answer.labels)}?"
    if roles.sort == "labels":
        return f"Which {what} fits this {noun}?"
    if roles.sort == "translation":
        return f"Translate into {names.language(roles.answer.name)}."
    if names.is_summary(roles.answer.name):
        return f"Summarise the {noun}."
    if names.is_title(roles.answer.name):
        return f"Give the {noun} a {what}."
    if question:
        return "Answer the question with a number." if roles.sort == "number" else "Answer the question."
    return ""


def _asked(roles: Roles) -> str:
    """The inputs: one as it is, several each after its name."""
    if len(roles.inputs) == 1:
        return _print(roles.inputs[0])
    blocks = [_block(column) for column in roles.inputs]
    return ("\n\n" if any(column.words > _LONG for column in roles.inputs) else "\n").join(blocks)


def _block(column: Column) -> str:
    text = f"{names.shown(column.name)}: {_print(column)}"
    # An input that is often missing (the `input` of instruction data) is left out with its heading.
    return f"{{% if {_field(column.name)} %}}{text}{{% endif %}}" if column.missing else text


def _cue(roles: Roles) -> str:
    """The words after which the answer stands."""
    if len(roles.inputs) == 1 and names.last_word(roles.inputs[0].name) == "prompt":
        return ""  # a prompt that was written as one ends as its writer wanted
    spoken = names.language(roles.answer.name) if roles.sort == "translation" else None
    return f"{spoken or names.plain(roles.answer.name)}:"


def _noun(roles: Roles) -> str:
    if len(roles.inputs) > 1:
        return "pair" if len(roles.inputs) == 2 and roles.cluster not in roles.inputs else "case"
    word = names.last_word(roles.inputs[0].name)
    return word if names.is_input(roles.inputs[0].name) and len(word) > 1 and word not in ("prompt", "src") else "text"


def _or(labels: list[str]) -> str:
    return f"{', '.join(map(_literal, labels[:-1]))} or {_literal(labels[-1])}"


def _source(roles: Roles) -> str | None:
    """The longest input of a task whose answers are texts."""
    longest = max(roles.inputs, key=lambda column: column.words)
    return _print(longest) if roles.sort in ("text", "translation") and not longest.missing else None


def _cluster(roles: Roles) -> str | None:
    if roles.cluster is None:
        return None
    if roles.cluster.kind == "text":  # its beginning tells it from the others, and is short enough to store
        return f"{{{{ {_field(roles.cluster.name)}[:{_CLUSTER_CHARACTERS}] }}}}"
    return f"{{{{ {_field(roles.cluster.name)} }}}}"


def _print(column: Column, filters: str = "") -> str:
    filters = " | int" if column.whole else filters
    return f"{{{{ {_field(column.name)}{filters} }}}}"


def _field(name: str) -> str:
    """The field of a row in a template: by its name where that is a plain one."""
    if name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and name not in _TAKEN:
        return name
    return f"{ROW}[{json.dumps(name, ensure_ascii=False)}]"


def _literal(text: str) -> str:
    """A text that a template prints as it is."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if "{" in text else text
