"""VeRA (Kopiczko et al. 2023, arXiv 2310.11454): one random pair of matrices for all layers, and vectors that scale it.

    h = W x + b * (B (d * (A x)))        A: (r, d_in) and B: (d_out, r) frozen, d: (r) 0.1, b: (d_out) zero at first

A and B are drawn once, as large as the largest matrix needs, and each layer takes their first columns and rows. They
are drawn from `key` again whenever the adapter is loaded, so that a saved adapter holds what was trained and no more.
A 512 x 64 matrix at rank 256 gains 512 + 256 = 768 weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import DEFAULT, MethodClass, PeftMethod, rate_between, task_type
from luthier.methods.targets import Targets, target_names


class VeRA(PeftMethod):
    """Train two vectors that scale a random update of every linear layer."""

    name: ClassVar[str] = "vera"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    answers_merged: ClassVar[bool] = True
    moves: ClassVar[str] = "two vectors that scale a random update of each linear layer"
    paper: ClassVar[str] = "Kopiczko et al. 2023, arXiv 2310.11454"

    rank: int = Field(default=256, ge=1)
    """r, of the shared matrices (peft's default; the paper has 256 for RoBERTa-large and 1024 for RoBERTa-base)."""
    start: float = Field(default=0.1, gt=0)
    """What d is at first (the paper's and peft's)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before A (peft's default)."""
    key: int = Field(default=0, ge=0)
    """The seed of A and B; adapters of several keys cannot stand on one base together."""
    targets: Targets = "all-linear"
    """Which matrices: `all-linear` (QLoRA, arXiv 2305.14314, found all of them needed), `attention`, `mlp`, or one name
    or several."""

    def learning_rate(self, parameters: int) -> float:
        """1e-1 at 6M parameters (40 steps of 4 on house/decoder and generated/support_desk: validation loss 2.51, with
        3e-2 3.62 and with 1e-2 4.36), 4e-3 at 7B (the paper's for LLaMA), on a log-log line between."""
        return rate_between(parameters, (6e6, 1e-1), (7e9, 4e-3))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import VeraConfig

        with _without_its_warnings():
            return VeraConfig(
                task_type=task_type(model),
                r=self.rank,
                d_initial=self.start,
                vera_dropout=self.dropout,
                projection_prng_key=self.key,
                save_projection=False,
                target_modules=target_names(model, self.targets),
            )

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """As peft does, but each with matrices of its own: peft would give a second adapter the first one's, which are
        others where its rank or its largest matrix is another, and no error would tell."""
        from peft.tuners.vera.layer import VeraLayer

        with _without_its_warnings():
            for layer in model.modules():
                if isinstance(layer, VeraLayer):
                    layer.vera_A[name] = layer.vera_B[name] = next(layer.parameters()).new_empty(0)
            loaded = super().load(model, folder, name)
        _draw(loaded, name)
        return loaded


def _draw(model: Any, name: str) -> None:
    """Give the adapter of that name the matrices that it was trained with."""
    import torch
    from peft.tuners.vera.layer import VeraLayer
    from peft.tuners.vera.model import _kaiming_init

    layers = [module for module in model.modules() if isinstance(module, VeraLayer) and name in module.vera_lambda_d]
    config = model.peft_config[name]
    stream = torch.Generator().manual_seed(config.projection_prng_key)
    a = _kaiming_init((config.r, max(layer.in_features for layer in layers)), generator=stream)
    b = _kaiming_init((max(layer.out_features for layer in layers), config.r), generator=stream)
    for layer in layers:
        vector = layer.vera_lambda_d[name]
        layer.vera_A[name], layer.vera_B[name] = a.to(vector), b.to(vector)


@contextmanager
def _without_its_warnings() -> Iterator[None]:
    """peft advises to save the shared matrices."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Specified to not (save|load) vera_A")
        yield
