"""What the machine could do at most: model FLOPs of a token, by the rate of its matrix products.

Of a LoRA training, a real token:

    4 N_linear               forward, and the gradient of the activations; frozen weights need none
    + 6 N_LoRA               the same, and the gradient of the weights
    + 12 L d c               attention over c positions in the mean, forward and backward (causal: half of the length)
    + 4 V d s                the head, at the share s of the positions that is scored

less what no result needs: the last layer's queries, output projection, feed-forward and attention at positions that
are not scored; and the gradient of the embeddings, into which the first layer's queries, keys and values would lead.
Of full fine-tuning: 6 N_linear, no N_LoRA, 6 V d s, and the gradient of the embeddings too.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.speed.work import Pair, Size


def training_flops(size: Size, pairs: Sequence[Pair], rank: int | None) -> float:
    """FLOPs of a real token in a LoRA training over these pairs; of full fine-tuning where there is no rank."""
    tokens = sum(len(pair.ids) for pair in pairs)
    looked_at = sum(len(pair.ids) * (len(pair.ids) + 1) / 2 for pair in pairs) / tokens
    # The positions before each token of the completion.
    looked_at_scored = sum(sum(range(pair.prompt_length, len(pair.ids))) for pair in pairs) / tokens
    scored = sum(len(pair.ids) - pair.prompt_length for pair in pairs) / tokens
    passes, width = 6 if rank is None else 4, size.d_model
    flops = (
        passes * size.linear_parameters
        + 6 * size.lora_parameters(rank or 0)
        + 12 * size.layers * width * looked_at
        + passes * size.vocabulary * width * scored
    )
    read_by_position = 2 * width**2 + 3 * width * size.d_feed_forward
    updates = (rank or 0) * (4 * width + 3 * (width + size.d_feed_forward))
    flops -= (1 - scored) * (passes * read_by_position + 6 * updates) + 12 * width * (looked_at - looked_at_scored)
    if rank is not None:
        queries = scored if size.layers == 1 else 1
        flops -= 2 * (2 + queries) * (width**2 + rank * width)
    return flops
