"""The vectorised n-gram model against sums to one, and against one written with dictionaries from the formulas."""

from __future__ import annotations

import json
import lzma
import math
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import kneser_ney
from luthier.core.errors import LuthierError

VOCABULARY = 12
BOUNDARY = 3


def _stream(seed: int, documents: int) -> np.ndarray:
    """Documents of 0 to 30 Zipf-like tokens with some order to them, each ended by the boundary."""
    random = np.random.default_rng(seed)
    words = np.array([id_ for id_ in range(VOCABULARY - 1) if id_ != BOUNDARY])  # the last id is never seen
    stream: list[int] = []
    for _ in range(documents):
        place = 0
        for _ in range(random.integers(0, 31)):
            place = min(int(place * random.random()) + random.geometric(0.35) - 1, len(words) - 1)
            stream.append(int(words[place]))
        stream.append(BOUNDARY)
    return np.array(stream, dtype=np.uint16)


class Dictionaries:
    """The same model, token by token, from lists of documents: slow and plain."""

    def __init__(self, tokens: list[int], order: int, boundary: int | None):
        self.order, self.boundary = order, boundary
        raw = [Counter[tuple[int, ...]]() for _ in range(order + 1)]
        before: dict[tuple[int, ...], set[int]] = defaultdict(set)
        opening: Counter[tuple[int, ...]] = Counter()
        for words in self.documents(tokens):
            for end in range(len(words)):
                for start in range(max(0, end - order + 1), end + 1):
                    if start == end == 0 and boundary is not None and words is not self.first:
                        continue  # it ended the document before, and was counted there
                    gram = tuple(words[start : end + 1])
                    raw[len(gram)][gram] += 1
                    if start == 0:
                        opening[gram] += 1
                    else:
                        before[gram].add(words[start - 1])
        self.counts = [
            {gram: count if n == order else len(before[gram]) + opening[gram] for gram, count in raw[n].items()}
            for n in range(order + 1)
        ]
        self.discounts = [self.estimate(Counter(counts.values())) for counts in self.counts]

    def documents(self, tokens: list[int]) -> list[list[int]]:
        """Each with the boundary that opens it and the one that ends it."""
        documents = [[] if self.boundary is None else [self.boundary]]
        for token in tokens:
            documents[-1].append(token)
            if token == self.boundary:
                documents.append([token])
        self.first = documents[0]
        return documents

    @staticmethod
    def estimate(n: Counter[int]) -> list[float]:
        try:
            y = n[1] / (n[1] + 2 * n[2])
            found = [0.0, *(j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3))]
        except ZeroDivisionError:
            found = []
        usable = found and n[4] and all(0 < found[j] <= j for j in (1, 2, 3))
        return found if usable else [0.0, 0.5, 1.0, 1.5]

    def probability(self, context: tuple[int, ...], word: int) -> float:
        n = len(context) + 1
        shorter = self.probability(context[1:], word) if context else 1 / VOCABULARY
        followers = {gram: count for gram, count in self.counts[n].items() if gram[:-1] == context}
        total = sum(followers.values())
        if total == 0:
            return shorter
        discount = [self.discounts[n][min(count, 3)] for count in followers.values()]
        count = followers.get((*context, word), 0)
        return (count - self.discounts[n][min(count, 3)]) / total + sum(discount) / total * shorter

    def log_probabilities(self, tokens: list[int]) -> list[float]:
        return [
            math.log(self.probability(tuple(words[max(0, end - self.order + 1) : end]), words[end]))
            for words in self.documents(tokens)
            for end in range(0 if self.boundary is None else 1, len(words))
        ]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("boundary", [BOUNDARY, None])
def test_matches_dictionaries(order: int, boundary: int | None) -> None:
    train, held_out = _stream(0, 120), _stream(1, 8)
    model = kneser_ney.KneserNey5.fit(train, VOCABULARY, order, boundary)
    plain = Dictionaries(train.tolist(), order, boundary)
    np.testing.assert_allclose([level.discounts for level in model.levels], plain.discounts[1:], rtol=1e-12)
    np.testing.assert_allclose(
        model.log_probabilities(held_out), plain.log_probabilities(held_out.tolist()), rtol=0, atol=1e-10
    )


def test_some_discounts_are_estimated() -> None:
    """Else the comparison above would see only the fallback."""
    model = kneser_ney.KneserNey5.fit(_stream(0, 120), VOCABULARY, 5, BOUNDARY)
    estimated = [not np.array_equal(level.discounts[1:], kneser_ney.FALLBACK_DISCOUNTS) for level in model.levels]
    assert sum(estimated) >= 2


@pytest.mark.parametrize(
    "context",
    [[], [0], [0, 1], [11], [0, 0, 0, 0], [0, 11, 0], [1, 0, 2, BOUNDARY], [1, 0, 2, BOUNDARY, 0, 1], [9, 8, 7, 6, 5]],
)
@pytest.mark.parametrize("boundary", [BOUNDARY, None])
def test_rows_sum_to_one(context: list[int], boundary: int | None) -> None:
    model = kneser_ney.KneserNey5.fit(_stream(0, 120), VOCABULARY, 5, boundary)
    ask = partial(np.array, dtype=np.uint16)
    # An opening boundary would be taken for the stream's own, so each row is asked for behind one more token.
    row = [model.log_probabilities(ask([5, BOUNDARY, *context, word]))[-1] for word in range(VOCABULARY)]
    assert math.isclose(np.exp(row).sum(), 1.0, rel_tol=0, abs_tol=1e-9)
    assert np.isfinite(row).all()


def test_nothing_reaches_across_a_boundary() -> None:
    model = kneser_ney.KneserNey5.fit(_stream(0, 120), VOCABULARY, 5, BOUNDARY)
    document = np.array([1, 0, 2, 0, BOUNDARY])
    alone = model.log_probabilities(document)
    behind = model.log_probabilities(np.concatenate([np.array([4, 4, BOUNDARY]), document]))
    np.testing.assert_array_equal(alone, behind[3:])
    opened = model.log_probabilities(np.concatenate([np.array([BOUNDARY]), document]))
    np.testing.assert_array_equal(alone, opened[1:])


def test_a_known_text_is_cheaper_than_a_shuffled_one() -> None:
    train = _stream(0, 120)
    model = kneser_ney.KneserNey5.fit(train, VOCABULARY, 5, BOUNDARY)
    shuffled = np.random.default_rng(0).permutation(train)
    assert model.log_probabilities(train).mean() > model.log_probabilities(shuffled).mean() + 0.1


def test_mistakes_are_named() -> None:
    with pytest.raises(LuthierError, match="vocabulary of 12"):
        kneser_ney.KneserNey5.fit(np.array([1, 12]), VOCABULARY)
    with pytest.raises(LuthierError, match="vocabulary of 12"):
        kneser_ney.KneserNey5.fit(np.array([1, 2]), VOCABULARY, 2, boundary=40)
    with pytest.raises(LuthierError, match="order 5"):
        kneser_ney.KneserNey5.fit(np.array([1, 2, BOUNDARY, 1, 2]), VOCABULARY, 5, BOUNDARY)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _stream(0, 120).tofile(tmp_path / "train.bin")
    held_out = _stream(1, 8)
    held_out.tofile(tmp_path / "novels.bin")
    text = b"a novel, a novel and a novel" * 20
    (tmp_path / "novels.txt").write_bytes(text)
    given = ["--train", f"{tmp_path}/train.bin", "--held-out", f"novels={tmp_path}/novels.bin:1000"]
    given += ["--xz", f"novels={tmp_path}/novels.txt", "--boundary", str(BOUNDARY), "--vocabulary", str(VOCABULARY)]
    assert kneser_ney.main(given) == 0
    report = json.loads(capsys.readouterr().out)
    model = kneser_ney.KneserNey5.fit(_stream(0, 120), VOCABULARY, 5, BOUNDARY)
    source = report["kneser_ney"]["sources"]["novels"]
    assert source["tokens"] == len(held_out)
    assert source["bits_per_byte"] == pytest.approx(-model.log_probabilities(held_out).sum() / math.log(2) / 1000)
    assert source["bits_per_byte_without_boundaries"] < source["bits_per_byte"]
    written = lzma.compress(text, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)
    assert report["xz"]["novels"] == 8 * len(written) / len(text)

    assert kneser_ney.main([*given[:-1], "5"]) == 2
    assert "vocabulary of 5" in capsys.readouterr().err
