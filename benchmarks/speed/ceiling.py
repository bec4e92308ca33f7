"""What the machine could do at most: model FLOPs of a token, by the rate of its matrix products.

Of a LoRA training, a real token:

    4 N_linear               forward, and the gradient of the activations; frozen weights need none
    + 6 N_LoRA               the same, and the gradient of the weights
    + 12 L d c               attention over c positions in the mean, forward and backward (causal: half of the length)
    + 4 V d s                the head, at the share s of the positions that is scored

Of full fine-tuning: 6 N_linear, no N_LoRA, and 6 V d s.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.speed.work import Pair, Size


def training_flops(size: Size, pairs: Sequence[Pair], rank: int | None) -> float:
    """FLOPs of a real token in a LoRA training over these pairs; of full fine-tuning where there is no rank."""
    tokens = sum(len(pair.ids) for pair in pairs)
    looked_at = sum(len(pair.ids) * (len(pair.ids) + 1) / 2 for pair in pairs) / tokens
    scored = sum(len(pair.ids) - pair.prompt_length for pair in pairs) / tokens
    passes = 6 if rank is None else 4
    return (
        passes * size.linear_parameters
        + 6 * size.lora_parameters(rank or 0)
        + 12 * size.layers * size.d_model * looked_at
        + passes * size.vocabulary * size.d_model * scored
    )
