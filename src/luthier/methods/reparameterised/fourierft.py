"""FourierFT (Gao et al. 2024, arXiv 2405.03003): an update of each frozen matrix of which few frequencies are trained.

    h = (W + scale * real(IDFT2(F))) x        F: (d_out, d_in), zero but for n places

The n coefficients are trained. Their places are drawn by a fixed seed, the same for all matrices of a shape, and need
not be saved. A matrix has n weights to train however large it is. IDFT2 divides by d_out d_in, so that a coefficient
moves a weight by scale / (d_out d_in) at most.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import MethodClass, rate_between, task_type
from luthier.methods.on_linears import OnLinears
from luthier.methods.targets import Targets, target_names

_SCALE, _WIDTH = 150, 768
"""The paper's scale for RoBERTa-base, and the width of that model's matrices."""


class FourierFT(OnLinears):
    """Train a few Fourier coefficients of an update of every linear layer but the head."""

    name: ClassVar[str] = "fourierft"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "n Fourier coefficients of an update of each linear layer"
    paper: ClassVar[str] = "Gao et al. 2024, arXiv 2405.03003"

    frequencies: int = Field(default=1000, ge=1)
    """n, the coefficients of each matrix (the paper's choice for language models), at most as many as the smallest
    matrix has weights. They are zero at first, so that the model starts as its base; the paper draws them from N(0, 1),
    which at small widths drowns the base."""
    scale: float | None = Field(default=None, gt=0)
    """What the update is multiplied by. Where it is not given, the paper's 150 of RoBERTa-base in proportion to the
    weights of a matrix (on average over the layers), 150 * d_out * d_in / 768^2: a step of the optimizer then moves a
    weight as far in a narrow model as in a wide one."""
    targets: Targets = "all-linear"
    """Which layers: `all-linear`, `attention`, `mlp`, or names of modules."""

    def learning_rate(self, parameters: int) -> float:
        """0.45 at 6M parameters (measured: 24 steps on the house decoder took 14%, 27% and 40% of the held-out loss
        with 0.05, 0.15 and 0.45), 5e-2 from 125M on (the paper's for RoBERTa-base, whose scale this is), on a log-log
        line between."""
        return rate_between(parameters, (6e6, 0.45), (125e6, 5e-2))

    def parameter_groups(self, model: Any, learning_rate: float) -> list[dict[str, Any]]:
        """A classifier's head at a tenth of the coefficients' rate: the paper gives the two rates that far apart, and
        at one rate for both the head is thrown about."""
        trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
        own = [value for name, value in trained.items() if "fourierft_spectrum" in name]
        head = [value for name, value in trained.items() if "fourierft_spectrum" not in name]
        groups = [{"params": own, "lr": learning_rate}, {"params": head, "lr": learning_rate / 10}]
        return groups if head else groups[:1]

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import FourierFTConfig

        names = target_names(model, self.targets)
        sizes = [model.get_submodule(name).weight.numel() for name in names]
        return FourierFTConfig(
            task_type=task_type(model),
            n_frequency=min(self.frequencies, *sizes),
            scaling=self.scale or _SCALE * sum(sizes) / len(sizes) / _WIDTH**2,
            init_weights=True,  # to zeros
            target_modules=names,
        )
