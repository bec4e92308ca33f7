"""New metrics added to a study's store: what running the study with them would leave, without a model.

A run's folder is named by the digest of all that its result depends on, its metrics included. So each run gets the
folder that it would have had with the new metrics, its stored answers scored by all of them; the old folders stay. What
trials tried moves along, so that a study file that has these metrics too finds every run done.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.store import Store
from luthier.evaluate import means_by_member, score, score_against_others
from luthier.metrics.metric import Metric
from luthier.rescoring.answers import asked_of, run_spec, stored_predictions
from luthier.run_spec import RunSpec
from luthier.study_file import TaskSpec

_WRITTEN_ANEW = ("result.json", "spec.json", "scores.jsonl", "wrong_reference.jsonl")


def write_metrics(out: Path, metrics: Sequence[Metric]) -> Path:
    """Add metrics to a study and write its report anew; gives the page's path.

    Raises:
        LuthierError: the folder holds no study; else as `add_to_study`.
    """
    from luthier.report.files import write_report

    store = Store(out)
    if not store.has_study():
        raise LuthierError(
            "only a study's store takes new metrics",
            where=str(out),
            mend="leave out --write: an evaluation keeps its own",
        )
    add_to_study(store, metrics)
    return write_report(store)


def add_to_study(store: Store, metrics: Sequence[Metric]) -> list[str]:
    """Score every run of a study by these metrics too; `luthier report` then shows them.

    Args:
        store: the study's folder.
        metrics: the new ones; a task takes those that judge what its runs have stored.

    Returns:
        The names of the runs, as `study.json` has them now.

    Raises:
        LuthierError: a metric is there already, two metrics would measure the same, data has changed since, or with a
            metric the study would ask for answers that are not stored. Nothing is written then.
    """
    with store.held():
        study = store.study()
        specs = {name: spec for name in _names(study) if (spec := run_spec(store, name)) is not None}
        if missing := [name for name in _names(study) if name not in specs]:
            raise LuthierError(
                f"the study is not finished: {missing[0]} was not begun",
                where=str(store.root),
                mend="let it finish first",
            )
        tasks = {spec.task.task_name: spec.task for spec in specs.values()}
        _refuse_known(store, metrics, tasks)
        new = {name: _with_metrics(store, task, metrics, specs) for name, task in tasks.items()}
        moved = {name: _with_tasks(spec, new) for name, spec in specs.items()}
        for name in specs:
            _refuse_unanswered(store, moved[name])
        for name, spec in moved.items():
            _write_run(store, name, spec)
        store.write_study(_with_runs(study, {name: spec.folder for name, spec in moved.items()}, new))
        return [moved[name].folder for name in study["runs"]]


def _names(study: Mapping[str, Any]) -> list[str]:
    """The study's runs, and the trials before them."""
    tried = [one["run"] for choice in study.get("choices", ()) for one in choice["tried"]]
    return list(dict.fromkeys([*study["runs"], *tried]))


def _refuse_known(store: Store, metrics: Sequence[Metric], tasks: Mapping[str, TaskSpec]) -> None:
    known = [metric.label() for metric in metrics if any(metric in task.metrics for task in tasks.values())]
    if known:
        raise LuthierError(
            f"already there: {', '.join(known)}", where=str(store.root), mend="luthier report shows it; leave it out"
        )


def _with_metrics(store: Store, task: TaskSpec, metrics: Sequence[Metric], specs: Mapping[str, RunSpec]) -> TaskSpec:
    """The task with those of the metrics that judge what is stored of it."""
    mine = [spec for spec in specs.values() if spec.task.task_name == task.task_name]
    kinds = {kind for spec in mine for kind, key in spec.predict_keys().items() if store.step("predict", key).done}
    fit = [metric for metric in metrics if kinds & set(metric.kinds)]
    data = task.model_dump(mode="json")
    data["metrics"] = [*data["metrics"], *({metric.name: metric.model_dump(mode="json")} for metric in fit)]
    return read(TaskSpec, data, where=f"task {task.task_name}, with the new metrics")


def _with_tasks(spec: RunSpec, tasks: Mapping[str, TaskSpec]) -> RunSpec:
    sources = tuple(
        source.model_copy(update={"task": tasks.get(source.task.task_name, source.task)}) for source in spec.sources
    )
    return spec.model_copy(update={"task": tasks[spec.task.task_name], "sources": sources})


def _refuse_unanswered(store: Store, spec: RunSpec) -> None:
    result = store.run(spec.folder).result()
    if result is not None:
        return
    missing = [kind for kind, key in spec.predict_keys().items() if not store.step("predict", key).done]
    if missing:
        raise LuthierError(
            f"with these metrics the study would ask {spec.arm.name} for {' and '.join(missing)}, which are not stored",
            where=f"task {spec.task.task_name}",
            mend="leave out --write, or add the metric to the study file and run the study again: it needs the model",
        )


def _write_run(store: Store, name: str, spec: RunSpec) -> None:
    """The run's folder with the new metrics, its result last; one that is finished is left as it is."""
    old, new = store.run(name), store.run(spec.folder)
    before, already = old.result(), new.result()
    if before is None or (already is not None and already.status == "finished"):
        return
    if new.folder != old.folder:
        shutil.copytree(old.folder, new.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_WRITTEN_ANEW))
    environment = old.environment()
    given = (old.folder / "given.yaml").read_text(encoding="utf-8")
    new.describe(spec.model_dump(mode="json"), given, environment)
    after = before.model_copy(update={"digest": spec.run_key()})
    if before.status == "finished":
        asked, predictions = asked_of(spec), stored_predictions(store, spec)
        scores, means = score(spec.task.metrics, predictions, asked)
        new.write_scores(scores)
        if spec.split == "test":
            new.write_wrong_reference(score_against_others(spec.task.metrics, predictions, asked))
        after = after.model_copy(update={"scores": means, "members": means_by_member(scores, asked)})
    new.finish(after)


def _with_runs(study: Mapping[str, Any], folders: Mapping[str, str], tasks: Mapping[str, TaskSpec]) -> dict[str, Any]:
    """`study.json` with the new folders and measures."""
    spec = dict(study["spec"])
    spec["tasks"] = [_dumped(task, tasks) for task in spec["tasks"]]
    choices = [
        {**choice, "tried": [{**one, "run": folders[one["run"]]} for one in choice["tried"]]}
        for choice in study.get("choices", ())
    ]
    return {
        **study,
        "spec": spec,
        "choices": choices,
        "runs": [folders[name] for name in study["runs"]],
        "tasks": [
            {**task, **_measures(tasks[task["name"]])} if task["name"] in tasks else task for task in study["tasks"]
        ],
    }


def _dumped(task: Mapping[str, Any], tasks: Mapping[str, TaskSpec]) -> Any:
    name = read(TaskSpec, task, where="study.json").task_name
    return tasks[name].model_dump(mode="json") if name in tasks else task


def _measures(task: TaskSpec) -> dict[str, Any]:
    named = [(metric, name) for metric in task.metrics for name in (*metric.measures, *metric.of_the_whole)]
    return {
        "measures": list(task.measures),
        "lower_is_better": [name for metric, name in named if metric.lower_is_better(name)],
        "signs": [name for metric, name in named if not metric.of_quality],
    }
