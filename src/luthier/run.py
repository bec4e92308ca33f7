"""One run, top to bottom: an arm, a model, a task and a seed become a result.

    load the examples -> train each stage -> predict the test set -> score the predictions -> result.json

Each step is looked up by its key first. A finished one is not done again, whichever run did it; so a new metric trains
nothing, and arms without training never load a model twice for the same question.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from luthier.core.environment import capture_environment, peak_memory_bytes, reset_peak_memory
from luthier.core.errors import LuthierError
from luthier.core.store import Step, Store
from luthier.core.types import Cost, Listener, Progress, Result, ignore
from luthier.evaluate import score
from luthier.study_file import RunSpec
from luthier.tasks.task import Task, load_task
from luthier.training.loop import train
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
    folder.describe(spec.model_dump(mode="json"), given, capture_environment())
    reset_peak_memory()
    try:
        task = examples_of(spec)
        model = Workbench(spec, store, device, listener)
        _train(spec, task, model, store)
        predicted = _predict(spec, task, model, store)
        listener(Progress(spec.folder, "score"))
        scores, means = score(spec.task.metrics, predicted.predictions(), task.splits["test"])
        folder.write_scores(scores)
        result = _result(spec, store, predicted, means)
    except Exception as error:
        result = _failure(spec, error)
    folder.finish(result)
    listener(Progress(spec.folder, "done" if result.status == "finished" else "failed", values=result.scores))
    return result


def _train(spec: RunSpec, task: Task, model: Workbench, store: Store) -> None:
    """Train every stage whose weights are not in the store yet."""
    for position, (stage, key) in enumerate(zip(spec.arm.trained, spec.train_keys(), strict=True)):
        step = store.step("train", key)
        with step.claimed():
            if step.done:
                continue
            model.prepare(position)
            data = model.training_data(stage, task)
            rate = stage.training.learning_rate or stage.method.learning_rate(spec.model.parameters)
            trained = train(
                model.adapted,
                data,
                method=stage.method,
                objective=stage.objective,
                regulariser=stage.regulariser,
                settings=stage.training,
                learning_rate=rate,
                device=model.device,
                precision=spec.precision,
                checkpoints=step.checkpoint,
                log=step.log,
                notify=model.notify,
            )
            stage.method.save(model.adapted, step.weights)
            weights = [parameter.numel() for parameter in model.adapted.parameters() if parameter.requires_grad]
            step.finish(
                {
                    "steps": trained.steps,
                    "kept_step": trained.kept_step,
                    "seconds": trained.seconds,
                    "tokens": trained.tokens,
                    "loss": trained.loss,
                    "validation_loss": trained.validation_loss,
                    "learning_rate": rate,
                    "trainable_parameters": sum(weights),
                    "adapter_bytes": sum(path.stat().st_size for path in step.weights.rglob("*") if path.is_file()),
                    "flops": training_flops(spec.model.parameters, sum(weights), trained.tokens),
                    "peak_bytes": peak_memory_bytes(),
                    "flat": model.flat,
                    "warnings": _learning_warnings(step),
                }
            )


def _predict(spec: RunSpec, task: Task, model: Workbench, store: Store) -> Step:
    """Predict the test set, unless that is in the store already."""
    step = store.step("predict", spec.predict_key())
    with step.claimed():
        if step.done:
            return step
        program = spec.arm.prompting.program(task.splits["train"], spec.seed)
        sampling = spec.task.generation.model_copy(update={"seed": spec.task.generation.seed + spec.seed})
        generator = None
        if spec.arm.prompting.needs_model:
            model.prepare(len(spec.arm.trained))
            generator = model.generator
        started = time.perf_counter()
        with model.autocast():
            predictions = program.predict(task.splits["test"], generator, sampling, spec.task.kinds)
        step.write_predictions(predictions)
        step.finish(
            {
                "seconds": time.perf_counter() - started,
                "peak_bytes": peak_memory_bytes(),
                "effective": {**(generator.record() if generator else {}), **program.record()},
            }
        )
    return step


def examples_of(spec: RunSpec) -> Task:
    """The run's examples: the task, without what was left out as too long."""
    return without(_loaded(spec.task), frozenset(spec.left_out))


@lru_cache(maxsize=4)
def _loaded(settings: Any) -> Task:
    return load_task(settings, skip_bad_rows=True)  # the study has refused or counted bad rows before


def without(task: Task, ids: frozenset[str]) -> Task:
    """The task without these examples."""
    if not ids:
        return task
    splits = {split: tuple(e for e in examples if e.id not in ids) for split, examples in task.splits.items()}
    return Task(task.name, splits, task.skipped, task.digests, task.duplicates)


def training_flops(parameters: int, trainable: int, tokens: int) -> float:
    """An estimate of a training's floating-point operations.

    Per token: 2 N forward, 2 N for the gradients of activations, and 2 T for the gradients of the T weights that move
    (Kaplan et al. 2020, arXiv 2001.08361, count 6 N where all move). Attention's own products are not in it.
    """
    return float(tokens) * (4 * parameters + 2 * trainable)


def _learning_warnings(step: Step) -> list[str]:
    """Whether the training loss fell at all: a method that does not learn is reported as not learning."""
    losses = [line["loss"] for line in step.training_log() if "loss" in line]
    part = max(1, len(losses) // 5)
    first, last = sum(losses[:part]) / part, sum(losses[-part:]) / part
    if len(losses) >= 10 and last > 0.98 * first:
        return [f"did not learn: its training loss went from {first:.3f} to {last:.3f}"]
    return []


def _result(spec: RunSpec, store: Store, predicted: Step, means: dict[str, float]) -> Result:
    records = [store.step("train", key).record() for key in spec.train_keys()]
    prediction = predicted.record()
    last = records[-1] if records else {}
    seconds = sum(record["seconds"] for record in records)
    tokens = sum(record["tokens"] for record in records)
    cost = Cost(
        trainable_parameters=last.get("trainable_parameters", 0),
        total_parameters=spec.model.parameters if spec.arm.prompting.needs_model else 0,
        train_seconds=seconds,
        predict_seconds=prediction["seconds"],
        train_tokens=tokens,
        tokens_per_second=tokens / seconds if seconds else 0.0,
        peak_bytes=max(record["peak_bytes"] for record in [*records, prediction]),
        adapter_bytes=last.get("adapter_bytes", 0),
        flops=sum(record["flops"] for record in records),
    )
    trained = {
        key: last[key] for key in ("learning_rate", "steps", "kept_step", "loss", "validation_loss", "flat") if last
    }
    return Result(
        **identity(spec),
        status="finished",
        scores=means,
        cost=cost,
        effective={"precision": spec.precision, **trained, **prediction["effective"]},
        warnings=[warning for record in records for warning in record["warnings"]],
    )


def _failure(spec: RunSpec, error: Exception) -> Result:
    """A failed run: its error in words, for the table; what it finished stays in the store."""
    message = str(error) if isinstance(error, LuthierError) else f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "out of memory" in message.lower():
        message = f"out of memory: lower training.micro_batch_tokens, or take a smaller model ({message})"
    return Result(**identity(spec), status="failed", error=message)


def identity(spec: RunSpec) -> dict[str, Any]:
    """What names a run in its result, finished or failed."""
    stages = spec.arm.trained or spec.arm.stages
    keys = spec.train_keys()
    return {
        "arm": spec.arm.name,
        "model": spec.model.name,
        "task": spec.task.task_name,
        "seed": spec.seed,
        "digest": spec.score_key(),
        "prompting": spec.arm.prompting.label(),
        "method": " then ".join(stage.method.label() for stage in stages),
        "objective": stages[-1].objective.name if spec.arm.trained else "none",
        "baseline": spec.arm.baseline,
        "train_key": keys[-1] if keys else None,
        "predict_key": spec.predict_key(),
    }
