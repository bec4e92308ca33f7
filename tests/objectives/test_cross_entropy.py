"""The cross-entropy in parts: the same sum and gradients, fewer logits at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.selective.layers import Layers
from luthier.models.batch import Batch, flat_batch, padded_batch
from luthier.models.encoder_decoder import start_id
from luthier.models.lower_layers import forget_lower_layers, keep_lower_layers
from luthier.objectives import cross_entropy
from luthier.objectives.cross_entropy import summed_cross_entropy
from luthier.training.loop import on_device
from tests.training.small import attached, sequences, supervised_data

ROWS = sequences(5)


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def logits_at_once(model: Any) -> tuple[list[int], Callable[[], None]]:
    rows: list[int] = []
    head = model.get_output_embeddings()

    def seen(module: Any, args: Any, output: torch.Tensor) -> None:
        if output.shape[-1] == head.weight.shape[0]:
            rows.append(len(output))

    return rows, head.register_forward_hook(seen).remove


def check_parts(model: Any, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of three targets, loss and gradients are those of the whole."""
    whole = summed_cross_entropy(model, batch)
    expected = gradients(model, whole)
    assert expected
    monkeypatch.setattr(cross_entropy, "MOST_LOGITS", 3 * len(model.get_output_embeddings().weight))
    summed_cross_entropy(model, batch)  # finds out that the head is the last of the model
    rows, remove = logits_at_once(model)
    parts = summed_cross_entropy(model, batch)
    found = gradients(model, parts)
    remove()
    assert max(rows) == 3 < len(batch.targets)
    assert parts.item() == pytest.approx(whole.item(), rel=1e-6)
    assert found.keys() == expected.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() <= 1e-5 * largest, name


@pytest.mark.parametrize("make", [flat_batch, lambda rows: padded_batch(rows, pad_id=0)], ids=["flat", "padded"])
@pytest.mark.parametrize("method", [Full(), LoRA(rank=2)], ids=["full", "lora"])
def test_parts_give_the_loss_and_gradients_of_the_whole(
    make: Any, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = attached(method), make(ROWS)
    check_parts(model, batch, monkeypatch)


@pytest.mark.parametrize("family", ["t5", "bart", "bloom", "gpt2"])
@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_every_kind_of_head_goes_in_parts(family: str, flat: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if flat and family == "bloom":
        pytest.skip("BLOOM has no flat rows")
    model = attached(Full(), family=family)
    data = supervised_data(ROWS, flat=flat, start_id=start_id(model))
    batch = data.step(0, 0)[0]
    check_parts(model, batch, monkeypatch)


def test_layers_that_are_kept_are_found_with_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = attached(Layers(count=1)), flat_batch(ROWS)
    _, forward = on_device(model, "cpu", "fp32", compiled=False)
    expected = summed_cross_entropy(forward, batch).item()
    monkeypatch.setattr(cross_entropy, "MOST_LOGITS", 3 * len(model.get_output_embeddings().weight))
    assert summed_cross_entropy(forward, batch).item() == pytest.approx(expected, rel=1e-6)
    for _ in range(2):  # the head is known by now, the layers are not
        keep_lower_layers(forward, model, tokens=batch.tokens)
        for _ in range(2):
            assert summed_cross_entropy(forward, batch).item() == pytest.approx(expected, rel=1e-5)
        forget_lower_layers(forward)


@pytest.mark.parametrize("key", ["final_logit_softcapping", "lm_head_multiplier"])
def test_a_config_that_changes_logits_is_believed(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = attached(Full()), flat_batch(ROWS)
    monkeypatch.setattr(model.config, key, 30.0, raising=False)
    monkeypatch.setattr(cross_entropy, "MOST_LOGITS", 1)
    rows, remove = logits_at_once(model)
    summed_cross_entropy(model, batch)
    remove()
    assert rows == [len(batch.targets)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_parts_are_computed_in_the_precision_of_the_model(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = attached(Full()), flat_batch(ROWS)
    _, forward = on_device(model, "cpu", precision, compiled=False)
    whole = summed_cross_entropy(forward, batch)
    monkeypatch.setattr(cross_entropy, "MOST_LOGITS", 3 * len(model.get_output_embeddings().weight))
    rows, remove = logits_at_once(model)
    parts = summed_cross_entropy(forward, batch)
    remove()
    assert rows[-1] <= 3
    assert parts.item() == pytest.approx(whole.item(), rel=1e-6)


def test_a_model_that_changes_its_heads_output_is_left_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = attached(Full()), flat_batch(ROWS)
    inner = model.forward

    def capped(*args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        output.logits = output.logits.tanh()
        return output

    monkeypatch.setattr(model, "forward", capped)
    expected = summed_cross_entropy(model, batch).item()
    monkeypatch.setattr(cross_entropy, "MOST_LOGITS", 1)
    rows, remove = logits_at_once(model)
    assert summed_cross_entropy(model, batch).item() == expected
    remove()
    assert rows[-1] == len(batch.targets)


def test_the_head_is_whole_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = attached(Full()), flat_batch(ROWS)
    monkeypatch.setattr(cross_entropy, "MOST_LOGITS", 1)
    summed_cross_entropy(model, batch)
    head = model.get_output_embeddings()
    assert "forward" not in head.__dict__
    with torch.no_grad():
        assert model(input_ids=batch.input_ids, position_ids=batch.position_ids).logits.shape[-1] == len(head.weight)
