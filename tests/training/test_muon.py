"""Muon: equal to torch's own but for the precision of its Newton-Schulz steps."""

from __future__ import annotations

import pytest
import torch

from luthier.training.muon import Muon, orthogonalise

SHAPES = [(16, 16), (48, 16), (16, 48)]


def matrix(shape: tuple[int, int], seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_singular_values_end_near_one(shape: tuple[int, int], scale: float) -> None:
    values = torch.linalg.svdvals(orthogonalise(matrix(shape) * scale))
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3


def test_the_singular_vectors_stay() -> None:
    given = matrix((24, 16))
    left, _, right = torch.linalg.svd(given, full_matrices=False)
    turned = left.T @ orthogonalise(given) @ right.T
    assert float((turned - torch.diag(turned.diag())).abs().max()) < 1e-4
    assert float(turned.diag().min()) > 0.6


def test_no_gradient_moves_nothing_but_the_decay() -> None:
    assert not orthogonalise(torch.zeros(3, 4)).any()
    weight = torch.nn.Parameter(torch.ones(3, 4))
    optimizer = Muon([weight], lr=0.1, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(3, 4))  # no gradient at all: left alone
    weight.grad = torch.zeros(3, 4)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((3, 4), 0.95))


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_torchs_muon(shape: tuple[int, int]) -> None:
    ours, theirs = (torch.nn.Parameter(matrix(shape)) for _ in range(2))
    start = ours.detach().clone()
    exact = torch.nn.Parameter(matrix(shape))
    optimizers = [
        Muon([ours], lr=0.02, weight_decay=0.1, dtype=torch.bfloat16),
        torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.95),
        Muon([exact], lr=0.02, weight_decay=0.1),
    ]
    for step in range(5):
        for weight, optimizer in zip((ours, theirs, exact), optimizers, strict=True):
            weight.grad = matrix(shape, seed=step + 1)
            optimizer.step()
    moved = (theirs - start).detach().norm()
    # Torch rounds every product to bfloat16's eight bits, and the quintic stretches that for small singular values.
    assert float((ours - theirs).detach().norm() / moved) < 0.03
    assert float((exact - theirs).detach().norm() / moved) < 0.03
