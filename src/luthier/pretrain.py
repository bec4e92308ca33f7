"""Pretraining a small model of one's own: sources -> tokenizer -> tokens -> training -> bits per byte -> a folder.

The loop is the one that adapts models (`training/loop.py`), with the language-modelling objective and every weight
moving. Each stage leaves its outcome in the output folder and is not repeated; the training resumes exactly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.durable import replacing
from luthier.core.environment import capture_environment, has_fast_bf16, usable_cores
from luthier.core.errors import LuthierError
from luthier.core.store import Store, write_json
from luthier.pretrain_file import ArchitectureSettings, PretrainSpec
from luthier.tasks.corpus import Source, read_source
from luthier.training.loop import Notify, Trained, train
from luthier.training.parallel import together

if TYPE_CHECKING:
    import numpy as np


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

    sources = [read_source(name, settings) for name, settings in spec.sources.items()]
    tokenizer = _tokenizer(spec, sources, out / "tokenizer")
    tokens = _tokens(tokenizer, sources, out / "tokens")
    _refuse_short_sources(tokens, spec.architecture.context)
    precision = spec.training.precision
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "fp32"
    threads = threads or max(1, usable_cores() // processes)
    with together(processes, out / ".meeting", _train_model, (spec, out, device, precision, threads)):
        model, trained = _train_model(spec, out, device, precision, threads, notify)
    folder = out / "model"
    model.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    scores = {
        source.name: bits_per_byte(model.float(), tokenizer, source.held_out, spec.architecture.context, device)
        for source in sources
    }
    write_json(out / "evaluation.json", _evaluation(spec, model, tokens, trained, precision, device, scores))


def _refuse_another_file(spec: PretrainSpec, out: Path) -> None:
    """What an output folder holds belongs to one pretraining file."""
    record = out / "spec.json"
    if not record.exists():
        write_json(record, {"digest": spec.digest(), **spec.model_dump(mode="json")})
    elif json.loads(record.read_text(encoding="utf-8"))["digest"] != spec.digest():
        raise LuthierError(
            "this folder holds a pretraining with other settings",
            where=str(record),
            mend="give another folder with --out, or the file and settings that it was begun with",
        )


def _train_model(
    spec: PretrainSpec, out: Path, device: str, precision: str, threads: int, notify: Notify = lambda *_: None
) -> tuple[Any, Trained]:
    """The training itself, from what the stages before left in `out`; one call per process."""
    import torch
    from transformers import AutoTokenizer

    from luthier.methods.full import Full
    from luthier.objectives.language_modelling import LanguageModelling, PackedData
    from luthier.regularisers.regulariser import NoRegulariser

    torch.set_num_threads(threads)
    training, context = spec.training, spec.architecture.context
    steps = max(1, round(spec.tokens / (training.batch_size * context)))
    torch.manual_seed(spec.seed)
    model = _model(spec.architecture, AutoTokenizer.from_pretrained(out / "tokenizer"))
    data = PackedData(
        {name: _stored(out / "tokens", name, "train") for name in spec.sources},
        {name: settings.weight for name, settings in spec.sources.items()},
        context=context,
        short_context=spec.short_context,
        short_share=spec.short_share,
        step_tokens=training.batch_size * context,
        micro_tokens=training.micro_batch_tokens,
        steps=steps,
        seed=spec.seed,
        held_out={name: _stored(out / "tokens", name, "held-out") for name in spec.sources},
    )
    trained = train(
        model,
        data,
        method=Full(),
        objective=LanguageModelling(),
        regulariser=NoRegulariser(),
        settings=training.model_copy(update={"steps": steps}),
        learning_rate=training.learning_rate or Full().learning_rate(sum(p.numel() for p in model.parameters())),
        device=device,
        precision=precision,
        checkpoints=out / "checkpoint",
        log=out / "train.jsonl",
        notify=notify,
    )
    return model, trained


def bits_per_byte(model: Any, tokenizer: Any, documents: list[str], context: int, device: str = "cpu") -> float:
    """Bits per UTF-8 byte of documents, each read from its beginning in windows of `context` tokens.

    A window keeps the last half of the one before as its context. The end-of-text token is scored too.
    """
    import torch
    from torch.nn.functional import cross_entropy

    nats, size = 0.0, 0
    half = context // 2
    with torch.inference_mode():
        for document in documents:
            ids = [*tokenizer(document)["input_ids"], tokenizer.eos_token_id]
            size += len(document.encode())
            scored = 1
            while scored < len(ids):
                start = max(0, scored - half) if scored > 1 else 0
                window = torch.tensor([ids[start : start + context]], device=device)
                logits = model(window, use_cache=False).logits[0].float()
                first = scored - start
                nats += float(cross_entropy(logits[first - 1 : -1], window[0, first:], reduction="sum"))
                scored = start + window.shape[1]
    return nats / math.log(2) / size


def _tokenizer(spec: PretrainSpec, sources: list[Source], folder: Path) -> Any:
    from transformers import AutoTokenizer

    from luthier.models.tokenizer_training import train_tokenizer

    if not (folder / "tokenizer.json").exists():
        share = max(1, spec.tokenizer_bytes // len(sources))
        texts = (text for source in sources for text in _sample(source.train, share))
        tokenizer = train_tokenizer(texts, spec.architecture.vocabulary, spec.architecture.context)
        if len(tokenizer) > spec.architecture.vocabulary:
            raise LuthierError(
                f"the tokenizer has {len(tokenizer)} tokens", where="architecture.vocabulary", mend="give more"
            )
        with replacing(folder, "the tokenizer") as beside:
            tokenizer.save_pretrained(beside)
    return AutoTokenizer.from_pretrained(folder)


def _sample(documents: list[str], most: int) -> list[str]:
    """Evenly spread pieces of documents, about `most` bytes in all."""
    pieces = [text[start : start + 20_000] for text in documents for start in range(0, len(text), 20_000)]
    total = sum(len(piece) for piece in pieces)
    every = max(1, math.ceil(total / most))
    return pieces[::every]


def _tokens(tokenizer: Any, sources: list[Source], folder: Path) -> dict[str, np.ndarray]:
    """Token ids by source, to train on and held out, one array each on disk, the held-out texts beside them.

    Returns:
        The training tokens, memory-mapped.
    """
    import numpy as np

    from luthier.models.tokenizer_training import encode_documents

    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        for part, documents in (("train", source.train), ("held-out", source.held_out)):
            path = folder / f"{source.name}.{part}.npy"
            if not path.exists():
                beside = path.with_suffix(".tmp.npy")
                np.save(beside, encode_documents(tokenizer, documents))
                beside.rename(path)
        (folder / f"{source.name}.held-out.txt").write_text("\n".join(source.held_out), encoding="utf-8")
    return {source.name: _stored(folder, source.name, "train") for source in sources}


def _stored(folder: Path, source: str, part: str) -> np.ndarray:
    import numpy as np

    return np.load(folder / f"{source}.{part}.npy", mmap_mode="r")


def _refuse_short_sources(tokens: Mapping[str, np.ndarray], context: int) -> None:
    for name, ids in tokens.items():
        if len(ids) <= context:
            raise LuthierError(
                f"source {name} has only {len(ids)} tokens to train on: less than one row of {context} and the next",
                where=f"sources.{name}",
                mend="give more text, a smaller held_out_bytes, or a smaller architecture.context",
            )


def _model(architecture: ArchitectureSettings, tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=architecture.vocabulary,
            hidden_size=architecture.d_model,
            intermediate_size=architecture.d_feed_forward,
            num_hidden_layers=architecture.layers,
            num_attention_heads=architecture.heads,
            num_key_value_heads=architecture.key_value_heads,
            max_position_embeddings=architecture.context,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


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
        "loss": trained.loss,
        "validation_loss": trained.validation_loss,
        "bits_per_byte": dict(scores),
        "source_tokens": {name: len(ids) for name, ids in tokens.items()},
        "spec": spec.model_dump(mode="json"),
        "environment": capture_environment(),
    }
