"""Frozen matrices in bfloat16, what is trained in float32."""

from __future__ import annotations

import torch

from luthier.methods.reparameterised.lora import LoRA
from luthier.models.narrow import narrow
from luthier.models.tokens import Encoded
from tests.training.small import attached, base, fit, sequences, supervised_data


def test_frozen_matrices_alone_are_narrowed() -> None:
    model = attached(LoRA(rank=2))
    narrow(model, model.parameters())
    for name, weights in model.named_parameters():
        frozen_matrix = weights.ndim >= 2 and not weights.requires_grad and "embed" not in name
        assert weights.dtype == (torch.bfloat16 if frozen_matrix else torch.float32), name


def test_it_learns_as_in_float32() -> None:
    rows: list[Encoded] = sequences(16)
    losses = []
    for narrowed in (False, True):
        model = attached(LoRA(rank=2))
        if narrowed:
            narrow(model, model.parameters())
        precision = "bf16" if narrowed else "fp32"
        losses.append(
            fit(model, supervised_data(rows), LoRA(rank=2), precision=precision, steps=6, validations=0).losses
        )
    fp32, bf16 = losses
    assert fp32 != bf16
    assert max(abs(a - b) for a, b in zip(fp32, bf16, strict=True)) < 0.02 * fp32[0]


def test_vectors_stay() -> None:
    model = base("gpt2")
    model.requires_grad_(False)
    narrow(model, model.parameters())
    assert all(weights.dtype == torch.float32 for weights in model.parameters() if weights.ndim == 1)
