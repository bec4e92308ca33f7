"""The optimizers and the learning-rate schedule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from luthier.core.training_settings import TrainingSettings

if TYPE_CHECKING:
    import torch


def build_optimizers(
    groups: list[dict[str, Any]], model: Any, settings: TrainingSettings, device: str = "cpu"
) -> list[torch.optim.Optimizer]:
    """AdamW over all groups; under `muon`, hidden matrices go to Muon and the rest stays with AdamW.

    Weight decay is for matrices; vectors and embeddings (virtual tokens too) have none. Hidden are all matrices but
    embeddings and the head.

    AdamW: Loshchilov & Hutter 2017, arXiv 1711.05101. Muon: `training/muon.py`.
    """
    import torch

    from luthier.training.muon import Muon

    hidden: set[int] = set()
    optimizers: list[torch.optim.Optimizer] = []
    embeddings = {id(p) for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    if settings.optimizer == "muon":
        head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
        outer = embeddings | ({id(p) for p in head.parameters()} if head is not None else set())
        matrices = [p for group in groups for p in group["params"] if p.ndim == 2 and id(p) not in outer]
        hidden = {id(p) for p in matrices}
        if matrices:
            dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
            optimizers.append(Muon(matrices, settings.muon_learning_rate, settings.weight_decay, dtype=dtype))
    rest = [group | {"params": [p for p in group["params"] if id(p) not in hidden]} for group in groups]
    decayed = [
        group | {"params": part, "weight_decay": decay}
        for group in rest
        for part, decay in (
            ([p for p in group["params"] if p.ndim >= 2 and id(p) not in embeddings], settings.weight_decay),
            ([p for p in group["params"] if p.ndim < 2 or id(p) in embeddings], 0.0),
        )
        if part
    ]
    if decayed:
        optimizers.append(torch.optim.AdamW(decayed, lr=decayed[0]["lr"], betas=settings.betas, fused=True))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def rate_factor(step: int, steps: int, settings: TrainingSettings) -> float:
    """The share of the peak rate at `step` (from 0) of `steps`.

    Warm-up is linear, (step + 1) / warm-up steps. Then: cosine to a tenth of the peak; linear to zero; constant; or
    constant with a linear fall to zero over the last `decay` of the steps (Hägele et al. 2024, arXiv 2405.18392).
    """
    warmup = int(settings.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    if settings.schedule == "cosine":
        return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))
    if settings.schedule == "linear":
        return 1 - progress
    if settings.schedule == "warmup_stable_decay":
        return min(1.0, (steps - step) / max(1.0, settings.decay * steps))
    return 1.0


def set_rate(optimizers: list[torch.optim.Optimizer], factor: float) -> float:
    """Set every group to its peak times the factor; gives the last group's rate, for the log."""
    rate = 0.0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate = group["peak"] * factor
    return rate
