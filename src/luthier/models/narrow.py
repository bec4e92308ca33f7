"""bf16 where nothing is learnt: frozen matrices are kept in bfloat16, what is trained beside them in float32.

A frozen matrix under autocast would be rounded to bfloat16 at every use; kept so, it takes half the memory and no
rounding. What is trained stays in float32: an update of 1e-4 of a weight is lost in bfloat16's eight bits (of LoRA's A,
46% of the entries never moved so at a rate of 1e-4). Vectors (norms, biases) stay as they are: they cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def narrow(parameters: Iterable[Any]) -> None:
    """Keep the float32 matrices among these that require no gradient in bfloat16, in place."""
    import torch

    for parameter in parameters:
        if parameter.dtype == torch.float32 and parameter.ndim >= 2 and not parameter.requires_grad:
            parameter.data = parameter.data.to(torch.bfloat16)
