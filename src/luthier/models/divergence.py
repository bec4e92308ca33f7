"""How far a model's next-token distributions have moved from its base's, on texts that the base knew.

    KL(base || tuned) = 1 / n sum_t sum_v p0_t(v) (log p0_t(v) - log p_t(v))        in nats per token

over the n scored positions of a text and the whole vocabulary, computed exactly: no sample of it, no top of it.
Kullback & Leibler 1951, "On information and sufficiency". On texts that the base wrote its mean is the divergence
between the two models as distributions over texts, per token; what the bits of such texts grow by is an estimate of the
same from one token at each position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from luthier.models.batch import micro_batches
from luthier.models.encoder_decoder import start_id
from luthier.models.forward import inference, scored_logits
from luthier.models.likelihood import MOST_TOKENS
from luthier.models.tokens import Encoded

MOST_NUMBERS = 2**24
"""Of one model's log-probabilities at a time: 64 MiB of them in fp32, as many again for the other model's. Larger
batches are slower on a CPU (2.4 s against 1.9 s for 4,600 tokens on `house/decoder`)."""


def divergences(
    base: Any,
    tuned: Any,
    encoded: Sequence[Encoded],
    *,
    flat: bool,
    pad_id: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[float]:
    """KL(base || tuned) of every sequence, in nats per scored token, in the given order.

    Args:
        base, tuned: decoders or encoder-decoders with the same vocabulary, on one device; both are read batch by batch,
            so that no text's logits are kept.
        encoded: what they read; scored is what comes after the prompt.
        flat: whether batches are flat rows, which both models must then allow.
        pad_id: any token that the models have.
        on_progress: told how many sequences are done, of how many.
    """
    import torch

    vocabulary = base.get_output_embeddings().weight.shape[0]
    most = max(1, min(MOST_TOKENS, MOST_NUMBERS // vocabulary))
    numbered = [replace(sequence, example_id=str(place)) for place, sequence in enumerate(encoded)]
    batches = micro_batches(numbered, flat=flat, most_tokens=most, pad_id=pad_id, start_id=start_id(base))
    found, done = [0.0] * len(encoded), 0
    with inference(base), inference(tuned):
        device = next(base.parameters()).device
        for batch in batches:
            batch = batch.to(device)
            before, after = (scored_logits(model, batch).log_softmax(-1) for model in (base, tuned))
            by_token = (before.exp() * (before - after)).sum(-1).double().cpu()
            owners = batch.owners.cpu()
            sums = torch.zeros(len(batch.example_ids), dtype=torch.float64).index_add_(0, owners, by_token)
            counts = torch.bincount(owners, minlength=len(batch.example_ids))
            for place, mean in zip(batch.example_ids, (sums / counts).tolist(), strict=True):
                found[int(place)] = mean
            done += len(batch.example_ids)
            on_progress(done, len(encoded))
    return found
