"""Pretraining a small model of one's own: sources -> tokenizer -> tokens -> training -> held-out text -> a folder.

The loop is the one that adapts models (`training/loop.py`), with a pretraining objective and every weight moving. Each
stage leaves its outcome in the output folder and is not repeated; the training resumes exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.durable import read_object, replacing
from luthier.core.environment import capture_environment, has_fast_bf16, usable_cores
from luthier.core.errors import LuthierError
from luthier.core.store import Store, write_json
from luthier.pretrain_data import packed_data, refuse_short_sources, stored, tokenizer_of, tokens_of
from luthier.pretrain_file import PretrainSpec
from luthier.suites.held_out import bits_per_byte, cross_entropy_of, held_out_batches, measure_of
from luthier.tasks.corpus import Source, SourceSettings, read_source
from luthier.training.loop import Notify, Trained, train
from luthier.training.parallel import together
from luthier.workbench import silence_libraries

if TYPE_CHECKING:
    import numpy as np

    from luthier.models.batch import Batch
    from luthier.objectives.packing import Pretraining


def pretrain(
    spec: PretrainSpec,
    out: Path,
    *,
    device: str = "cpu",
    processes: int = 1,
    threads: int | None = None,
    notify: Notify = lambda *_: None,
) -> Path:
    """Train the model and leave it, with its evaluation, in `out/model`.

    Args:
        spec: the pretraining file.
        out: the output folder; what is there already is not done again.
        device: `cpu` or `cuda`.
        processes: how many work on each step together (see `training/parallel.py`).
        threads: of each process; its share of the cores by default.
        notify: told of progress.

    Raises:
        LuthierError: a source that cannot be read; a loss that is not finite.
    """
    with Store(out).held():
        _refuse_another_file(spec, out)
        if not (out / "evaluation.json").exists():
            _pretrain(spec, out, device, processes, threads, notify)
    return out / "model"


def _pretrain(spec: PretrainSpec, out: Path, device: str, processes: int, threads: int | None, notify: Notify) -> None:
    import torch

    silence_libraries()
    sources = [
        read_source(name, settings) for name, settings in spec.sources.items() if isinstance(settings, SourceSettings)
    ]
    tokenizer = tokenizer_of(spec, sources, out / "tokenizer")
    tokens = tokens_of(spec, tokenizer, sources, out / "tokens")
    refuse_short_sources(tokens, spec.architecture.row)
    hidden = _held_out_batches(spec, tokenizer, sources, out / "tokens")  # refuses what could not be measured later
    precision = spec.training.precision
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "fp32"
    threads = threads or max(1, usable_cores() // processes)
    with together(processes, out / ".meeting", _train_model, (spec, out, device, precision, threads)):
        model, trained = _train_model(spec, out, device, precision, threads, notify)
    folder = out / "model"
    model.to(torch.bfloat16)
    scores = _held_out_scores(spec, model.float(), tokenizer, sources, hidden, device)
    _save(model.to(torch.bfloat16), tokenizer, folder)
    write_json(out / "evaluation.json", _evaluation(spec, model, tokens, trained, precision, device, scores))


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    """A folder that loads anywhere: transformers' own attention is named in it, not ours."""
    model.set_attn_implementation("sdpa")
    with replacing(folder, "the model") as beside:
        model.save_pretrained(beside, safe_serialization=True)
        tokenizer.save_pretrained(beside)


def _held_out_batches(
    spec: PretrainSpec, tokenizer: Any, sources: list[Source], tokens: Path
) -> dict[str, list[Batch]]:
    """Per source, what an encoder or an encoder-decoder is measured on; nothing for a decoder, which reads texts."""
    from luthier.objectives.packing import Vocabulary

    if spec.architecture.name == "llama":
        return {}
    measure, vocabulary = _measure(spec), Vocabulary.of(tokenizer)
    found = {
        one.name: held_out_batches(measure, vocabulary, stored(tokens, one.name, "held-out"), spec.architecture.row)
        for one in sources
    }
    for name, batches in found.items():
        if not batches:
            raise LuthierError(
                f"the held-out documents of source {name} are too short to hide a part of them",
                where=f"sources.{name}",
                mend="make longer documents of them, several to one, or give a larger held_out_bytes",
            )
    return found


def _held_out_scores(
    spec: PretrainSpec,
    model: Any,
    tokenizer: Any,
    sources: list[Source],
    hidden: Mapping[str, list[Batch]],
    device: str,
) -> dict[str, float]:
    """Per source, in the measure of the model's kind (see `suites/held_out.py`)."""
    context = spec.architecture.context
    if spec.architecture.name == "llama":
        return {one.name: bits_per_byte(model, tokenizer, one.held_out, context, device) for one in sources}
    return {name: cross_entropy_of(model, _measure(spec), batches, device) for name, batches in hidden.items()}


def _measure(spec: PretrainSpec) -> Pretraining:
    return measure_of("encoder-decoder" if spec.architecture.name == "t5" else "encoder")


def _refuse_another_file(spec: PretrainSpec, out: Path) -> None:
    """What an output folder holds belongs to one pretraining file."""
    record = out / "spec.json"
    if not record.exists():
        write_json(record, {"digest": spec.digest(), **spec.model_dump(mode="json")})
        return
    before = read_object(record)
    if before is None:
        raise LuthierError("this file is damaged", where=str(record), mend="give another folder with --out")
    if before.pop("digest", None) != spec.digest():
        raise LuthierError(
            "this folder holds a pretraining with other settings: "
            + _differences(before, spec.model_dump(mode="json")),
            where=str(record),
            mend="give another folder with --out, or the file and settings that it was begun with",
        )


def _differences(before: Any, now: Any, path: str = "") -> str:
    """What differs between two trees of settings, as `training.batch_size 4 -> 8`, one after the other."""
    if isinstance(before, dict) and isinstance(now, dict):
        found = (
            _differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
            for key in {**before, **now}
        )
        return ", ".join(part for part in found if part)
    return "" if before == now else f"{path} {json.dumps(before)} -> {json.dumps(now)}"


def _train_model(
    spec: PretrainSpec, out: Path, device: str, precision: str, threads: int, notify: Notify = lambda *_: None
) -> tuple[Any, Trained]:
    """The training itself, from what the stages before left in `out`; one call per process."""
    import torch
    from transformers import AutoTokenizer

    from luthier.methods.full import Full
    from luthier.models.flat import use_flat_attention
    from luthier.models.quick_layers import quicken
    from luthier.regularisers.regulariser import NoRegulariser

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    data = packed_data(spec, tokenizer, out / "tokens")
    torch.manual_seed(spec.seed)
    model = spec.architecture.build(tokenizer)
    if spec.start:
        from luthier.models.load import find_model
        from luthier.models.pretrained import load_pretrained
        from luthier.models.warm_start import warm_start

        warm_start(model, load_pretrained(find_model(spec.start)))
    if spec.architecture.name != "t5":
        use_flat_attention(model)
    quicken(model)
    training = spec.training.model_copy(update={"steps": data.steps_per_epoch})
    trained = train(
        model,
        data,
        method=Full(),
        objective=spec.objective,
        regulariser=NoRegulariser(),
        settings=training,
        learning_rate=training.learning_rate or Full().learning_rate(sum(p.numel() for p in model.parameters())),
        device=device,
        precision=precision,
        checkpoints=out / "checkpoint",
        log=out / "train.jsonl",
        notify=notify,
    )
    return model, trained


def _evaluation(
    spec: PretrainSpec,
    model: Any,
    tokens: Mapping[str, np.ndarray],
    trained: Trained,
    precision: str,
    device: str,
    scores: Mapping[str, float],
) -> dict[str, Any]:
    parameters = sum(p.numel() for p in model.parameters())
    return {
        "name": spec.name,
        "parameters": parameters,
        "tokens": trained.tokens,
        "steps": trained.steps,
        "flops": 6 * parameters * trained.tokens,
        "seconds": trained.seconds,
        "device": device,
        "precision": precision,
        "started_from": spec.start,
        "loss": trained.loss,
        "validation_loss": trained.validation_loss,
        "measure": "bits_per_byte" if spec.architecture.name == "llama" else "nats_per_hidden_token",
        "held_out": dict(scores),
        "source_tokens": {name: len(ids) for name, ids in tokens.items()},
        "spec": spec.model_dump(mode="json"),
        "environment": capture_environment(),
    }
