"""Merging that is checked: what was trained is folded into the base, and the logits before and after are compared.

    max |logits after - logits before| / max |logits before| <= merge_tolerance

on a few rows of token ids, evenly spaced over the vocabulary, one of them padded. Merging can go wrong without a word,
as where a layer is reached by two paths, or a weight is shared and only one of its uses was adapted.
"""

from __future__ import annotations

from typing import Any

from luthier.core.errors import LuthierError
from luthier.methods.method import Method
from luthier.models.batch import Batch, padded_batch, pairs_batch
from luthier.models.encoder_decoder import has_encoder, start_id
from luthier.models.families import family_of
from luthier.models.head import head_parts
from luthier.models.kinds import Kind
from luthier.models.labelled import Labelled, labelled_batch
from luthier.models.tokens import Encoded

ROWS, LENGTH = 4, 12
"""Of the probe: two halves of a row where there is an encoder and a decoder."""


def merge_checked(method: Method, model: Any) -> Any:
    """The plain model with what was trained folded in, which answers as before.

    Args:
        method: what was trained.
        model: what its `load` or a training left; used up, whatever comes of it.

    Raises:
        LuthierError: the method cannot be merged into such a model, or merging changed a logit by more than
            `method.merge_tolerance`.
    """
    family = family_of(model.config.get_text_config(decoder=True).model_type)
    if why := method.merge_refusal(_kind(model), family):
        raise LuthierError(
            f"{method.label()} cannot be merged here: {why}",
            where=method.name,
            mend="keep what was trained beside its base; a stage can only follow what can be merged",
        )
    before = _answers(model)
    merged = method.merge(model)
    after = _answers(merged)
    share = float((after - before).abs().max() / before.abs().max())
    if not share <= method.merge_tolerance:  # NaN is refused too
        raise LuthierError(
            f"merging {method.label()} changes what the model answers: a logit moves by {share:.2g} of the largest, "
            f"and {method.merge_tolerance:.2g} would be rounding",
            where=type(merged).__name__,
            mend="keep what was trained beside its base; load both in float32 if they were in a narrower type",
            exit_code=1,
        )
    return merged


def probe(model: Any) -> Batch:
    """Rows of token ids evenly spaced over the vocabulary, the last one half as long as the others."""
    tokens = model.get_input_embeddings().weight.shape[0]
    step = tokens / (ROWS * LENGTH)
    rows = [tuple(int((row * LENGTH + place) * step) for place in range(LENGTH)) for row in range(ROWS)]
    rows[-1] = rows[-1][: LENGTH // 2]
    pad = getattr(model.config, "pad_token_id", None) or 0  # RoBERTa counts its positions by it
    if head_parts(model):
        return labelled_batch([Labelled(str(row), ids, (0,)) for row, ids in enumerate(rows)], pad)
    encoded = [Encoded(str(row), ids, len(ids) // 2) for row, ids in enumerate(rows)]
    start = start_id(model)
    return padded_batch(encoded, pad) if start is None else pairs_batch(encoded, pad, start)


def _answers(model: Any) -> Any:
    """The logits of the probe, `(n, vocabulary)` or `(row, class)`."""
    from luthier.models.forward import inference, scored_logits

    batch = probe(model).to(next(model.parameters()).device)
    with inference(model):
        return scored_logits(model, batch).clone()


def _kind(model: Any) -> Kind:
    if head_parts(model):
        return "encoder"
    return "encoder-decoder" if has_encoder(model) else "decoder"
