"""A plain loop over padded batches, in the order given, a step at an order; what two runners share. See `runner.py`."""

from __future__ import annotations

import itertools
from typing import Any

from runner import Channel, labels_of

PAD = 2


def train(channel: Channel, model: Any, architecture: str, rate: float) -> None:
    """AdamW on what requires gradients, until told to end."""
    import torch

    given = channel.settings
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, fused=True)
    rows, batch_size = given["rows"], given["batch_size"]
    starts = itertools.cycle(range(0, len(rows) - batch_size + 1, batch_size))
    channel.say(ready=True)
    while True:
        channel.wait()
        chosen = rows[(start := next(starts)) : start + batch_size]
        loss = model(**padded(architecture, chosen)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        channel.done(tokens=sum(len(ids) for ids, _ in chosen), loss=float(loss.detach()))


def padded(architecture: str, rows: list[Any]) -> dict[str, Any]:
    """The batch, padded on the right to its longest row."""
    if architecture == "bert":
        import torch

        return {**_filled([ids for ids, _ in rows]), "labels": torch.tensor([label for _, label in rows])}
    if architecture == "t5":
        labels = _filled([ids[at:] for ids, at in rows], -100)["input_ids"]
        return {**_filled([ids[:at] for ids, at in rows]), "labels": labels}
    labels = _filled([labels_of(ids, at) for ids, at in rows], -100)["input_ids"]
    return {**_filled([ids for ids, _ in rows]), "labels": labels}


def _filled(rows: list[list[int]], fill: int = PAD) -> dict[str, Any]:
    import torch

    width = max(map(len, rows))
    return {
        "input_ids": torch.tensor([ids + [fill] * (width - len(ids)) for ids in rows]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in rows]),
    }
