"""Attention written out, and fused: the same numbers."""

from __future__ import annotations

import pytest
import torch

from luthier.models.attention import attend, way_up_to


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("before", [0, 4], ids=["", "prefix"])
@pytest.mark.parametrize("biased", [False, True], ids=["", "bias"])
def test_both_ways_are_the_definition(causal: bool, window: int | None, before: int, biased: bool) -> None:
    torch.manual_seed(0)
    query = torch.randn(2, 3, 7, 8, requires_grad=True)
    key, value = (torch.randn(2, 3, 7 + before, 8, requires_grad=True) for _ in range(2))
    bias = torch.randn(1, 3, 7, 7 + before) if biased else None
    answers = []
    for up_to in (0, 7):
        with way_up_to(up_to):
            output = attend(query, key, value, causal=causal, window=window, bias=bias, scale=0.5)
        gradients = torch.autograd.grad(output.square().sum(), (query, key, value))
        answers.append((output, *gradients))
    scores = 0.5 * query @ key.transpose(-1, -2) + (0 if bias is None else bias)
    if causal:
        for place in range(7):
            first = 0 if window is None else max(0, before + place - window + 1)
            scores[..., place, before + place + 1 :] = float("-inf")
            scores[..., place, :first] = float("-inf")
    torch.testing.assert_close(answers[0][0], scores.softmax(-1) @ value)
    torch.testing.assert_close(answers[0], answers[1], atol=1e-5, rtol=1e-4)
