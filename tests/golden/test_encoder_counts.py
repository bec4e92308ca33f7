"""Known counts of trainable weights on an encoder with its head, from peft 0.21.2 and from arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.methods.additive.adapter import Adapter
from luthier.methods.full import Full
from luthier.methods.method import Method, trainable
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.head import Head
from luthier.models.load import find_model, load_model
from tests.models.encoders import tiny_encoder

HEAD = 3 * 64 + 3
POOLER = 64 * 64 + 64
LAYER = 4 * (64 * 64 + 64) + 2 * 64 * 128 + 128 + 64 + 2 * 2 * 64


def count(method: Method, folder: Path, kind: str = "class") -> int:
    model = load_model(find_model(str(folder)), head=Head("tags" if kind == "tags" else "class", ("a", "b", "c")))
    return sum(parameter.numel() for parameter in trainable(method.attach(model, None)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of width 64 and two layers that was saved with its pooler."""
    return tiny_encoder("bert", tmp_path_factory.mktemp("whole"), masked=False)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, saved as a masked language model: without a pooler."""
    return tiny_encoder("bert", tmp_path_factory.mktemp("masked"))


@pytest.mark.parametrize("kind", ["class", "tags"])
@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (LoRA(rank=4, targets=("query", "value")), 2048 + 195),  # peft's own choice of layers for BERT
        (PromptTuning(virtual_tokens=4), 256 + 195),
        (Adapter(), 2 * (2 * 4 * 64 + 4 + 64) + 195),
        (Adapter(placement="houlsby"), 4 * (2 * 4 * 64 + 4 + 64) + 195),
    ],
    ids=lambda value: value.label() if isinstance(value, Method) else str(value),
)
def test_with_a_head_of_195_weights(method: Method, expected: int, kind: str, whole: Path) -> None:
    assert HEAD == 195
    assert count(method, whole, kind) == expected


def test_a_pooler_that_the_checkpoint_lacks_is_trained_with_the_head(masked: Path) -> None:
    assert count(PromptTuning(virtual_tokens=4), masked) == 256 + 195 + POOLER
    assert count(LoRA(rank=4, targets=("query", "value")), masked) == 2048 + 195 + POOLER
    assert count(PromptTuning(virtual_tokens=4), masked, "tags") == 256 + 195


def test_full_trains_everything(whole: Path) -> None:
    model = load_model(find_model(str(whole)), head=Head("class", ("a", "b", "c")))
    vocabulary = model.config.vocab_size
    embeddings = (vocabulary + 128 + 2) * 64 + 2 * 64
    assert count(Full(), whole) == embeddings + 2 * LAYER + POOLER + HEAD
