"""What all soft prompts share: vectors that are trained, put before what the model reads, the model itself frozen.

peft puts them there, and of a decoder's flat row before every sequence (`models/flat_prompts.py`). A soft prompt takes
attention from the first step on, so no model that has one starts as its base.

Where a head reads the first position of a row (BERT, RoBERTa), that is the first virtual token, with CLS behind the
prompt: the head, which is trained too, pools what the prompt has gathered. A prefix that stands in the keys and values
alone (`layer_prefix.py`) takes up no position of the row, and CLS is pooled as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import MethodClass, PeftMethod, Switching
from luthier.models.kinds import Kind

HEAD_RATE = 1e-3
"""The most that a classifier's head is trained with beside a prompt (measured on house/encoder: 24 steps of eight
reviews took a loss of 0.69 to 0.97 with prompt and head at 0.3, and left it at 0.69 with the head at this)."""


class SoftPrompt(PeftMethod):
    """Base of the methods that train virtual tokens."""

    belongs_to: ClassVar[MethodClass] = "soft prompt"
    starts_at_base: ClassVar[bool] = False
    switching: ClassVar[Switching] = "request"
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.03, "encoder-decoder": 0.03}
    """On house/encoder none of them learnt to tell reviews apart in 24 steps, at rates from 3e-3 to 0.3 for the prompt;
    P-tuning v2 took 2% of the loss in 96."""

    virtual_tokens: int = Field(default=20, ge=1)
    """How many virtual tokens stand before the input (20, beyond which Lester et al. 2021, arXiv 2104.08691, found
    little gain; the same for every soft prompt, so that they can be compared)."""

    @property
    def added_positions(self) -> int:
        return self.virtual_tokens

    def flat_on(self, kind: Kind) -> bool:
        return kind == "decoder"

    def stored(self, model: Any) -> int:
        """How many numbers `save` writes: the prompt that the model reads, and a classifier's head. What a prompt is
        computed from in training (an encoder, a projection) is not needed after it.

        Args:
            model: with the method attached.
        """
        beside = sum(
            weights.numel()
            for name, weights in model.named_parameters()
            if weights.requires_grad and not name.startswith("prompt_encoder.")
        )
        return beside + self.virtual_tokens * self._width(model.active_peft_config)

    def parameter_groups(self, model: Any, learning_rate: float) -> list[dict[str, Any]]:
        """The prompt at the rate, and a classifier's head at no more than `HEAD_RATE`: a prompt wants more than weights
        do, and a head that is trained at 0.3 says nothing any more."""
        named = [(name, weights) for name, weights in model.named_parameters() if weights.requires_grad]
        prompt = [weights for name, weights in named if name.startswith("prompt_encoder.")]
        head = [weights for name, weights in named if not name.startswith("prompt_encoder.")]
        groups = [{"params": prompt, "lr": learning_rate}]
        return [*groups, {"params": head, "lr": min(learning_rate, HEAD_RATE)}] if head else groups

    def _width(self, config: Any) -> int:
        """Numbers of one virtual token."""
        return int(config.token_dim)

    @contextmanager
    def disabled(self, model: Any) -> Iterator[None]:
        from luthier.methods.peft_repairs import without_prompt

        with without_prompt(model):
            yield
