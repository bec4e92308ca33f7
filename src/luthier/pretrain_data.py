"""What a pretraining reads: the tokenizer, the token ids of every source on disk, and the rows of each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.durable import replacing
from luthier.core.errors import LuthierError
from luthier.core.types import Example
from luthier.models.kernels import Kernels
from luthier.pretrain_file import PretrainSpec
from luthier.tasks.corpus import Source, TaskSource
from luthier.tasks.task import load_task

if TYPE_CHECKING:
    import numpy as np

    from luthier.objectives.packing import PackedData


def packed_data(spec: PretrainSpec, tokenizer: Any, tokens: Path) -> PackedData:
    """What the training reads, step by step.

    Args:
        spec: the pretraining file.
        tokenizer: of the model.
        tokens: the folder of token ids that an earlier stage has left.
    """
    from luthier.objectives.packing import PackedData, Vocabulary

    step_tokens = spec.training.batch_size * spec.architecture.row
    return PackedData(
        spec.objective,
        Vocabulary.of(tokenizer),
        {name: stored(tokens, name, "train") for name in spec.sources},
        {name: settings.weight for name, settings in spec.sources.items()},
        context=spec.architecture.row,
        short_context=spec.short_context if spec.short_share else spec.architecture.row,
        short_share=spec.short_share,
        step_tokens=step_tokens,
        micro_tokens=spec.training.micro_batch_tokens or Kernels().tokens,
        steps=max(1, round(spec.tokens / step_tokens)),
        seed=spec.seed,
        held_out={name: stored(tokens, name, "held-out") for name in spec.sources},
    )


def tokenizer_of(spec: PretrainSpec, sources: list[Source], folder: Path) -> Any:
    """The tokenizer of the model to be, from its folder, or made and left there: the given model's, or a new one.

    Raises:
        LuthierError: its vocabulary is not the architecture's.
    """
    from transformers import AutoTokenizer

    from luthier.models.tokenizer_training import CHAT_TEMPLATE, framed, train_tokenizer

    if not (folder / "tokenizer.json").exists():
        given = spec.start or spec.tokenizer
        if given:
            tokenizer = _given_tokenizer(given, spec)
        else:
            share = max(1, spec.tokenizer_bytes // len(sources))
            texts = (text for source in sources for text in _sample(source.train, share))
            tokenizer = train_tokenizer(texts, spec.architecture.vocabulary, spec.architecture.context)
        if len(tokenizer) > spec.architecture.vocabulary:
            raise LuthierError(
                f"the tokenizer has {len(tokenizer)} tokens", where="architecture.vocabulary", mend="give more"
            )
        tokenizer = framed(tokenizer, spec.architecture.framing, spec.architecture.context)
        if spec.conversations:
            tokenizer.chat_template = CHAT_TEMPLATE
        with replacing(folder, "the tokenizer") as beside:
            tokenizer.save_pretrained(beside)
    return AutoTokenizer.from_pretrained(folder)


def _given_tokenizer(name: str, spec: PretrainSpec) -> Any:
    """A model's tokenizer, which must be of the vocabulary that the architecture is to have."""
    from luthier.models.load import find_model, load_tokenizer

    tokenizer = load_tokenizer(find_model(name))
    if len(tokenizer) != spec.architecture.vocabulary:
        raise LuthierError(
            f"the tokenizer of {name} has {len(tokenizer)} tokens, and the vocabulary {spec.architecture.vocabulary}",
            where="architecture.vocabulary",
            mend=f"vocabulary: {len(tokenizer)}",
        )
    if len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id} - {None}) < 3:
        raise LuthierError(
            f"the tokenizer of {name} does not tell padding, begin and end of text apart",
            where="start" if spec.start else "tokenizer",
            mend="take a house model's, or train one (leave tokenizer and start out)",
        )
    return tokenizer


def _sample(documents: list[str], most: int) -> list[str]:
    """Evenly spread pieces of documents, about `most` bytes in all."""
    pieces = [text[start : start + 20_000] for text in documents for start in range(0, len(text), 20_000)]
    total = sum(len(piece) for piece in pieces)
    every = max(1, math.ceil(total / most))
    return pieces[::every]


def tokens_of(spec: PretrainSpec, tokenizer: Any, sources: list[Source], folder: Path) -> dict[str, np.ndarray]:
    """Token ids by source, to train on and held out, one array each on disk, the held-out texts beside them.

    Returns:
        The training tokens, memory-mapped.
    """
    from luthier.models.tokenizer_training import encode_documents

    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        for part, documents in (("train", source.train), ("held-out", source.held_out)):
            _store(folder, source.name, part, partial(encode_documents, tokenizer, documents))
        (folder / f"{source.name}.held-out.txt").write_text("\n".join(source.held_out), encoding="utf-8")
    for name, settings in spec.sources.items():
        if isinstance(settings, TaskSource) and not (folder / f"{name}.held-out.npy").exists():
            task = load_task(settings.task)
            for part, examples in (("train", task.splits["train"]), ("held-out", task.splits["validation"])):
                _store(folder, name, part, partial(_conversations, spec, tokenizer, examples))
    return {name: stored(folder, name, "train") for name in spec.sources}


def _conversations(spec: PretrainSpec, tokenizer: Any, examples: Sequence[Example]) -> np.ndarray:
    """Examples as the chat template writes them, each closed by EOS, none cut by the end of a row."""
    from luthier.models.tokens import Renderer
    from luthier.objectives.packing import in_whole_rows

    renderer = Renderer(tokenizer, spec.architecture.context)
    encoded = (renderer.encode(example.id, example.messages, example.reference).ids for example in examples)
    whole = [(*ids, tokenizer.eos_token_id) for ids in encoded]
    return in_whole_rows(whole, spec.architecture.row, tokenizer.pad_token_id)


def _store(folder: Path, source: str, part: str, make: Callable[[], np.ndarray]) -> None:
    import numpy as np

    path = folder / f"{source}.{part}.npy"
    if not path.exists():
        beside = path.with_suffix(".tmp.npy")
        np.save(beside, make())
        beside.rename(path)


def stored(folder: Path, source: str, part: str) -> np.ndarray:
    """The token ids of a source's part (`train` or `held-out`), memory-mapped."""
    import numpy as np

    return np.load(folder / f"{source}.{part}.npy", mmap_mode="r")


def refuse_short_sources(tokens: Mapping[str, np.ndarray], context: int) -> None:
    """A source must fill a row at least.

    Raises:
        LuthierError: one does not.
    """
    for name, ids in tokens.items():
        if len(ids) <= context:
            raise LuthierError(
                f"source {name} has only {len(ids)} tokens to train on: less than one row of {context} and the next",
                where=f"sources.{name}",
                mend="give more text, a smaller held_out_bytes, or a smaller architecture.context",
            )
