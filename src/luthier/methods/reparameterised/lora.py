"""LoRA (Hu et al. 2021, arXiv 2106.09685): a low-rank update beside each frozen matrix.

    h = W x + s B A x        A: (r, d_in) drawn at random, B: (d_out, r) zero at first, W frozen
    s = alpha / r, or alpha / sqrt(r) under `rslora` (Kalajdzievski 2023, arXiv 2312.03732)

`plus` gives B a rate of its own, LoRA+ (Hayou et al. 2024, arXiv 2402.12354). `initialise: pissa` starts from the
largest singular values of W and freezes the rest (PiSSA, Meng et al. 2024, arXiv 2404.02948):

    W = U S V^T;    s B_0 A_0 = U_r S_r V_r^T;    h = (W - s B_0 A_0) x + s B A x

What PiSSA saves is the plain update of W that it comes to, s (B A - B_0 A_0), a LoRA of rank 2 r: it is put onto the
untouched base, and switched off it leaves the base as it was.

A 512 x 64 matrix has 32,768 weights; at rank 8 its update has 8 * (512 + 64) = 4,608.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.methods.method import DEFAULT, MethodClass, PeftMethod, Switching, rate_between, task_type
from luthier.methods.targets import Targets, target_names
from luthier.models.kinds import Kind

_START = "luthier_lora_start"


class LowRank(PeftMethod):
    """What LoRA and DoRA have in common: the update, its scale, its places and its rates."""

    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    answers_merged: ClassVar[bool] = True

    rank: int = Field(default=8, ge=1)
    """r, the rank of each update (peft's default)."""
    alpha: float | None = Field(default=None, gt=0)
    """The update is scaled by alpha / rank; twice the rank where it is not given (the scale 2 that practice settled on,
    so that a rank can be changed without a new learning rate). Under `rslora` 2 sqrt(8), which is the same scale at
    rank 8."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before A (0, peft's default; QLoRA, arXiv 2305.14314, had 0.1 up to 13B and 0.05 above)."""
    targets: Targets = "all-linear"
    """Which matrices: `all-linear` (QLoRA found that all of them are needed to match full fine-tuning), `attention`,
    `mlp`, or one name or several, such as `q_proj`."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank): updates of any rank then move alike (Kalajdzievski 2023), which matters for large
    ranks; off, as in Hu et al. 2021."""
    plus: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """LoRA+: the rate of B as a multiple of all others'; 1, LoRA itself. Hayou et al. 2024 advise 16, with a lower
    rate for A."""

    @property
    def scaling(self) -> float:
        """s, what the update is multiplied by."""
        if self.rslora:
            return float((self.alpha or 2 * 8**0.5) / self.rank**0.5)
        return float((self.alpha or 2 * self.rank) / self.rank)

    def parameter_groups(self, model: Any, learning_rate: float) -> list[dict[str, Any]]:
        """B by itself where `plus` says so."""
        if self.plus == 1:
            return super().parameter_groups(model, learning_rate)
        named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        return [
            {"params": [value for name, value in named.items() if "lora_B" not in name], "lr": learning_rate},
            {"params": [value for name, value in named.items() if "lora_B" in name], "lr": learning_rate * self.plus},
        ]

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import LoraConfig

        return LoraConfig(
            task_type=task_type(model),
            r=self.rank,
            lora_alpha=self.scaling * (self.rank**0.5 if self.rslora else self.rank),
            lora_dropout=self.dropout,
            target_modules=target_names(model, self.targets),
            use_rslora=self.rslora,
        )


class LoRA(LowRank):
    """Train a low-rank update of every linear layer but the head."""

    name: ClassVar[str] = "lora"
    switching: ClassVar[Switching] = "row"
    moves: ClassVar[str] = "a rank-r update of each linear layer"
    paper: ClassVar[str] = "Hu et al. 2021, arXiv 2106.09685"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"rslora": True, "rank": 32},
        {"plus": 16.0},
        {"initialise": "pissa"},
        {"targets": "attention"},
    )

    initialise: Literal["default", "pissa"] = "default"
    """A at random and B zero, or both from the largest singular values of W (PiSSA); what PiSSA saves has twice the
    weights that it trains."""

    def switching_on(self, kind: Kind) -> Switching:
        """Of a head each adapter has a copy, which peft cannot tell apart by rows."""
        return "request" if kind == "encoder" else self.switching

    def learning_rate(self, parameters: int) -> float:
        """3e-3 at 6M parameters (measured, docs/log.md), 2e-4 at 7B (QLoRA, arXiv 2305.14314, Table 9), on a log-log
        line between."""
        return rate_between(parameters, (6e6, 3e-3), (7e9, 2e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        """peft's configuration.

        Raises:
            LuthierError: PiSSA is asked for more singular values than a matrix has.
        """
        config = super().peft_config(model, tokenizer)
        if self.initialise == "pissa":
            config.init_lora_weights = "pissa"
            weights = [getattr(model.get_submodule(name), "weight", None) for name in target_names(model, self.targets)]
            fewest = min((min(weight.shape) for weight in weights if weight is not None), default=self.rank)
            if fewest < self.rank:
                raise LuthierError(
                    f"a matrix has {fewest} singular values, and PiSSA is to start from {self.rank}",
                    where="lora.rank",
                    mend=f"take a rank of {fewest} at most, or leave `initialise` as it is",
                )
        return config

    def attach(self, model: Any, tokenizer: Any) -> Any:
        """As peft does; PiSSA's start is kept beside the weights, since what is saved is the way from there."""
        from luthier.methods.reparameterised.fused_lora import fuse

        attached = fuse(super().attach(model, tokenizer))
        if self.initialise == "pissa":
            setattr(attached, _START, {name: weight.detach().clone() for name, weight in _factors(attached).items()})
        return attached

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        from luthier.methods.reparameterised.fused_lora import fuse

        return fuse(super().load(model, folder, name))

    def save(self, model: Any, folder: Path) -> None:
        """As peft does; after PiSSA the plain LoRA of twice the rank: [A; A_0] and [B, -B_0].

        peft can convert it too, but leaves a classifier's head out.
        """
        super().save(model, folder)
        if start := getattr(model, _START, None):
            _convert(folder, {name.replace(f".{DEFAULT}.", "."): weight for name, weight in start.items()})
            self.note_base(model, folder)

    def stored(self, model: Any) -> int:
        """PiSSA's is a LoRA of twice the rank."""
        start = getattr(model, _START, {})
        return super().stored(model) + sum(weight.numel() for weight in start.values())


def _factors(model: Any) -> dict[str, Any]:
    """The matrices A and B by name."""
    return {name: weight for name, weight in model.named_parameters() if "lora_A" in name or "lora_B" in name}


def _convert(folder: Path, start: dict[str, Any]) -> None:
    """Turn what peft has saved into the difference from the start; the scale stays as it is."""
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    for name, first in start.items():
        trained, first = weights[name], first.to(weights[name])
        weights[name] = torch.cat([trained, first]) if "lora_A" in name else torch.cat([trained, -first], dim=1)
    save_file(weights, path, metadata={"format": "pt"})
    settings = folder / "adapter_config.json"
    config = json.loads(settings.read_text(encoding="utf-8"))
    config["lora_alpha"] *= 2**0.5 if config["use_rslora"] else 2
    config.update(r=2 * config["r"], init_lora_weights=True)
    settings.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
