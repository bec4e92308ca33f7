"""Answers that are stored, with what they are judged against: of a study's runs, or of evaluations on benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.core.settings import read, suggest
from luthier.core.store import Store
from luthier.core.types import Example, Prediction, PredictionKind, Result
from luthier.run import examples_of
from luthier.run_spec import RunSpec
from luthier.suites import evaluation, items
from luthier.suites.items import read_items
from luthier.suites.short_names import short_names


@dataclass(frozen=True)
class Answers:
    """What one run, or one model on one task of a benchmark, was asked and answered.

    Attributes:
        name: of the run's folder, or the evaluation's.
        result: arm, model, task, seed and so on; of an evaluation the model is the arm, and the suite stands for it.
        examples: the test set, in order.
        predictions: of every kind that is stored.
        asked: how, of an evaluation, as far as it says so: `shots`, and whether by the `chat template`.
    """

    name: str
    result: Result
    examples: tuple[Example, ...]
    predictions: tuple[Prediction, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kinds(self) -> frozenset[PredictionKind]:
        """The kinds of prediction that are stored."""
        return frozenset(prediction.kind for prediction in self.predictions)


def answers_of_study(store: Store, arms: Sequence[str]) -> tuple[list[Answers], list[str]]:
    """The answers of a study's finished runs on the test set, and a sentence for each run that has none.

    Args:
        store: the study's folder.
        arms: only these; all where none is named.

    Raises:
        LuthierError: no such arm, or data that is another than was asked about.
    """
    names = store.study()["runs"]
    specs = {name: spec for name in names if (spec := run_spec(store, name)) is not None}
    found, left_out = [], [f"{name} is left out: not begun" for name in names if name not in specs]
    _refuse_unknown(arms, [spec.arm.name for spec in specs.values()])
    for name, spec in specs.items():
        if spec.split != "test" or (arms and spec.arm.name not in arms):
            continue
        result = store.run(name).result()
        predictions = stored_predictions(store, spec)
        if result is None or result.status != "finished" or not predictions:
            why = "not finished" if result is None else "failed" if result.status == "failed" else "no answers stored"
            left_out.append(f"{name} is left out: {why}")
            continue
        found.append(Answers(name, result, asked_of(spec), tuple(predictions)))
    return found, left_out


def run_spec(store: Store, name: str) -> RunSpec | None:
    """A run as it was specified; None where it was not begun.

    Raises:
        LuthierError: it was written by a version that knew other settings.
    """
    path = store.run(name).folder / "spec.json"
    data = read_object(path)
    return None if data is None else read(RunSpec, data, where=str(path))


def stored_predictions(store: Store, spec: RunSpec) -> list[Prediction]:
    """What is stored of a run, of every kind that it made."""
    steps = [store.step("predict", key) for key in spec.predict_keys().values()]
    return [prediction for step in steps if step.done for prediction in step.predictions()]


def asked_of(spec: RunSpec) -> tuple[Example, ...]:
    """The examples that a run was asked.

    Raises:
        LuthierError: the data is another than then.
    """
    try:
        return examples_of(spec).splits[spec.split]
    except LuthierError as error:
        if error.exit_code == 2:  # files that are gone, and say so themselves
            raise
        raise LuthierError(
            "the data is another than the one that was asked about",
            where=error.where,
            mend="put the data back as it was, or run the study again",
        ) from None


def answers_of_evaluations(out: Path, arms: Sequence[str]) -> tuple[list[Answers], list[str]]:
    """The answers of every model below a folder, a task at a time, and a sentence for each task without references.

    Raises:
        LuthierError: there is none, none with a reference, no such model, a file was damaged, or a model was evaluated
            twice on one task of a suite: on other items, or with other shots.
    """
    folders = sorted(path.parent for path in out.glob(f"**/{items.FILE}"))
    if not folders:
        raise LuthierError(
            "neither a study nor an evaluation is stored here",
            where=str(out),
            mend="name the --out folder of luthier study or of luthier evaluate",
        )
    records = {folder: read_object(folder / evaluation.FILE) or {} for folder in folders}
    names = _arms_of(records)
    _refuse_unknown(arms, names.values())
    found: list[Answers] = []
    for folder in folders:
        if arms and names[folder] not in arms:
            continue
        asked = read_items(folder)
        for task in dict.fromkeys(item.task for item in asked):
            mine = [item for item in asked if item.task == task]
            suite = str(records[folder].get("suite", folder.parent.name))
            examples = tuple(item.example for item in mine)
            predictions = tuple(item.prediction for item in mine)
            result, how = _result(names[folder], suite, task), _how(records[folder], task)
            found.append(Answers(str(folder), result, examples, predictions, how))
    _refuse_twice(found)
    judged = [one for one in found if any(example.references for example in one.examples)]
    if not judged:
        raise LuthierError(
            "no item that is stored here has a reference to judge it by", where=str(out), mend="name another folder"
        )
    open_tasks = dict.fromkeys(one.result.task for one in found if one not in judged)
    return judged, [f"{task} is left out: no item has a reference" for task in open_tasks]


def _arms_of(records: Mapping[Path, Mapping[str, Any]]) -> dict[Path, str]:
    """The model's short name, with its quantisation: that is another model."""
    models = {folder: str(record.get("model", folder.name)) for folder, record in records.items()}
    short = short_names(list(dict.fromkeys(models.values())))
    bits = {folder: record.get("quantisation") for folder, record in records.items()}
    return {folder: short[name] + (f" ({bits[folder]})" if bits[folder] else "") for folder, name in models.items()}


def _how(record: Mapping[str, Any], task: str) -> dict[str, Any]:
    """What of the asking changes the answers, as far as the evaluation says so."""
    said = {
        "shots": record.get("tasks", {}).get(task, {}).get("shots"),
        "chat template": record.get("chat_template"),
    }
    return {name: value for name, value in said.items() if value is not None}


def _refuse_twice(found: Sequence[Answers]) -> None:
    """Two evaluations of one arm are not two seeds of it."""
    met: dict[tuple[str, str, str], Answers] = {}
    for one in found:
        place = (one.result.task, one.result.model, one.result.arm)
        if (other := met.setdefault(place, one)) is not one:
            raise LuthierError(
                f"{one.result.arm} was evaluated twice on {one.result.task} of {one.result.model}",
                where=f"{other.name}, {one.name}",
                mend="name one of these folders, or move one of them away",
            )


def _result(model: str, suite: str, task: str) -> Result:
    """A model on a benchmark, as one run that no seed would change."""
    return Result(
        arm=model,
        model=suite,
        task=task,
        seed=0,
        digest="",
        prompting="",
        method="",
        objective="",
        status="finished",
        seeded=False,
    )


def _refuse_unknown(arms: Sequence[str], known: Iterable[str]) -> None:
    names = list(dict.fromkeys(known))
    for arm in arms:
        if arm not in names:
            raise LuthierError(
                f"{arm}: no such arm{suggest(arm, names)}", where="--arm", mend=f"one of {', '.join(names)}"
            )
