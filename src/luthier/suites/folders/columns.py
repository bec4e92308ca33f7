"""Which columns a definition of lm-eval reads, and what may stand in them.

Columns are found in the definition's own templates. Where it reads rows in Python instead, they stand here, and so do
the classes of a label that the definition does not list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_READ_IN_PYTHON: Mapping[str, tuple[str, ...]] = {
    "hellaswag": ("activity_label", "ctx_a", "ctx_b", "endings", "label"),
    "mnli": ("premise", "hypothesis", "label"),
    "mnli_mismatch": ("premise", "hypothesis", "label"),
    "record": ("passage", "query", "entities", "answers"),
    "copa": ("premise", "question", "choice1", "choice2", "label"),
    "wsc": ("text", "span1_text", "span2_text", "span2_index", "label"),
}
_BIGBENCH = ("inputs", "targets", "multiple_choice_targets", "multiple_choice_scores")
_LABELS: Mapping[str, tuple[str, int]] = {
    "piqa": ("label", 2),
    "copa": ("label", 2),
    "multirc": ("label", 2),
    "hellaswag": ("label", 4),
}
_NUMBERS: Mapping[str, tuple[str, ...]] = {"wic": ("start1", "end1", "start2", "end2"), "wsc": ("span2_index",)}
_LISTS = {"endings", "entities", "answers", "targets", "multiple_choice_targets", "multiple_choice_scores"}
_TEMPLATES = ("doc_to_text", "doc_to_target", "doc_to_choice")
UNLABELLED = -1
"""What the hub's files have for a label that is held back."""


@dataclass(frozen=True)
class Columns:
    """What a row must have.

    Attributes:
        names: the columns that the definition reads.
        label: which of them is the place of the right choice; None where a text (or something else) tells it.
        classes: the choices that it counts from 0, or names.
        class_names: how the definition words them; empty where the row does.
        numbers: columns of whole numbers.
        lists: columns of lists.
    """

    names: tuple[str, ...]
    label: str | None
    classes: int
    class_names: tuple[str, ...]
    numbers: tuple[str, ...]
    lists: tuple[str, ...]


def columns_of(task: str, config: Mapping[str, Any]) -> Columns:
    """The columns that lm-eval's definition of a task reads."""
    family = str(config.get("dataset_path", "")).split("/")[-1]
    names = _READ_IN_PYTHON.get(task) or (_BIGBENCH if family == "bigbench" else None)
    if names is None and not config.get("process_docs"):
        names = tuple(dict.fromkeys(name for key in _TEMPLATES for name in _read_by(config.get(key))))
    label, classes = _LABELS.get(task, (None, 0))
    listed, target = config.get("doc_to_choice"), config.get("doc_to_target")
    class_names: tuple[str, ...] = ()
    if isinstance(listed, list) and isinstance(target, str) and target.isidentifier():
        label, classes, class_names = target, len(listed), tuple(listed)
    kept = names or ()
    lists = tuple(name for name in kept if name in _LISTS)
    return Columns(kept, label, classes, class_names, _NUMBERS.get(task, ()), lists)


def _read_by(template: Any) -> list[str]:
    """The columns that a template names, in the order of the alphabet; a bare word is a column."""
    from jinja2 import Environment, TemplateError, meta

    if not isinstance(template, str):
        return []
    if template.isidentifier():
        return [template]
    try:
        return sorted(meta.find_undeclared_variables(Environment().parse(template)))
    except TemplateError:  # lm-eval's own filters; the definition itself will say what it lacks
        return []
