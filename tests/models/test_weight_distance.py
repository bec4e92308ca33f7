"""The relative distance of the weights from the base's, by layer, whatever stands around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.llama_adapter import LlamaAdapter
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.load import find_model, load_model, load_tokenizer
from luthier.models.weight_distance import weight_distances


@pytest.fixture
def base(decoder: Path) -> Any:
    return load_model(find_model(str(decoder)))


@pytest.fixture
def tuned(decoder: Path) -> Any:
    return load_model(find_model(str(decoder)))


def test_a_layer_that_was_doubled_has_moved_by_one(base: Any, tuned: Any) -> None:
    import torch

    with torch.no_grad():
        for parameter in tuned.model.layers[1].parameters():
            parameter.mul_(2)
        tuned.lm_head.weight.mul_(1.5)
    found = weight_distances(base, tuned)
    assert found is not None and list(found) == ["embeddings", "1", "2", "head", "rest"]
    assert found == pytest.approx({"embeddings": 0, "1": 0, "2": 1, "head": 0.5, "rest": 0}, abs=1e-6)


def test_a_merged_update_is_seen(base: Any, tuned: Any) -> None:
    import torch

    method = LoRA(rank=2)
    torch.manual_seed(0)
    adapted = method.attach(tuned, None)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)
    beside = weight_distances(base, adapted)
    merged = weight_distances(base, method.merge(adapted))
    assert beside is not None and set(beside.values()) == {0.0}
    assert merged is not None and merged["1"] > 0.01 and merged["2"] > 0.01 and merged["head"] == 0


@pytest.mark.parametrize("method", [Adapter(), PromptTuning(virtual_tokens=2), LlamaAdapter()])
def test_what_is_added_moves_no_weight_of_the_base(decoder: Path, base: Any, tuned: Any, method: Any) -> None:
    adapted = method.attach(tuned, load_tokenizer(find_model(str(decoder))))
    found = weight_distances(base, adapted)
    assert found is not None and set(found.values()) == {0.0}


def test_what_cannot_be_compared_is_not_told(base: Any, tuned: Any) -> None:
    import torch

    tuned.model.layers[0].mlp.up_proj.weight = torch.nn.Parameter(torch.zeros(3, 3))
    assert weight_distances(base, tuned) is None
