"""The last layer at the scored positions alone: the same logits and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luthier.methods.peft_method import Peft
from luthier.models import forward
from luthier.models.batch import flat_batch, padded_batch
from luthier.models.flat import use_flat_attention
from luthier.models.forward import scored_logits
from luthier.models.last_layer import _parts
from luthier.models.tokens import Encoded
from tests.models.decoders import decoder

ROWS = [Encoded("a", tuple(range(20, 40)), 17), Encoded("b", tuple(range(25, 37)), 11)]


def computed(model: Any, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    logits = scored_logits(model, batch)
    model.zero_grad()
    torch.nn.functional.cross_entropy(logits, batch.targets).backward()
    return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
@pytest.mark.parametrize(("family", "parts"), [("llama", 3), ("mistral", 3), ("gemma", 3), ("gpt2", 1), ("bloom", 0)])
def test_equals_all_positions(family: str, parts: int, flat: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = decoder(family).eval()
    assert len(_parts(model)) == parts
    if flat and not use_flat_attention(model):
        pytest.skip("no flat rows in this family")
    batch = flat_batch(ROWS) if flat else padded_batch(ROWS, 0)
    pruned, its_gradients = computed(model, batch)
    monkeypatch.setattr("luthier.models.last_layer._parts", lambda model: [])
    whole, gradients = computed(model, batch)
    torch.testing.assert_close(pruned, whole, atol=1e-5, rtol=1e-5)
    assert its_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(its_gradients[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_what_mixes_positions_is_computed_whole() -> None:
    model = Peft(type="lily").attach(decoder("llama"), None)
    assert _parts(model) == []


def test_it_computes_less(monkeypatch: pytest.MonkeyPatch) -> None:
    model = decoder("llama").eval()
    seen: list[int] = []
    inside = model.model.layers[-1].mlp.down_proj
    inside.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    whole = scored_logits(model, padded_batch(ROWS, 0))
    assert seen == [20], "something hooks into the layer, so all of it is computed"
    inside._forward_pre_hooks.clear()
    plain = inside.forward

    def watched(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.shape[1])
        return plain(x)  # type: ignore[no-any-return]

    monkeypatch.setattr(inside, "forward", watched)
    pruned = scored_logits(model, padded_batch(ROWS, 0))
    assert seen == [20, 4]
    torch.testing.assert_close(pruned, whole, atol=1e-5, rtol=1e-5)


def test_a_pass_of_another_width_is_left_alone() -> None:
    model = decoder("llama").eval()
    ids = torch.arange(20, 30)[None]
    with forward.logits_only_at(model, torch.tensor([0, 1]), 10):
        short = model(input_ids=ids).logits
    with forward.logits_only_at(model, torch.tensor([0, 1]), 5):
        shifted = model(input_ids=ids).logits
    whole = model(input_ids=ids).logits[0]
    torch.testing.assert_close(short, whole[:2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shifted, whole[5:7], atol=1e-5, rtol=1e-5)
