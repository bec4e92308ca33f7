"""The matrix products with frozen weights of a LoRA training, and nothing else, a step at an order; see `runner.py`.

No LoRA training of this model can do without them: forward with every weight, and backward to the activations, but for
what no result needs (`ceiling.py`). No norms, attention, adapters, head, optimizer or tokens: a bound from above to
any training in fp32, in dense products as torch has them.

Settings: `size` (d_model, layers, d_feed_forward), `rows` a list of `[ids, prompt_length]`, `batch_size`.
"""

from __future__ import annotations

import itertools
from typing import Any

from runner import Channel


def main() -> None:
    """Multiply until told to end."""
    channel = Channel()
    given, size = channel.settings, channel.settings["size"]
    import torch

    torch.set_grad_enabled(False)
    width, inner = size["d_model"], size["d_feed_forward"]
    rows, batch_size = given["rows"], given["batch_size"]
    layers = [_weights(torch, width, inner) for _ in range(size["layers"])]
    starts = itertools.cycle(range(0, len(rows) - batch_size + 1, batch_size))
    channel.say(ready=True)
    while True:
        channel.wait()
        chosen = rows[(start := next(starts)) : start + batch_size]
        tokens = sum(len(ids) for ids, _ in chosen)
        scored = sum(len(ids) - prompt for ids, prompt in chosen)
        _pass(torch, layers, tokens, scored)
        channel.done(tokens=tokens)


def _weights(torch: Any, width: int, inner: int) -> dict[str, Any]:
    """A layer's, as `nn.Linear` has them: (out, in)."""
    shapes = {"q": (width, width), "k": (width, width), "v": (width, width), "o": (width, width)}
    shapes |= {"gate": (inner, width), "up": (inner, width), "down": (width, inner)}
    return {name: torch.randn(shape) / 32 for name, shape in shapes.items()}


def _pass(torch: Any, layers: list[dict[str, Any]], tokens: int, scored: int) -> None:
    """Forward and backward of `tokens` positions; the last layer's but for keys and values at `scored` ones alone."""
    for number, layer in enumerate(layers):
        last = number == len(layers) - 1
        for name, weight in layer.items():
            read = scored if last and name not in ("k", "v") else tokens
            torch.nn.functional.linear(_input(torch, read, weight.shape[1]), weight)
            if number > 0 or name not in ("q", "k", "v"):
                _input(torch, read, weight.shape[0]) @ weight


_inputs: dict[int, Any] = {}


def _input(torch: Any, rows: int, width: int) -> Any:
    """Numbers of that shape; made once for each width, and long enough."""
    kept = _inputs.get(width)
    if kept is None or len(kept) < rows:
        kept = _inputs[width] = torch.randn(max(rows, 4096), width)
    return kept[:rows]


if __name__ == "__main__":
    main()
