"""KL from the base, token by token, against the plain sum over the vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luthier.models import divergence
from luthier.models.divergence import divergences
from luthier.models.flat import use_flat_attention
from luthier.models.load import find_model, load_model
from luthier.models.tokens import Encoded

TEXTS = [Encoded("a", (1, 5, 9, 13), 1), Encoded("b", (1, 7, 3, 4, 8, 20, 21), 1), Encoded("c", (1, 2), 1)]


@pytest.fixture(scope="module")
def models(decoder: Path) -> tuple[Any, Any]:
    import torch

    base, tuned = (load_model(find_model(str(decoder))) for _ in range(2))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    for model in (base, tuned):
        use_flat_attention(model)
    return base, tuned


def plainly(base: Any, tuned: Any, sequence: Encoded) -> float:
    import torch

    ids = torch.tensor([sequence.ids])
    with torch.no_grad():
        p0, p = (model(ids).logits[0, :-1].double().log_softmax(-1) for model in (base, tuned))
    return float((p0.exp() * (p0 - p)).sum(-1).mean())


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("most", [2**26, 1])
def test_it_is_the_sum_over_the_vocabulary(
    models: tuple[Any, Any], flat: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(divergence, "MOST_NUMBERS", most)
    found = divergences(*models, TEXTS, flat=flat, pad_id=0)
    assert found == pytest.approx([plainly(*models, one) for one in TEXTS], rel=1e-4)
    assert all(value > 0 for value in found)


def test_a_model_is_no_way_from_itself(models: tuple[Any, Any]) -> None:
    base, tuned = models
    assert divergences(base, base, TEXTS, flat=True, pad_id=0) == pytest.approx([0, 0, 0], abs=1e-7)
    there, back = (
        divergences(base, tuned, TEXTS, flat=True, pad_id=0),
        divergences(tuned, base, TEXTS, flat=True, pad_id=0),
    )
    assert there != pytest.approx(back, rel=1e-3)  # the direction matters


def test_both_models_stay_as_they_were(models: tuple[Any, Any]) -> None:
    import torch

    base, tuned = models
    tuned.train()
    state = torch.get_rng_state()
    divergences(base, tuned, TEXTS, flat=False, pad_id=0)
    assert tuned.training and not base.training
    assert torch.equal(state, torch.get_rng_state())
    tuned.eval()
