"""P-tuning: what makes its virtual tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luthier.methods.soft_prompts.p_tuning import PTuning
from tests.families import attach_to, family_rows, logits

V = 4


def prompt_of(method: PTuning) -> tuple[Any, Any]:
    model = attach_to("llama", method)
    return model, model.prompt_encoder["default"]


def test_an_mlp_of_three_layers_makes_each_token_by_itself() -> None:
    model, encoder = prompt_of(PTuning(virtual_tokens=V, hidden=9))
    assert [tuple(layer.weight.shape) for layer in encoder.mlp_head[::2]] == [(9, 64), (9, 9), (64, 9)]
    before = model.get_prompt(1).detach()
    with torch.no_grad():
        encoder.embedding.weight[0] += 1
    assert ((model.get_prompt(1) - before).abs().amax(dim=2)[0] > 0).tolist() == [True, False, False, False]


def test_an_lstm_lets_each_token_know_all_others() -> None:
    model, encoder = prompt_of(PTuning(virtual_tokens=V, encoder="lstm"))
    assert encoder.lstm_head.hidden_size == 32 and encoder.lstm_head.num_layers == 2 and encoder.lstm_head.bidirectional
    before = model.get_prompt(1).detach()
    with torch.no_grad():
        encoder.embedding.weight[0] += 1
    assert ((model.get_prompt(1) - before).abs().amax(dim=2)[0] > 0).all()


@pytest.mark.parametrize("encoder", ["mlp", "lstm"])
def test_every_row_has_the_same_prompt_before_it(encoder: Any) -> None:
    model, _ = prompt_of(PTuning(virtual_tokens=V, encoder=encoder))
    rows = family_rows("llama", 3)
    together = logits(model, rows)
    torch.testing.assert_close(together, torch.cat([logits(model, [row]) for row in rows]), atol=1e-4, rtol=1e-4)
