"""Known answers for ROUGE, BLEU, chrF and TER, each worked out by hand or printed by its authors."""

from __future__ import annotations

import math

import pytest

from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics.bleu import Bleu
from luthier.metrics.chrf import Chrf
from luthier.metrics.metric import Metric
from luthier.metrics.rouge import Rouge
from luthier.metrics.ter import Ter

COLD = "It is cold outside."
TEA = "I am very happy to say that I am drinking a warm cup of tea."
TEA_CANDIDATE = "I am very happy that I am drinking a cup of tea."

README_CANDIDATES = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
README_REFERENCES = [
    ("The dog bit the man.", "The dog had bit the man."),
    ("It was not unexpected.", "No one was surprised."),
    ("The man bit him first.", "The man had bitten the dog."),
]


def score(metric: Metric, text: str, *references: str) -> dict[str, float]:
    return dict(metric.score(TextPrediction("0", text), Example("0", (Message("user", "?"),), references)))


def readme_corpus(metric: Metric) -> dict[str, float]:
    predictions = [TextPrediction(str(row), text) for row, text in enumerate(README_CANDIDATES)]
    examples = [Example(str(row), (Message("user", "?"),), texts) for row, texts in enumerate(README_REFERENCES)]
    return dict(metric.corpus(predictions, examples))


@pytest.mark.parametrize("stemmer", [True, False])
@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (
            "It is very cold outside.",
            {"rouge1": (4 / 5, 1, 8 / 9), "rouge2": (2 / 4, 2 / 3, 4 / 7), "rougeL": (4 / 5, 1, 8 / 9)},
        ),
        ("cold cold cold cold", {"rouge1": (1 / 4, 1 / 4, 1 / 4), "rouge2": (0, 0, 0)}),
        ("outside cold it is", {"rouge1": (1, 1, 1), "rouge2": (1 / 3, 1 / 3, 1 / 3), "rougeL": (1 / 2, 1 / 2, 1 / 2)}),
    ],
)
def test_rouge_of_cold_outside(candidate: str, expected: dict[str, tuple[float, ...]], stemmer: bool) -> None:
    values = score(Rouge(stemmer=stemmer), candidate, COLD)
    for kind, (precision, recall, f1) in expected.items():
        assert values[f"{kind}_precision"] == pytest.approx(precision)
        assert values[f"{kind}_recall"] == pytest.approx(recall)
        assert values[kind] == pytest.approx(f1)


def test_rouge_lsum_of_lins_summary_example() -> None:
    values = score(Rouge(), "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5")
    assert values["rougeLsum_precision"] == pytest.approx(0.4)
    assert values["rougeLsum_recall"] == pytest.approx(0.8)


@pytest.mark.parametrize(("stemmer", "expected"), [(False, 0.75), (True, 1.0)])
def test_rouge_l_of_the_gunman(stemmer: bool, expected: float) -> None:
    values = score(Rouge(stemmer=stemmer), "police killed the gunman", "police kill the gunman")
    assert values["rougeL"] == pytest.approx(expected)


@pytest.mark.parametrize(("tokenize", "expected"), [("none", 0.4953), ("13a", 0.5388)])
def test_bleu_of_the_cup_of_tea(tokenize: str, expected: float) -> None:
    metric = Bleu.model_validate({"tokenize": tokenize})
    assert score(metric, TEA_CANDIDATE, TEA)["bleu"] == pytest.approx(expected, abs=5e-5)


def test_bleu_counts_by_hand() -> None:
    """The n-gram counts and the penalty, counted here from the words, give the metric's own figure."""
    candidate, reference = TEA_CANDIDATE.split(), TEA.split()
    matches, totals = [], []
    for n in range(1, 5):
        left = [tuple(reference[i : i + n]) for i in range(len(reference) - n + 1)]
        grams = [tuple(candidate[i : i + n]) for i in range(len(candidate) - n + 1)]
        totals.append(len(grams))
        matches.append(sum(gram in left and not left.remove(gram) for gram in grams))
    assert matches == [12, 9, 6, 3] and totals == [12, 11, 10, 9]
    penalty = math.exp(1 - len(reference) / len(candidate))
    assert penalty == pytest.approx(0.7788, abs=5e-5)
    by_hand = penalty * math.prod(m / t for m, t in zip(matches, totals, strict=True)) ** (1 / 4)
    assert score(Bleu(tokenize="none"), TEA_CANDIDATE, TEA)["bleu"] == pytest.approx(by_hand)


def test_the_example_in_sacrebleus_readme() -> None:
    assert readme_corpus(Bleu())["corpus_bleu"] == pytest.approx(0.4853, abs=5e-5)
    assert readme_corpus(Chrf())["corpus_chrf"] == pytest.approx(0.5973, abs=5e-5)


def test_ter_in_sacrebleus_readme() -> None:
    assert readme_corpus(Ter())["corpus_ter"] == pytest.approx(0.4, abs=5e-5)
