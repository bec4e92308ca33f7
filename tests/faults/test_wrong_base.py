"""Fault 19: what was trained on one base does not load onto another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from luthier.core.errors import LuthierError
from luthier.methods.method import Method
from luthier.registry import METHODS
from luthier.run_spec import RunSpec
from tests.tiny import tiny_config


def base(**changes: Any) -> Any:
    config = tiny_config("llama", vocab_size=320, context=256)
    for key, value in changes.items():
        setattr(config, key, value)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config)


OTHERS: dict[str, dict[str, Any]] = {
    "wider": {"hidden_size": 128},
    "narrower": {"hidden_size": 32},
    "deeper": {"num_hidden_layers": 3},
    "less deep": {"num_hidden_layers": 1},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize(
    "method",
    [method() for method in METHODS if method.trains and method().refusal("decoder", "llama") is None],
    ids=lambda method: method.name,
)
def test_another_architecture_is_refused(method: Method, other: str, tmp_path: Path) -> None:
    model = method.attach(base(), None)
    method.save(model, tmp_path)
    method.load(base(), tmp_path)
    with pytest.raises((LuthierError, ValueError, RuntimeError), match=r"trained on|another model|size mismatch"):
        method.load(base(**OTHERS[other]), tmp_path)


def test_weights_of_one_base_are_not_found_for_another(make_study: Any) -> None:
    """Two bases of one shape: the key under which a training is stored holds the base's digest."""
    (spec,) = make_study(arms=["lora"]).plan(device="cpu", check_lengths=False).runs
    other: RunSpec = spec.model_copy(update={"model": spec.model.model_copy(update={"identity": "0" * 16})})
    assert not set(other.train_keys()) & set(spec.train_keys())
    assert not set(other.predict_keys().values()) & set(spec.predict_keys().values())
