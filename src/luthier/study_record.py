"""`study.json`: what the report needs to know of a study beside its runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from luthier.choices import Choice, lower_is_better
from luthier.core.environment import capture_environment
from luthier.plan import Plan
from luthier.prompting.baselines import Majority
from luthier.retention import texts_measured
from luthier.study_file import StudySpec, TaskSpec
from luthier.version import __version__


def study_record(
    spec: StudySpec, planned: Plan, choices: Sequence[Choice], *, command: str, seconds: float
) -> dict[str, Any]:
    """What stands in `study.json`, as plain data.

    Args:
        spec: the study.
        planned: its runs, as far as they are known.
        choices: what trials chose.
        command: how it was called.
        seconds: how long it took so far.
    """
    return {
        "name": spec.name,
        "version": __version__,
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "spec": spec.model_dump(mode="json"),
        "reference": spec.reference or _usual_reference(spec, planned),
        "margin": spec.margin,
        "trials": spec.trials,
        "sizes": list(spec.sizes),
        "retain": _retained(spec, planned),
        "choices": [choice.record() for choice in choices],
        "runs": [run.folder for run in planned.runs],
        "tasks": [_task_record(task, planned) for task in spec.tasks],
        "models": [
            {
                "name": name,
                "kind": files.kind,
                "parameters": files.parameters,
                "context": files.context,
                "digest": files.digest,
            }
            for name, files in planned.models.items()
        ],
        "environment": capture_environment(),
        "seconds": seconds,
    }


def _usual_reference(spec: StudySpec, planned: Plan) -> str:
    """The first arm; with an encoder, which has no answer untrained, `majority` where every task has it."""
    encoders = any(files.kind == "encoder" for files in planned.models.values())
    with_majority = {run.task.task_name for run in planned.runs if isinstance(run.arm.prompting, Majority)}
    everywhere = with_majority == {task.task_name for task in spec.tasks}
    return Majority.name if encoders and everywhere else spec.arms[0].name


def _retained(spec: StudySpec, planned: Plan) -> list[dict[str, Any]]:
    """What is measured before and after training, in the order of the report."""
    texts = texts_measured({files.kind for files in planned.models.values()})
    measured: list[dict[str, Any]] = [
        {"name": name, "what": what, "kind": "text", "primary": "bits_per_byte", "lower_is_better": True}
        for name, what in texts
        if spec.forgetting
    ]
    return measured + [
        {
            "name": task.task_name,
            "what": "a task that was not trained on",
            "kind": "task",
            "primary": task.primary,
            "lower_is_better": lower_is_better(task),
        }
        for task in spec.retain
    ]


def _task_record(settings: TaskSpec, planned: Plan) -> dict[str, Any]:
    task = planned.tasks[settings.task_name].without(
        {example for run in planned.runs if run.task == settings for example in run.left_out}
    )
    return {
        "name": task.name,
        "primary": settings.primary,
        "measures": list(settings.measures),
        "lower_is_better": [
            name
            for metric in settings.metrics
            for name in (*metric.measures, *metric.of_the_whole)
            if metric.lower_is_better(name)
        ],
        "signs": [name for metric in settings.metrics if not metric.of_quality for name in metric.measures],
        "rows": {split: len(examples) for split, examples in task.splits.items()},
        "digests": dict(task.digests),
        "duplicates": dict(task.duplicates),
        "leakage": planned.leaks[task.name].to_json(),
        "clusters": {example.id: example.cluster for example in task.splits["test"] if example.cluster is not None},
        "members": {example.id: example.task for example in task.splits["test"] if example.task},
        "skipped": [skipped.model_dump() for skipped in planned.skipped[task.name]],
        "examples": {
            example.id: {
                "prompt": "\n\n".join(message.content for message in example.messages),
                "reference": example.reference,
            }
            for example in task.splits["test"]
        },
    }
