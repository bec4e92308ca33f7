"""What lm-eval's definition holds right in a row, whether that is held back, and whether it can read the row at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.core.errors import LuthierError
from luthier.suites.folders.read import TaskRows


def choices_of(task: Any, doc: Any) -> tuple[str, ...]:
    """The answers that there are to choose from; none where the answer is a text."""
    if getattr(task.config, "doc_to_choice", None) is None:
        return ()
    return tuple(str(choice) for choice in task.doc_to_choice(doc))


def gold_of(task: Any, doc: Any) -> Any:
    """What the definition holds right: a place among the choices, a text, or a list of these."""
    return task.doc_to_text(doc) if getattr(task, "multiple_input", 0) else task.doc_to_target(doc)


def unlabelled(task: Any, doc: Any) -> bool:
    """Whether a row's label is held back: the hub's -1 beside choices, nothing where a text is to be matched."""
    return _held_back(task, gold_of(task, doc))


def refuse_unreadable(name: str, task: Any, rows: TaskRows, *, shots: bool, limit: int | None) -> None:
    """Refuse rows of a folder that the definition cannot read, or whose label is none of their choices.

    Args:
        name: of the task.
        task: lm-eval's object on the rows.
        rows: where each of them stands.
        shots: whether shots are drawn, so that their rows are read too.
        limit: how many are asked; None for all.

    Raises:
        LuthierError: the first such row.
    """
    asked = task.config.test_split or task.config.validation_split
    _refuse_in(name, task, list(task.eval_docs), rows.places.get(asked, ()), limit)
    pool = task.fewshot_cfg.split or task.config.training_split
    if shots and rows.shots_from and pool in rows.places:
        _refuse_in(name, task, list(task.sampler.df), rows.places[pool], None)


def _refuse_in(name: str, task: Any, docs: Sequence[Any], places: Sequence[str], limit: int | None) -> None:
    for number, doc in enumerate(docs[:limit]):
        if (wrong := _wrong(task, doc)) is not None:
            # A definition that leaves rows out does not say which.
            where = places[number] if len(places) == len(docs) else f"row {number + 1} of those that {name} keeps"
            raise LuthierError(
                f"{name}: {wrong}", where=where, mend="correct the row as the benchmark's data set on the hub has it"
            )


def _wrong(task: Any, doc: Any) -> str | None:
    """What is wrong with a row, in words; None where nothing is."""
    try:
        text, target, choices = task.doc_to_text(doc), task.doc_to_target(doc), choices_of(task, doc)
    except Exception as error:  # definitions are programs
        return f"lm-eval's definition cannot read this row ({type(error).__name__}: {error})"
    gold = text if getattr(task, "multiple_input", 0) else target
    if not choices or _held_back(task, gold):
        return None
    for one in gold if isinstance(gold, list | tuple) else [gold]:
        if not (0 <= one < len(choices) if isinstance(one, int) else one in choices):
            return f"the right answer is {one!r}, and there are {len(choices)} choices"
    return None


def _held_back(task: Any, gold: Any) -> bool:
    if task.OUTPUT_TYPE == "multiple_choice":
        return gold is None or gold in (-1, "-1", "", [])
    if task.OUTPUT_TYPE == "generate_until" and _matches_texts(task):
        return gold is None or gold == [] or (isinstance(gold, str) and not gold.strip())
    return False


def _matches_texts(task: Any) -> bool:
    """Whether lm-eval itself compares what was written with the target; other definitions may have none."""
    from lm_eval.api.task import ConfigurableTask

    return type(task).process_results is ConfigurableTask.process_results and not callable(task.config.process_results)
