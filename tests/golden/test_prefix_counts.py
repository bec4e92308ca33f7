"""Known counts of trainable weights of soft prompts, at width 64, two layers and vocabulary 256."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.methods.method import Method
from luthier.methods.soft_prompts.multitask_prompt_tuning import MultitaskPromptTuning
from luthier.methods.soft_prompts.p_tuning import PTuning
from luthier.methods.soft_prompts.p_tuning_v2 import PTuningV2
from luthier.methods.soft_prompts.prefix_tuning import PrefixTuning
from luthier.methods.soft_prompts.soft_prompt import SoftPrompt
from tests.golden.test_lora_counts import bert, count, llama, t5

BARE = PrefixTuning(virtual_tokens=4, projection=False)


@pytest.mark.parametrize("method", [BARE, PTuningV2(virtual_tokens=4)], ids=lambda method: method.name)
@pytest.mark.parametrize(
    ("model", "expected"),
    [(llama, 1024), (t5, 1024), (bert, 1024 + 195)],  # as in peft 0.21.2: 4 tokens, 2 layers, keys and values of 64
    ids=["llama", "t5", "bert"],
)
def test_a_prefix_is_keys_and_values_of_every_layer(method: Method, model: Any, expected: int) -> None:
    assert count(method, model()) == expected


def test_grouped_heads_have_fewer_keys() -> None:
    assert count(BARE, llama(num_key_value_heads=2)) == 512


@pytest.mark.parametrize(
    ("method", "trained", "stored"),
    [
        # E, 64 -> 16 with biases, and 16 -> 2 layers of keys and values with biases; the prefix alone is kept.
        (PrefixTuning(virtual_tokens=4, hidden=16), 4 * 64 + 64 * 16 + 16 + 16 * 256 + 256, 1024),
        (BARE, 1024, 1024),
        # Z, and three layers: 64 -> 8 -> 8 -> 64.
        (PTuning(virtual_tokens=4, hidden=8), 4 * 64 + 64 * 8 + 8 + 8 * 8 + 8 + 8 * 64 + 64, 256),
        # P, u and v; beside them on disk the prompt that comes of them.
        (MultitaskPromptTuning(virtual_tokens=4, rank=2), 256 + 2 * (4 + 64), 2 * 256 + 2 * (4 + 64)),
    ],
    ids=lambda value: value.label() if isinstance(value, Method) else str(value),
)
def test_what_is_trained_and_what_is_kept(method: SoftPrompt, trained: int, stored: int) -> None:
    assert count(method, llama()) == trained
    assert method.stored(method.attach(llama(), None)) == stored
