"""What `luthier init` says when it is done: what it saw, what it decided, and what to run next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luthier.init.columns import Column
from luthier.init.document import commands
from luthier.init.draft import Drafted
from luthier.init.roles import about

_NAME = 28


def announcement(drafted: Drafted) -> str:
    """A table of the columns, the decisions, the path, and the next two commands."""
    return "\n".join([*_table(drafted), "", *_decisions(drafted), "", *_next(drafted)])


def _table(drafted: Drafted) -> Iterator[str]:
    roles = drafted.draft.roles
    parts = {column.name: "asked about" for column in roles.inputs}
    parts |= {column.name: "an option" for column in roles.options}
    parts[roles.answer.name] = "the answer"
    width = min(_NAME, max(len("column"), *(len(column.name) for column in drafted.columns)))
    held = {column.name: _held(column) for column in drafted.columns}
    widest = max(len("holds"), *map(len, held.values()))
    yield f"{'column':<{width}}  {'holds':<{widest}}  {'different':>9}  {'missing':>7}  taken as"
    for column in drafted.columns:
        part = parts.get(column.name) or ("cluster" if column is roles.cluster else "-")
        name = _cut(column.name, width)
        yield f"{name:<{width}}  {held[column.name]:<{widest}}  {column.distinct:>9}  {column.missing:>7}  {part}"


def _held(column: Column) -> str:
    return _cut(about(column), 60)


def _decisions(drafted: Drafted) -> Iterator[str]:
    draft = drafted.draft
    yield from (line for line in (*draft.roles.why, *draft.data.notes) if line)
    sizes = draft.sizes
    yield f"Judged by {', '.join(draft.judging.metrics)} ({draft.judging.why})."
    yield (
        f"{sizes.train} train, {sizes.validation} validation and {sizes.test} test examples"
        + (f" of {sum(draft.there.values())}" if sizes.limited else "")
        + f": about {max(1, round(sizes.minutes))} min a seed on {draft.cores} cores."
    )
    if sizes.why_fewer:
        yield f"Fewer arms: {sizes.why_fewer}."
    yield from draft.troubles
    if sizes.minutes > draft.minutes:
        yield f"Even the smallest study takes longer than {draft.minutes:g} min: take a smaller model, or more time."


def _next(drafted: Drafted) -> Sequence[str]:
    dry, one, _ = commands(drafted.draft)
    width = max(len(dry[0]), len(one[0]))
    return [f"wrote {drafted.draft.path}; read it, then run:", *(f"  {c:<{width}}  # {does}" for c, does in (dry, one))]


def _cut(text: str, width: int) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= width else f"{shown[: width - 2]}.."
