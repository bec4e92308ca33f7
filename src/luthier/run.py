"""One run, top to bottom: an arm, a model, a task and a seed become a result.

    load the examples -> train each stage -> predict the test set -> score the predictions -> measure what was kept of
    the base -> result.json

A trial predicts the validation set instead, and measures nothing else.

Each step is looked up by its key first. A finished one is not done again, whichever run did it; so a new metric trains
nothing, and arms without training never load a model twice for the same question.
"""

from __future__ import annotations

import time
import traceback
from functools import lru_cache, partial
from typing import Any

from luthier.core.durable import replacing
from luthier.core.environment import capture_environment
from luthier.core.errors import LuthierError
from luthier.core.interruption import put_off
from luthier.core.store import Step, Store
from luthier.core.types import Example, Listener, Prediction, Progress, Result, ignore
from luthier.deploy.trained import Origin
from luthier.evaluate import means_by_member, score, score_against_others
from luthier.methods.method import trainable
from luthier.metrics.rouge import Rouge
from luthier.models.kernels import Kernels
from luthier.objectives.objective import TrainingData
from luthier.outcome import failed, finished, gaming_warnings, learning_warnings, training_flops
from luthier.retention import drift, prose_probe, retained_rows, untouched
from luthier.run_spec import RunSpec
from luthier.study_file import Stage, TaskSpec
from luthier.tasks.labels import labels_of
from luthier.tasks.task import Task, load_task
from luthier.training.loop import Trained, train
from luthier.workbench import Workbench


def run(spec: RunSpec, store: Store, *, device: str = "cpu", given: str = "", listener: Listener = ignore) -> Result:
    """Do what is missing of one run, and write its result.

    Args:
        spec: the run, resolved.
        store: where it is kept.
        device: `cpu` or `cuda`.
        given: the study file as the user wrote it.
        listener: told of progress.

    Returns:
        The result; its status is `failed`, with the error, where something went wrong in this run alone.
    """
    folder = store.run(spec.folder)
    if (before := folder.result()) and before.status == "finished":
        listener(Progress(spec.folder, "done", values=before.scores))
        return before
    folder.describe(spec.model_dump(mode="json"), given, {**capture_environment(), "seed": spec.seed})
    try:
        task = examples_of(spec)
        labels = labels_of(task) if spec.model.kind == "encoder" else ()
        bench = Workbench(spec, store, device, listener, labels)
        train_what_is_missing(spec, task, bench, store)
        predictions = predict_what_is_missing(spec, task, bench, store)
        listener(Progress(spec.folder, "score"))
        asked = task.splits[spec.split]
        scores, means = score(spec.task.metrics, predictions, asked)
        noticed: list[str] = []
        folder.write_scores(scores)
        if spec.split == "test":
            folder.write_wrong_reference(score_against_others(spec.task.metrics, predictions, asked))
            base = untouched(spec, bench, store)
            folder.write_retained(retained_rows(spec, base, bench, store, partial(retained_examples, spec)))
            if (moved := drift(spec, base, bench, store)) is not None:
                folder.write_drift(moved)
                noticed += moved["warnings"]
        if spec.arm.prompting.needs_model and any(isinstance(metric, Rouge) for metric in spec.task.metrics):
            noticed += gaming_warnings(predictions, asked)
        result = finished(spec, store, means)
        more = {"members": means_by_member(scores, asked), "warnings": [*result.warnings, *noticed]}
        result = result.model_copy(update=more)
    except BrokenPipeError:  # whoever listens is gone (`| head`): no fault of the run's
        raise
    except Exception as error:
        folder.write_error(traceback.format_exc())
        result = failed(spec, error)
    folder.finish(result)
    listener(Progress(spec.folder, "done" if result.status == "finished" else "failed", values=result.scores))
    return result


def examples_of(spec: RunSpec) -> Task:
    """The run's examples: the task, without what was left out as too long.

    Raises:
        LuthierError: the data is not what the run was planned with.
    """
    left_out = frozenset(spec.left_out)
    for load in (_loaded, _loaded.__wrapped__):  # what a process has read before may have changed since
        task = load(spec.task).without(left_out).of_size(spec.size)
        if dict(task.digests) == spec.data:
            return task
    raise _changed(spec.task)


def task_named(spec: RunSpec, own: Task, name: str) -> Task:
    """A task that the run's trainings read: its own, or one of its sources.

    Raises:
        LuthierError: the data is not what the run was planned with.
    """
    if name == spec.task.task_name:
        return own
    source = next(source for source in spec.sources if source.task.task_name == name)
    for load in (_loaded, _loaded.__wrapped__):
        task = load(source.task).without(frozenset(source.left_out))
        if dict(task.digests) == source.data:
            return task
    raise _changed(source.task)


def retained_examples(spec: RunSpec, settings: TaskSpec) -> tuple[Example, ...]:
    """The test set of a task that the run is to retain.

    Raises:
        LuthierError: the data is not what the run was planned with.
    """
    for load in (_loaded, _loaded.__wrapped__):
        task = load(settings)
        if task.digests["test"] == spec.retain_data[settings.task_name]:
            return task.splits["test"]
    raise _changed(settings)


def _changed(settings: TaskSpec) -> LuthierError:
    return LuthierError(
        "the data has changed since the study was planned",
        where=f"task {settings.task_name}",
        mend="run the same command again",
        exit_code=1,
    )


@lru_cache(maxsize=8)
def _loaded(settings: Any) -> Task:
    return load_task(settings, skip_bad_rows=True)  # the study has refused or counted bad rows before


def train_what_is_missing(spec: RunSpec, task: Task, bench: Workbench, store: Store) -> None:
    """Train every stage whose weights are not in the store yet."""
    for position, (stage, key) in enumerate(zip(spec.arm.trained, spec.train_keys(), strict=True)):
        step = store.step("train", key)
        with step.claimed():
            if step.done:
                continue
            bench.prepare(position)
            bench.compute_by(Kernels.of(step.kernels(lambda: bench.quickest().record()), bench.quickest))
            named = partial(task_named, spec, task)
            data = bench.training_data(stage, named(spec.trained_on(stage)))
            kept = [(bench.asked_by(position, name), named(name)) for name in spec.retained_by(position)]
            retained = bench.retained_data(stage, kept) if kept else None
            with put_off():  # a signal waits for the end of a step, or for the weights to be kept
                _train(spec, stage, data, retained, bench, step)


def _train(
    spec: RunSpec, stage: Stage, data: TrainingData, retained: TrainingData | None, bench: Workbench, step: Step
) -> None:
    """Train one stage, and keep its weights and what is known of how it went."""
    rate = stage.training.learning_rate
    assert rate is not None, "the plan resolves every rate: the key holds it"
    trained = train(
        bench.adapted,
        data,
        method=stage.method,
        objective=stage.objective,
        regulariser=stage.regulariser,
        settings=stage.training,
        learning_rate=rate,
        device=bench.device,
        precision=spec.precision,
        retained=retained,
        checkpoints=step.checkpoint,
        log=step.log,
        notify=bench.notify,
        beside=prose_probe(bench),
    )
    keep_training(spec, stage, trained, bench, step)


def keep_training(
    spec: RunSpec, stage: Stage, trained: Trained, bench: Workbench, step: Step, **noted: float | str
) -> None:
    """Keep a stage's weights, and what is known of how its training went; what is `noted` stands beside it."""
    size = sum(weights.numel() * weights.element_size() for weights in trainable(bench.adapted))
    with replacing(step.weights, f"{size:,} bytes of weights") as beside:
        stage.method.save(bench.adapted, beside)
        _whose(spec, stage, bench, step).write(beside)
    optimizer = {"learning_rate": stage.training.learning_rate, "optimizer": stage.training.optimizer}
    if stage.training.optimizer == "muon":
        optimizer["muon_learning_rate"] = stage.training.muon_learning_rate
    step.finish({**optimizer, **_training_record(spec, trained, bench, step), **noted})


def _whose(spec: RunSpec, stage: Stage, bench: Workbench, step: Step) -> Origin:
    """What stands beside the weights, to be found again by; a later stage's base is no model by itself."""
    first = step.folder.name == spec.train_keys()[0] and not spec.model.random
    if first:
        return Origin(method=stage.method, model=spec.model.name, identity=spec.model.identity, head=bench.head)
    return Origin(method=stage.method, below=spec.model.identity, head=bench.head)


def predict_what_is_missing(spec: RunSpec, task: Task, bench: Workbench, store: Store) -> list[Prediction]:
    """The predictions of every kind that the metrics need; those that are not in the store yet are made."""
    predictions: list[Prediction] = []
    for kind, key in spec.predict_keys().items():
        step = store.step("predict", key)
        with step.claimed():
            if not step.done:
                program = spec.arm.prompting.program(task.splits["train"], spec.seed)
                seed = spec.task.generation.seed + spec.seed
                sampling = spec.task.generation.model_copy(update={"seed": seed})
                generator = bench.answerer() if spec.arm.prompting.needs_model else None
                started = time.perf_counter()
                with bench.autocast():
                    step.write_predictions(program.predict(task.splits[spec.split], generator, sampling, [kind]))
                step.finish(
                    {
                        "seconds": time.perf_counter() - started,
                        "peak_bytes": bench.peak_bytes(),
                        "effective": {**(generator.record() if generator else {}), **program.record()},
                    }
                )
        predictions += step.predictions()
    return predictions


def _training_record(spec: RunSpec, trained: Trained, bench: Workbench, step: Step) -> dict[str, Any]:
    """What stays known of a training, beside its weights."""
    moved = sum(parameter.numel() for parameter in bench.adapted.parameters() if parameter.requires_grad)
    return {
        "steps": trained.steps,
        "kept_step": trained.kept_step,
        "seconds": trained.seconds,
        "tokens": trained.tokens,
        "loss": trained.loss,
        "validation_loss": trained.validation_loss,
        "trainable_parameters": moved,
        "adapter_bytes": sum(path.stat().st_size for path in step.weights.rglob("*") if path.is_file()),
        "flops": training_flops(spec.model.parameters, moved, trained.tokens),
        "peak_bytes": bench.peak_bytes(),
        "flat": bench.flat,
        "device": bench.device,
        "threads": bench.threads(),
        "kernels": bench.kernels.record(),
        "warnings": learning_warnings(step),
    }
