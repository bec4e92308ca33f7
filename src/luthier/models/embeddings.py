"""What an encoder makes of texts: a vector for every token, for metrics that compare texts by them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from luthier.core.errors import LuthierError
from luthier.metrics.metric import Embed, Embedded, Encoder
from luthier.models.load import ModelFiles, find_model, load_tokenizer, quiet

_TOKENS = 4096
"""In a batch, padding counted."""


def check_encoder(wanted: Encoder, where: str) -> None:
    """Refuse, without torch, what no embeddings can be had from.

    Raises:
        LuthierError: there is no such model, or it is no encoder.
    """
    files = find_model(wanted.model)
    if files.kind != "encoder":
        raise LuthierError(
            f"{wanted.model} is no encoder ({files.architecture})",
            where=where,
            mend="name an encoder: house/encoder, or the folder of a BERT or RoBERTa",
        )


@lru_cache(maxsize=2)
def embedder(wanted: Encoder) -> Embed:
    """The encoder, ready to read texts, on the CPU in single precision; kept for the next call. A text longer than
    the encoder's context is cut there: what stands behind has no vectors.

    Args:
        wanted: its name, and the layer whose output is taken, counted from 1. None takes round(3/4 of the layers): 9 of
            12, 18 of 24 (see `metrics/bertscore.py`).

    Raises:
        LuthierError: there is no such model, it is no encoder, or it has no such layer.
    """
    check_encoder(wanted, "encoder")
    files = find_model(wanted.model)
    model, tokenizer = _load(files), load_tokenizer(files)
    layers = int(model.config.num_hidden_layers)
    layer = max(1, round(0.75 * layers)) if wanted.layer is None else wanted.layer
    if layer > layers:
        raise LuthierError(
            f"{wanted.model} has {layers} layers, and layer {layer} was asked for", mend=f"one of 1 to {layers}"
        )
    return lambda texts: _embed(model, tokenizer, files.context, layer, texts)


def _load(files: ModelFiles) -> Any:
    """The encoder without a head; a pooler that the checkpoint lacks is drawn at random, and never read."""
    import torch
    from transformers import AutoModel

    with quiet(), torch.random.fork_rng(devices=[]):
        model, loaded = AutoModel.from_pretrained(
            files.folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    missing = sorted(name for name in loaded["missing_keys"] if "pooler" not in name)
    if missing:
        raise LuthierError(
            f"the weights lack {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else ""),
            where=str(files.folder),
            mend="the config and the weights are not of one model: copy or download both again",
        )
    return model.eval()


def _embed(model: Any, tokenizer: Any, context: int | None, layer: int, texts: Sequence[str]) -> list[Embedded]:
    """Every text by itself, cut at the context: padding is masked, and batches are of texts of about one length."""
    import torch

    rows = [
        tokenizer(text, truncation=context is not None, max_length=context, return_special_tokens_mask=True)
        for text in texts
    ]
    found: dict[int, Embedded] = {}
    with torch.inference_mode():
        for places in _batches([len(row["input_ids"]) for row in rows]):
            longest = max(len(rows[place]["input_ids"]) for place in places)
            ids = torch.full((len(places), longest), tokenizer.pad_token_id or 0)
            mask = torch.zeros((len(places), longest), dtype=torch.long)
            for at, place in enumerate(places):
                length = len(rows[place]["input_ids"])
                ids[at, :length] = torch.tensor(rows[place]["input_ids"])
                mask[at, :length] = 1
            states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[layer]
            units = torch.nn.functional.normalize(states.float(), dim=-1)
            for at, place in enumerate(places):
                own = [i for i, special in enumerate(rows[place]["special_tokens_mask"]) if not special]
                words = tuple(int(rows[place]["input_ids"][i]) for i in own)
                found[place] = Embedded(words, units[at, own].numpy())
    return [found[place] for place in range(len(texts))]


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Places of texts, the longest first, each batch with at most `_TOKENS` tokens (or one text)."""
    batches: list[list[int]] = []
    room = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not batches or len(batches[-1]) >= room:
            batches.append([])
            room = max(1, _TOKENS // max(1, lengths[place]))
        batches[-1].append(place)
    return batches
