"""Prompt tuning (Lester et al. 2021, arXiv 2104.08691): virtual tokens before the input, and nothing else.

y ~ p(y | [P; E(x)])        P: (virtual_tokens, d_model) trained, the embedding E and the model frozen

In an encoder-decoder they stand before what the encoder reads, as in the paper, whose models are T5's. What an encoder
pools with a prompt before its row: `soft_prompt.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from luthier.methods.method import task_type
from luthier.methods.soft_prompts.soft_prompt import SoftPrompt
from luthier.models.kinds import Kind


class PromptTuning(SoftPrompt):
    """Train the embeddings of a few virtual tokens that stand before every input."""

    name: ClassVar[str] = "prompt_tuning"
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.03, "encoder-decoder": 0.035}
    moves: ClassVar[str] = "virtual tokens before the input"
    paper: ClassVar[str] = "Lester et al. 2021, arXiv 2104.08691"

    virtual_tokens: int = Field(default=20, ge=1)
    """How many (the paper found little gain beyond 20)."""
    initialise: Literal["vocabulary", "random", "text"] = "vocabulary"
    """From embeddings of random tokens of the vocabulary (the paper's better choice where there is no text), from a
    text's tokens, or at random."""
    text: str | None = None
    """The text to start from, repeated or cut to `virtual_tokens`; needed for `initialise: text`."""

    @model_validator(mode="after")
    def _text_goes_with_its_start(self) -> PromptTuning:
        if (self.initialise == "text") != bool(self.text):
            raise ValueError("`text` and `initialise: text` go together: give both, or neither")
        return self

    def learning_rate(self, parameters: int) -> float:
        """0.3, the paper's rate, for every size: soft prompts want rates far above those of weights."""
        return 0.3

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import PromptTuningConfig, PromptTuningInit

        start = {
            "vocabulary": PromptTuningInit.SAMPLE_VOCAB,
            "random": PromptTuningInit.RANDOM,
            "text": PromptTuningInit.TEXT,
        }
        from_text = self.initialise == "text"
        return PromptTuningConfig(
            task_type=task_type(model),
            num_transformer_submodules=1,  # peft would draw as many again for a decoder, and never use them
            num_virtual_tokens=self.virtual_tokens,
            prompt_tuning_init=start[self.initialise],
            prompt_tuning_init_text=self.text if from_text else None,
            tokenizer_name_or_path=tokenizer.name_or_path if from_text else None,
        )
