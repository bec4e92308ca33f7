"""The filters against transformers' own, the draws against the distributions that they must follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from luthier.models.sampling import Sampling, choose, filtered, penalise, random_stream

LOGITS = (2.0, 1.5, 1.2, 0.7, 0.3, 0.0, -0.4, -0.9, -1.5, -2.0)
ROWS = 20_000
SETTINGS = [
    Sampling(temperature=1.0),
    Sampling(temperature=0.6),
    Sampling(temperature=1.7),
    Sampling(temperature=1.0, top_k=3),
    Sampling(temperature=1.0, top_p=0.75),
    Sampling(temperature=0.8, top_k=6, top_p=0.9),
    Sampling(temperature=1.5, top_k=4, top_p=0.5),
]


def truncated(sampling: Sampling) -> np.ndarray:
    """The distribution by its definition, over `LOGITS`, which come sorted."""
    weights = np.exp(np.array(LOGITS) / sampling.temperature)
    if sampling.top_k:
        weights[sampling.top_k :] = 0
    probabilities = weights / weights.sum()
    nucleus = int(np.searchsorted(np.cumsum(probabilities), sampling.top_p - 1e-12)) + 1
    probabilities[nucleus:] = 0
    return probabilities / probabilities.sum()


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
def test_draws_follow_the_truncated_distribution(sampling: Sampling) -> None:
    logits = torch.tensor(LOGITS).expand(ROWS, -1)
    # The vocabulary is shuffled, so that order must not matter.
    order = torch.tensor([7, 2, 9, 0, 4, 1, 8, 3, 6, 5])
    drawn = choose(logits[:, order], None, sampling, [random_stream(0, "one")] * ROWS)
    counts = torch.bincount(order[drawn], minlength=len(LOGITS)).numpy()
    expected = truncated(sampling)
    assert counts[expected == 0].sum() == 0
    assert chisquare(counts[expected > 0], ROWS * expected[expected > 0]).pvalue > 0.001


def test_first_draws_of_different_requests_follow_the_distribution() -> None:
    streams = [random_stream(0, f"example-{number}") for number in range(4_000)]
    drawn = choose(torch.tensor(LOGITS).expand(4_000, -1), None, Sampling(temperature=1.0), streams)
    counts = torch.bincount(drawn, minlength=len(LOGITS)).numpy()
    assert chisquare(counts, 4_000 * truncated(Sampling(temperature=1.0))).pvalue > 0.001


def test_chi_squared_would_notice_a_wrong_temperature() -> None:
    drawn = choose(
        torch.tensor(LOGITS).expand(ROWS, -1), None, Sampling(temperature=1.05), [random_stream(0, "one")] * ROWS
    )
    counts = torch.bincount(drawn, minlength=len(LOGITS)).numpy()
    assert chisquare(counts, ROWS * truncated(Sampling(temperature=1.0))).pvalue < 0.001


@pytest.mark.parametrize("sampling", [*SETTINGS, Sampling(temperature=0.7, top_k=40, top_p=0.95)], ids=str)
@pytest.mark.parametrize("penalty", [1.0, 1.3, 0.8])
def test_filters_equal_those_of_transformers(sampling: Sampling, penalty: float) -> None:
    torch.manual_seed(0)
    logits = 3 * torch.randn(16, 200)
    ids = torch.randint(0, 200, (16, 30))
    theirs = LogitsProcessorList(
        [RepetitionPenaltyLogitsProcessor(penalty), TemperatureLogitsWarper(sampling.temperature)]
        + ([TopKLogitsWarper(sampling.top_k)] if sampling.top_k else [])
        + ([TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else [])
    )(ids, logits.clone())
    seen = torch.zeros(16, 200, dtype=torch.bool).scatter(1, ids, True)
    ours = filtered(penalise(logits, seen, penalty), sampling)
    torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), atol=1e-6, rtol=1e-5)
    assert torch.equal(ours.isinf(), theirs.isinf())


@pytest.mark.parametrize("temperature", [1e-2, 1e-6, 1e-30])
def test_greedy_is_the_limit_of_low_temperature(temperature: float) -> None:
    torch.manual_seed(0)
    logits = 30 * torch.randn(64, 50)
    streams = [random_stream(0, str(row)) for row in range(64)]
    cold = choose(logits, None, Sampling(temperature=temperature), streams)
    assert torch.equal(cold, choose(logits, None, Sampling(), streams))
    assert torch.equal(cold, logits.argmax(-1))


def test_greedy_choice_heeds_the_repetition_penalty() -> None:
    logits = torch.tensor([[2.0, 1.8, -1.0], [-0.1, -0.2, -3.0]])
    seen = torch.tensor([[True, False, False], [True, False, False]])
    assert choose(logits, seen, Sampling(), []).tolist() == [0, 0]
    assert choose(logits, seen, Sampling(repetition_penalty=3.0), []).tolist() == [1, 1]


def test_same_seed_same_draws_and_other_seeds_or_examples_other_draws() -> None:
    logits = torch.zeros(1, 1000)

    def draws(seed: int, example_id: str) -> list[int]:
        stream = random_stream(seed, example_id)
        return [int(choose(logits, None, Sampling(temperature=1.0), [stream])) for _ in range(8)]

    assert draws(0, "a") == draws(0, "a")
    assert draws(0, "a") != draws(1, "a")
    assert draws(0, "a") != draws(0, "b")


def test_a_rows_draw_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 100)
    sampling = Sampling(temperature=1.3, top_k=50, top_p=0.9)
    together = choose(logits, None, sampling, [random_stream(3, str(row)) for row in range(6)])
    alone = [int(choose(logits[row : row + 1], None, sampling, [random_stream(3, str(row))])) for row in range(6)]
    assert together.tolist() == alone
