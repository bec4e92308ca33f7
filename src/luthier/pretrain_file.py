"""The pretraining file: which texts, which model, how long."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from luthier.core.settings import Settings
from luthier.core.training_settings import TrainingSettings
from luthier.tasks.corpus import SourceSettings


class ArchitectureSettings(Settings):
    """A Llama-style decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied embeddings."""

    d_model: int = Field(default=256, ge=8)
    """Width of the residual stream."""
    layers: int = Field(default=6, ge=1)
    """Blocks."""
    heads: int = Field(default=4, ge=1)
    """Query heads."""
    key_value_heads: int = Field(default=2, ge=1)
    """Key and value heads (grouped-query attention, Ainslie et al. 2023, arXiv 2305.13245)."""
    d_feed_forward: int = Field(default=544, ge=8)
    """Width inside the SwiGLU."""
    vocabulary: int = Field(default=8192, ge=400, le=65_536)
    """Tokens, special ones included; their ids are kept in two bytes."""
    context: int = Field(default=2048, ge=16)
    """Positions in training, and the longest input."""


class PretrainTraining(TrainingSettings):
    """The training settings, with the defaults of pretraining: `batch_size` counts rows of the whole context; `epochs`
    and `steps` have no say here."""

    batch_size: int = Field(default=4, ge=1)
    """Rows of the whole context per optimizer step."""
    learning_rate: float | None = Field(default=3e-3, gt=0)
    """The peak rate (under `muon`: of embeddings and norms)."""
    schedule: Literal["cosine", "linear", "constant", "warmup_stable_decay"] = "warmup_stable_decay"
    """How the rate falls after warm-up."""
    warmup: float = Field(default=0.02, ge=0, lt=1)
    """The share of the steps over which the rate rises from zero."""
    validations: int = Field(default=1, ge=0)
    """How often the held-out loss is taken."""


class PretrainSpec(Settings):
    """A pretraining file."""

    name: str
    """What the model is called."""
    sources: dict[str, SourceSettings] = Field(min_length=1)
    """The texts, by name."""
    tokens: int = Field(ge=1)
    """How many tokens to train on; sources are drawn by weight, so a small one is seen several times."""
    architecture: ArchitectureSettings = ArchitectureSettings()
    """The model."""
    tokenizer_bytes: int = Field(default=30_000_000, ge=1)
    """How much text the tokenizer is trained on, an even share of each source."""
    short_context: int = Field(default=256, ge=8)
    """Tokens per row over the first `short_share` of the training, where rows need not be long."""
    short_share: float = Field(default=0.0, ge=0, le=1)
    """The share of the training on short rows; the rest is on rows of the whole context."""
    training: PretrainTraining = PretrainTraining()
    """Batch, optimizer and schedule."""
    seed: int = 0
    """Of the first weights and of the order of the data."""

    @model_validator(mode="after")
    def _short_rows_are_no_longer_than_the_others(self) -> PretrainSpec:
        if self.short_share and self.short_context > self.architecture.context:
            raise ValueError(f"short_context: {self.short_context} is above the context, {self.architecture.context}")
        return self
