"""How long and how fast: the settings of a training, whatever moves and whatever it is moved by."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from luthier.core.settings import Settings


class TrainingSettings(Settings):
    """Budget, optimizer and schedule of one training."""

    epochs: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    """Passes over the training set; the same for every arm unless a study says otherwise."""
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps, instead of epochs."""
    batch_size: int = Field(default=8, ge=1)
    """Examples per optimizer step (rows of `context` tokens in pretraining)."""
    micro_batch_tokens: int | None = Field(default=None, ge=1)
    """The most tokens in one forward pass; a step of more is accumulated over several. It changes memory and speed,
    not the gradient. Where it is not given, what was found to be quick on the machine, 1024 to 4096."""
    learning_rate: float | None = Field(default=None, gt=0)
    """The peak rate; where it is not given, the method's own suggestion for the model's size."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` orthogonalises the update of hidden matrices (Jordan et al. 2024) and leaves the rest to AdamW."""
    muon_learning_rate: float = Field(default=0.02, gt=0)
    """The peak rate of the hidden matrices under `muon`."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of matrices; vectors and embeddings have none."""
    schedule: Literal["cosine", "linear", "constant", "warmup_stable_decay"] = "cosine"
    """How the rate falls after warm-up: to a tenth (cosine), to zero (linear), not at all, or to zero over the last
    `decay` of the steps."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """The share of the steps over which the rate rises from zero."""
    decay: float = Field(default=0.4, gt=0, le=1)
    """The share of the steps over which `warmup_stable_decay` falls."""
    clip: float = Field(default=1.0, gt=0)
    """The largest norm of the whole gradient."""
    validations: int = Field(default=2, ge=0)
    """How often the validation loss is taken, spread evenly, the last time at the end; 0 is never."""
    patience: int = Field(default=0, ge=0)
    """Stop after this many validations without a better loss, and keep the best weights; 0 trains to the end and keeps
    the last."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`bf16` keeps frozen weights in it and computes under autocast, what is trained in fp32; `auto` takes it where the
    device is fast at it."""
    compile: bool = False
    """Whether the model goes through torch.compile: worth its start-up in long trainings on a GPU."""
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    """Minutes between checkpoints from which an interrupted training goes on exactly."""

    def fingerprint(self) -> Any:
        """Without what changes speed and memory alone; the precision that `auto` stands for is in the run's keys."""
        kept = super().fingerprint()
        for name in ("micro_batch_tokens", "compile", "checkpoint_minutes", "precision"):
            del kept[name]
        return kept

    @model_validator(mode="after")
    def _patience_can_run_out(self) -> TrainingSettings:
        if self.patience and self.validations <= self.patience:
            raise ValueError(
                f"patience: {self.patience} can never run out in {self.validations} validations: take more"
            )
        return self
