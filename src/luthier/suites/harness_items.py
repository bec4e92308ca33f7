"""lm-eval's logged samples as items: predictions with what judges them, and the harness's own value of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.core.settings import digest
from luthier.core.types import ChoicePrediction, Example, Message, Prediction, TextPrediction
from luthier.suites.evaluation import Measured, TaskResult, measured
from luthier.suites.harness_gold import choices_of, gold_of, unlabelled
from luthier.suites.harness_tasks import ReadyTask, count_tokens
from luthier.suites.items import Item

_OF_RIGHT_ANSWERS = ("acc", "exact_match", "em")
"""Measures that are the share of right answers, so that the commonest one has a value."""
_ONE_OF_A_SOURCE = ("paragraph", "passage")
"""What SuperGLUE's `idx` names where several questions are about one text."""


def task_items(ready: ReadyTask, samples: Sequence[Mapping[str, Any]], lm: Any) -> tuple[TaskResult, list[Item]]:
    """The result of a task, and its items in the order asked.

    Args:
        ready: the task.
        samples: what the harness logged of it: a sample an item and filter.
        lm: the harness's model, for token counts.
    """
    filters = list(dict.fromkeys(sample["filter"] for sample in samples))
    first = [sample for sample in samples if sample["filter"] == filters[0]]
    ids = _ids(ready.asked.name, [sample["doc"] for sample in first])
    # What is chosen where a likelihood is no number, lm-eval takes for the first choice.
    numberless = [any(_is_nan(of_request[0]) for of_request in sample["resps"]) for sample in first]
    unscored = [no or unlabelled(ready.task, sample["doc"]) for no, sample in zip(numberless, first, strict=True)]
    raw: list[dict[str, Any]] = [{} for _ in first]
    place_of = {sample["doc_id"]: place for place, sample in enumerate(first)}
    for sample in samples:
        place = place_of[sample["doc_id"]]
        if not unscored[place]:
            for measure in sample["metrics"]:
                name = measure if len(filters) == 1 else f"{measure},{sample['filter']}"
                raw[place][name] = sample[measure]
    items = [_item(ready, name, sample, values, lm) for name, sample, values in zip(ids, first, raw, strict=True)]
    golds = [gold_of(ready.task, sample["doc"]) for sample, no in zip(first, unscored, strict=True) if not no]
    return _result(ready, items, raw, golds, sum(numberless)), items


def _ids(task: str, docs: Sequence[Any]) -> list[str]:
    """An id a document; one that is asked again has another."""
    seen: Counter[str] = Counter()
    ids = []
    for doc in docs:
        plain = json_plain(doc)
        content = digest({"task": task, "doc": plain})
        ids.append(digest([content, seen[content]]) if seen[content] else content)
        seen[content] += 1
    return ids


def json_plain(value: Any) -> Any:
    """A document as plain data, whatever else is in it as text."""
    if isinstance(value, Mapping):
        return {str(key): json_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [json_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _item(ready: ReadyTask, name: str, sample: Mapping[str, Any], raw: Mapping[str, Any], lm: Any) -> Item:
    task, doc = ready.task, sample["doc"]
    asked = sample["arguments"]
    prompt = asked[0][0] if len(asked[0]) > 1 else ""
    choices = choices_of(task, doc)
    values = {
        measure: float(value)
        for measure, value in raw.items()
        if _is_number(value) and _aggregate(task, measure) is _mean()
    }
    index = doc.get("idx") if isinstance(doc, Mapping) else None
    source = (
        next((index[key] for key in _ONE_OF_A_SOURCE if key in index), None) if isinstance(index, Mapping) else None
    )
    example = Example(
        id=name,
        messages=(Message("user", prompt),),
        references=_references(task, doc, choices),
        choices=choices,
        cluster=None if source is None else f"{ready.asked.name}:{source}",
        task=ready.asked.name,
    )
    question = task.doc_to_text(doc)
    if not isinstance(question, str):  # the choices are the contexts, and this is the right one's place
        question = choices[0] if choices else ""
    own = question if question and question != prompt else None
    return Item(example, _prediction(name, sample, choices, lm), values, own)


def _prediction(name: str, sample: Mapping[str, Any], choices: tuple[str, ...], lm: Any) -> Prediction:
    answers = [of_request[0] for of_request in sample["resps"]]
    if isinstance(answers[0], str):
        return TextPrediction(name, answers[0])
    asked = sample["arguments"]
    if len(asked[0]) == 1:  # a text by itself
        return ChoicePrediction(name, (asked[0][0],), (float(answers[0]),), (0,))
    texts = choices or tuple(argument[1].lstrip() for argument in asked)
    # What follows the choices is their likelihood without the prompt, for acc_mutual_info.
    pairs = list(zip(texts, answers, asked, strict=False))
    return ChoicePrediction(
        name,
        tuple(text for text, _, _ in pairs),
        tuple(float(answer[0]) for _, answer, _ in pairs),
        tuple(count_tokens(lm, argument[0], argument[1]) for _, _, argument in pairs),
    )


def _references(task: Any, doc: Any, choices: tuple[str, ...]) -> tuple[str, ...]:
    """The right answers as texts; none where the label is held back."""
    if unlabelled(task, doc):
        return ()
    gold = gold_of(task, doc)
    listed = gold if isinstance(gold, list | tuple) else [gold]
    return tuple(
        choices[one] if isinstance(one, int) and choices and 0 <= one < len(choices) else str(one) for one in listed
    )


def _is_nan(answer: Any) -> bool:
    """Whether a request was answered by a log-likelihood that is no number; a text is none of these."""
    total = answer[0] if isinstance(answer, tuple | list) else answer
    return isinstance(total, float) and math.isnan(total)


def _aggregate(task: Any, measure: str) -> Any:
    """What the harness makes of all items' values of a measure."""
    return task.aggregation().get(measure.split(",")[0], _mean())


def _mean() -> Any:
    from lm_eval.api.metrics import mean

    return mean


def _is_number(value: Any) -> bool:
    return not isinstance(value, tuple | list | dict | str) and math.isfinite(float(value))


def _result(
    ready: ReadyTask,
    items: Sequence[Item],
    raw: Sequence[Mapping[str, Any]],
    golds: Sequence[Any],
    numberless: int,
) -> TaskResult:
    measures, better = _measures(ready.task, items, raw)
    names = list(dict.fromkeys(name for values in raw for name in values))
    main = names[0] if names else next(iter(ready.task.aggregation()), "")
    return TaskResult(
        name=ready.asked.name,
        version=str(ready.task.VERSION),
        groups=ready.asked.groups,
        shots=ready.shots,
        wanted_shots=ready.wanted_shots,
        items=len(items),
        unscored=sum(not values for values in raw),
        truncated=ready.truncated,
        main=main,
        measures=measures,
        higher_is_better=better,
        majority=_majority(main, golds),
        numberless=numberless,
    )


def _measures(
    task: Any, items: Sequence[Item], raw: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Measured], dict[str, bool]]:
    """Means with intervals, and what the harness makes of all items together where a measure is no mean."""
    found, better = {}, {}
    for name in dict.fromkeys(name for values in raw for name in values):
        aggregate = _aggregate(task, name)
        if aggregate is _mean():
            scored = [item for item in items if name in item.values]
            found[name] = measured([one.values[name] for one in scored], [one.example.cluster for one in scored])
        else:
            values = [one[name] for one in raw if name in one]
            found[name] = Measured(float(aggregate(values)), math.nan, math.nan, len(values))
        better[name] = bool(task.higher_is_better().get(name.split(",")[0], True))
    return found, better


def _majority(main: str, golds: Sequence[Any]) -> float | None:
    """The share of the commonest right answer; none where no answer is right twice, or several are."""
    if main.split(",")[0] not in _OF_RIGHT_ANSWERS or any(isinstance(gold, list | tuple) for gold in golds):
        return None
    (_, count) = Counter(golds).most_common(1)[0] if golds else (None, 0)
    return count / len(golds) if count > 1 else None
