"""What a run's steps left in the store, put together as its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.store import Step, Store
from luthier.core.types import (
    ChoicePrediction,
    ClassPrediction,
    Cost,
    Example,
    Prediction,
    Result,
    TextPrediction,
)
from luthier.metrics.gaming import Gaming, flags
from luthier.regularisers.regulariser import NoRegulariser
from luthier.run_spec import RunSpec
from luthier.study_file import Stage

_SHOWN = (
    "learning_rate", "muon_learning_rate", "optimizer", "steps", "kept_step", "loss", "validation_loss", "flat",
    "device", "threads",
)  # fmt: skip
"""What of a training's record is worth a reader's eye beside the scores."""


def training_flops(parameters: int, trainable: int, tokens: int) -> float:
    """An estimate of a training's floating-point operations.

    Per token: 2 N forward, 2 N for the gradients of activations, and 2 T for the gradients of the T weights that move
    (Kaplan et al. 2020, arXiv 2001.08361, count 6 N where all move). Attention's own products are not in it.
    """
    return float(tokens) * (4 * parameters + 2 * trainable)


def learning_warnings(step: Step) -> list[str]:
    """Whether the training loss fell at all: a method that does not learn is reported as not learning."""
    losses = [line["loss"] for line in step.training_log() if "loss" in line]
    part = max(1, len(losses) // 5)
    first, last = sum(losses[:part]) / part, sum(losses[-part:]) / part
    if len(losses) >= 10 and last > 0.98 * first:
        return [f"did not learn: its training loss went from {first:.3f} to {last:.3f}"]
    return []


def answer_warnings(predictions: Sequence[Prediction]) -> list[str]:
    """Whether it gave one answer to everything: equal scores of such arms say nothing."""
    answers = [_answer(prediction) for prediction in predictions if prediction.kind != "tags"]
    listed = [answer for answer in answers if answer is not None]
    if len(listed) < 10 or len(set(listed)) > 1:
        return []
    return [f"gave the same answer to all {len(listed)} examples: {listed[0][:60]!r}"]


def gaming_warnings(predictions: Sequence[Prediction], examples: Sequence[Example]) -> list[str]:
    """Whether more than a tenth of its texts are repetition or copies, as one would write to game ROUGE
    (`metrics/gaming.py`)."""
    by_id = {example.id: example for example in examples}
    texts = [one for one in predictions if isinstance(one, TextPrediction) and one.example_id in by_id]
    found = [flags(Gaming().score(text, by_id[text.example_id])) for text in texts]
    gamed = [reasons for reasons in found if reasons]
    if len(texts) < 10 or 10 * len(gamed) <= len(texts):
        return []
    repeated, copied = (
        sum(any(reason.startswith(kind) for reason in reasons) for reasons in gamed)
        for kind in ("repetition", "copying")
    )
    return [
        f"looks gamed: {len(gamed)} of {len(texts)} answers are repetition or copies ({repeated} repeat themselves, "
        f"{copied} copy the source at more than twice the reference's length); read some before believing their ROUGE"
    ]


def _answer(prediction: Prediction) -> str | None:
    """What was said; None for the likelihood of a reference alone, which is no answer."""
    if isinstance(prediction, TextPrediction | ClassPrediction):
        return prediction.text
    if isinstance(prediction, ChoicePrediction) and len(prediction.choices) > 1:
        return prediction.choices[prediction.log_likelihoods.index(max(prediction.log_likelihoods))]
    return None


def finished(spec: RunSpec, store: Store, means: dict[str, float]) -> Result:
    """The result of a run whose steps are all done."""
    trainings = [store.step("train", key).record() for key in spec.train_keys()]
    predictions = [store.step("predict", key).record() for key in spec.predict_keys().values()]
    last = trainings[-1] if trainings else {}
    seconds = sum(record["seconds"] for record in trainings)
    tokens = sum(record["tokens"] for record in trainings)
    cost = Cost(
        trainable_parameters=last.get("trainable_parameters", 0),
        total_parameters=spec.model.parameters if spec.arm.prompting.needs_model else 0,
        train_seconds=seconds,
        predict_seconds=sum(record["seconds"] for record in predictions),
        train_tokens=tokens,
        tokens_per_second=tokens / seconds if seconds else 0.0,
        peak_bytes=max(record["peak_bytes"] for record in [*trainings, *predictions]),
        adapter_bytes=last.get("adapter_bytes", 0),
        flops=sum(record["flops"] for record in trainings),
    )
    effective: dict[str, Any] = {"precision": spec.precision}
    effective |= {key: last[key] for key in _SHOWN if key in last}
    for record in predictions:
        effective |= record["effective"]
    if spec.model.kind == "encoder":
        effective["kind"] = spec.model.kind
    effective["metrics"] = [metric.signature() for metric in spec.task.metrics]
    warnings = [warning for record in trainings for warning in record["warnings"]]
    if spec.arm.prompting.needs_model:
        for key in spec.predict_keys().values():
            warnings += answer_warnings(store.step("predict", key).predictions())
    return Result(**identity(spec), status="finished", scores=means, cost=cost, effective=effective, warnings=warnings)


def failed(spec: RunSpec, error: Exception) -> Result:
    """A failed run: its error in words, for the table; what it finished stays in the store."""
    message = str(error) if isinstance(error, LuthierError) else f"{type(error).__name__}: {error}"
    if out_of_memory(error):
        message = f"out of memory: lower training.micro_batch_tokens, or take a smaller model ({message})"
    return Result(**identity(spec), status="failed", error=message)


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, by the words of torch: on a GPU, and on a CPU ("can't allocate memory")."""
    told = any(words in str(error).lower() for words in ("out of memory", "allocate memory"))
    return isinstance(error, MemoryError) or told


def identity(spec: RunSpec) -> dict[str, Any]:
    """What names a run in its result, finished or failed."""
    stages = spec.arm.trained or spec.arm.stages
    keys = spec.train_keys()
    return {
        "arm": spec.arm.name,
        "model": spec.model.column,
        "base": spec.model.name if spec.model.beside else None,
        "task": spec.task.task_name,
        "seed": spec.seed,
        "digest": spec.run_key(),
        "prompting": spec.arm.prompting.label(),
        "method": " then ".join(_described(stage) for stage in stages),
        "objective": stages[-1].objective.name if spec.arm.trained else "none",
        "baseline": spec.arm.baseline,
        "seeded": spec.seeded,
        "size": spec.size,
        "split": spec.split,
        "control_of": spec.control_of,
        "train_key": keys[-1] if keys else None,
        "train_keys": keys,
        "predict_key": spec.predict_key(),
    }


def _described(stage: Stage) -> str:
    """`lora(rank=16) with ewc(strength=10) on sentiment`."""
    held = "" if isinstance(stage.regulariser, NoRegulariser) else f" with {stage.regulariser.label()}"
    return f"{stage.method.label()}{held}{f' on {stage.task}' if stage.task else ''}"
