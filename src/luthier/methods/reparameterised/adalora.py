"""AdaLoRA (Zhang et al. 2023, arXiv 2303.10512): LoRA as a singular value decomposition, its ranks shared out by need.

    h = W x + (alpha / r) P L Q x        P: (d_out, r), Q: (r, d_in), drawn at random, L: r singular values, 0 at first

All matrices begin with rank r. Over the middle of the training the ranks of all together fall to the target,

    b(t) = b_T + (b_0 - b_T) (1 - (t - t_i) / (T - t_i - t_f))^3

and after each step the singular values that matter least are set to zero: how much one matters is |w dL/dw|, smoothed,
times how much that varies, of it and on average of its two vectors. Over the last t_f steps the ranks stay. P and Q are
held near orthogonal by a penalty, the mean over all of them of ||P^T P - I||, Frobenius's norm (peft's form; the paper
squares it).

What is saved is what has remained: fewer weights than were trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from luthier.methods.method import DEFAULT, MethodClass, PeftMethod, rate_between, task_type
from luthier.methods.targets import Targets, target_names

if TYPE_CHECKING:
    import torch

_SMOOTHED, _VARIED, _KEPT = "smoothed.", "varied.", "kept."


class AdaLoRA(PeftMethod):
    """Train low-rank updates whose ranks are shared out between the matrices by need."""

    name: ClassVar[str] = "adalora"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "updates of each linear layer, of ranks that fall to a budget"
    paper: ClassVar[str] = "Zhang et al. 2023, arXiv 2303.10512"

    rank: int = Field(default=12, ge=2)
    """r, of every matrix at first (1.5 times the target: the paper's ratio and peft's default)."""
    target: int = Field(default=8, ge=1)
    """What the ranks are on average at the end (peft's default)."""
    alpha: float | None = Field(default=None, gt=0)
    """The update is scaled by alpha / rank; twice the rank where it is not given, as for `lora`."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before Q (0, as for `lora`)."""
    targets: Targets = "all-linear"
    """Which matrices: `all-linear` (the paper's choice), `attention`, `mlp`, or one name or several."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """t_i, the share of the steps before the ranks fall (a tenth in the authors' runs on MNLI, SST-2 and CoLA)."""
    final: float = Field(default=0.5, ge=0, lt=1)
    """t_f, the share of the steps after they have fallen (about half in the same runs)."""
    orthogonality: float = Field(default=0.5, ge=0)
    """The weight of the penalty (peft's default; the authors' runs on GLUE have 0.1 to 0.3)."""

    @model_validator(mode="after")
    def _ranks_fall(self) -> AdaLoRA:
        if self.target >= self.rank:
            raise ValueError(f"`target` is where the ranks fall to, so less than `rank`, which is {self.rank}")
        if self.warmup + self.final >= 1:
            raise ValueError("`warmup` and `final` leave no steps between them for the ranks to fall")
        return self

    def learning_rate(self, parameters: int) -> float:
        """3e-2 at 6M parameters (24 steps of 4 on house/decoder and generated/support_desk: validation loss 2.59, with
        1e-2 3.85), 8e-4 at 184M (the authors' on SST-2 and CoLA, DeBERTaV3-base), on a log-log line between. The
        singular values begin at zero between two small matrices, so they want more than LoRA's B."""
        return rate_between(parameters, (6e6, 3e-2), (184e6, 8e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import AdaLoraConfig

        return AdaLoraConfig(
            task_type=task_type(model),
            init_r=self.rank,
            target_r=self.target,
            lora_alpha=self.alpha or 2 * self.rank,
            lora_dropout=self.dropout,
            target_modules=target_names(model, self.targets),
            deltaT=1,  # else singular values that were set to zero would grow again between two cuts
            orth_reg_weight=self.orthogonality,
            total_step=1,  # until `prepare` knows
        )

    def prepare(self, model: Any, steps: int) -> None:
        config = model.peft_config[DEFAULT]
        config.total_step = steps
        config.tinit = int(self.warmup * steps)
        config.tfinal = min(int(self.final * steps), steps - 1)
        # A few steps leave no room between: the ranks then fall at once, after the first.
        config.tinit = min(config.tinit, steps - config.tfinal - 1)

    def penalty(self, model: Any) -> torch.Tensor | None:
        """The mean distance from orthogonality; peft's own stands in a loss that it computes, and ours is computed
        elsewhere."""
        import torch

        if not self.orthogonality:
            return None
        distances = []
        for name, factor in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                products = factor @ factor.T if "lora_A" in name else factor.T @ factor
                distances.append(torch.linalg.norm(products - torch.eye(len(products), device=products.device)))
        return self.orthogonality * torch.stack(distances).mean()

    def after_step(self, model: Any, step: int) -> None:
        tuner = model.base_model
        if not tuner.rankallocator.ipt and step + 1 == _fallen(tuner.peft_config[DEFAULT]):
            tuner.rankallocator.update_ipt(tuner.model)  # no step before it has weighed what matters
        tuner.update_and_allocate(step + 1)

    def state(self, model: Any) -> dict[str, torch.Tensor]:
        """What has mattered so far, and which singular values are left."""
        import torch

        allocator = model.base_model.rankallocator
        kept = model.peft_config[DEFAULT].rank_pattern or {}
        return {
            **{f"{_SMOOTHED}{name}": value for name, value in allocator.exp_avg_ipt.items()},
            **{f"{_VARIED}{name}": value for name, value in allocator.exp_avg_unc.items()},
            **{f"{_KEPT}{name}": torch.tensor(value) for name, value in kept.items()},
        }

    def restore(self, model: Any, state: Mapping[str, torch.Tensor]) -> None:
        allocator = model.base_model.rankallocator
        device = next(model.parameters()).device
        smoothed, varied, kept = (
            {name.removeprefix(part): value for name, value in state.items() if name.startswith(part)}
            for part in (_SMOOTHED, _VARIED, _KEPT)
        )
        allocator.exp_avg_ipt = {name: value.to(device) for name, value in smoothed.items()}
        allocator.exp_avg_unc = {name: value.to(device) for name, value in varied.items()}
        allocator.ipt = dict(allocator.exp_avg_ipt)  # written anew before it is read; peft asks only which are there
        model.peft_config[DEFAULT].rank_pattern = {name: value.tolist() for name, value in kept.items()} or None

    def stored(self, model: Any) -> int:
        """What has remained: of each cut singular value, neither it nor its vectors."""
        kept = model.peft_config[DEFAULT].rank_pattern or {}
        cut = 0
        for name, places in kept.items():
            layer = model.base_model.model.get_submodule(name.partition(".lora_E")[0])
            cut += (len(places) - sum(places)) * (1 + layer.in_features + layer.out_features)
        return super().stored(model) - cut

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        return super().load(model, folder, _inner(name))

    def switch(self, model: Any, name: str) -> None:
        super().switch(model, _inner(name))

    def remove(self, model: Any, name: str) -> Any:
        return super().remove(model, _inner(name))


def _fallen(config: Any) -> int:
    """The step, from 1, after which the ranks stay."""
    return int(config.total_step - config.tfinal)


def _inner(name: str) -> str:
    """What peft calls it: it looks for an adapter's name anywhere in those of the modules, and `a` would be found."""
    return name if name == DEFAULT else f"adalora_{name}"
