"""ROUGE and BLEU over generated pairs: equal to rouge-score and sacrebleu called plainly, and to a count by hand.

Our classes call these packages, so what could differ is what we do around them: how sentences are told apart (Lsum),
several references, texts that are empty, foreign, very long or one word again and again. By design two things are ours:

- rougeLsum puts a line's end after `.`, `!` or `?` before white space; the package reads lines alone.
- Where no reference has a token (`[a-z0-9]`), ROUGE is not taken; the package gives 0.

The counts by hand share no code with either: they see to it that the packages' own figures are what the papers define.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Sequence

import pytest

from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics.bleu import Bleu
from luthier.metrics.rouge import TYPES, Rouge

Pair = tuple[str, tuple[str, ...]]
"""A text and its references."""

PLAIN = (
    "the a of to police killed killing kill gunman cat cats sat running runs generously relational hopping Monday It's"
)
ODD = 'U.S.A. 3.50 1,000 e-mail end. end! really? (so) "quoted" x'
ABROAD = "café naïve Ünïcode 外は寒い 日本 привет שלום مرحبا e\u0301te \U0001f600 \u200d ß İstanbul ²"
WORDS, FOREIGN = [*PLAIN.split(), *ODD.split()], ABROAD.split()
SPACES = (" ", " ", " ", " ", "  ", "\n", "\t", "\u00a0")


def pairs(count: int, seed: int = 0) -> list[Pair]:
    """So many pairs; every kind that is named above comes again and again."""
    random_ = random.Random(seed)
    made: list[Pair] = []
    for number in range(count):
        kind = number % 10
        references = tuple(text(random_, WORDS, 1, 14) for _ in range(1 + (number % 3 == 0) + (number % 9 == 0)))
        if kind == 0:
            answer = random_.choice(["", " ", "\n", "...", "。", "\u0000"])
        elif kind == 1:
            answer = text(random_, FOREIGN + WORDS[:6], 1, 10)
            references = (text(random_, FOREIGN + WORDS[:3], 1, 8), *references[1:])
        elif kind == 2:
            answer = " ".join([text(random_, WORDS, 1, 2)] * random_.randint(2, 12))
        elif kind == 3:
            references = (random_.choice(["", " ", "...", "外は寒い"]), *references[1:])
            answer = text(random_, WORDS, 0, 8)
        elif kind == 4:
            answer = references[0]
        elif kind == 5 and number % 100 == 5:
            longest = 3_000 if number % 1_000 == 5 else 300
            answer = text(random_, WORDS, longest // 2, longest)
        else:
            answer = text(random_, WORDS, 0, 14)
        made.append((answer, references))
    return made


def text(random_: random.Random, words: Sequence[str], least: int, most: int) -> str:
    return "".join(random_.choice(words) + random_.choice(SPACES) for _ in range(random_.randint(least, most)))


def of(pair: Pair, name: str = "0") -> tuple[TextPrediction, Example]:
    return TextPrediction(name, pair[0]), Example(name, (Message("user", "?"),), pair[1])


COUNTS = [pytest.param(400, id="400"), pytest.param(10_000, id="10000", marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("stemmer", [True, False])
def test_rouge_is_rouge_scores(count: int, stemmer: bool) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    plain = RougeScorer([kind for kind in TYPES if kind != "rougeLsum"], use_stemmer=stemmer)
    by_line = RougeScorer(["rougeLsum"], use_stemmer=stemmer)
    unscored = 0
    for pair in pairs(count, seed=1 + stemmer):
        answer, references = pair
        ours = Rouge(stemmer=stemmer).score(*of(pair))
        held = [reference for reference in references if re.search("[a-z0-9]", reference.lower())]
        if not held:
            assert ours == {}
            unscored += 1
            continue
        theirs = [
            plain.score(reference, answer) | by_line.score(in_lines(reference), in_lines(answer)) for reference in held
        ]
        for kind in TYPES:
            best = max((of_one[kind] for of_one in theirs), key=lambda found: found.fmeasure)
            assert ours[kind] == best.fmeasure, pair
            assert ours[f"{kind}_precision"] == best.precision and ours[f"{kind}_recall"] == best.recall, pair
    assert 0.02 * count < unscored < 0.2 * count


def in_lines(text: str) -> str:
    """A sentence a line, by stepping through the text."""
    lines = ""
    for place, sign in enumerate(text):
        before = lines.rstrip()[-1:] if lines.strip() else ""
        if sign.isspace() and before in (".", "!", "?"):
            lines = lines if lines[-1:] == "\n" and text[place - 1].isspace() else lines + "\n"
        else:
            lines += sign
    return lines


@pytest.mark.parametrize("count", COUNTS)
def test_rouge_by_hand(count: int) -> None:
    """Tokens, clipped n-grams and the longest common subsequence, from their definitions; no stemming."""
    for pair in pairs(count, seed=3):
        ours = Rouge(stemmer=False).score(*of(pair))
        answer, held = tokens(pair[0]), [found for one in pair[1] if (found := tokens(one))]
        if not held:
            assert ours == {}
            continue
        for kind, shared in (("rouge1", bag(1)), ("rouge2", bag(2)), ("rougeL", in_order)):
            sides = [shared(answer, reference) for reference in held]
            best = max(f1(*found) for found in sides)
            assert ours[kind] == pytest.approx(best, abs=1e-12), (kind, pair)
            given = ours[f"{kind}_precision"], ours[f"{kind}_recall"]
            assert any(given == pytest.approx(found, abs=1e-12) for found in sides if f1(*found) >= best - 1e-12)


def tokens(text: str) -> list[str]:
    return "".join(sign if sign in "abcdefghijklmnopqrstuvwxyz0123456789" else " " for sign in text.lower()).split()


def f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def bag(n: int):
    def shared(answer: list[str], reference: list[str]) -> tuple[float, float]:
        said = [tuple(answer[i : i + n]) for i in range(len(answer) - n + 1)]
        left = [tuple(reference[i : i + n]) for i in range(len(reference) - n + 1)]
        there = len(left)
        matched = 0
        for gram in said:
            if gram in left:
                left.remove(gram)
                matched += 1
        return (matched / len(said) if said else 0.0), (matched / there if there else 0.0)

    return shared


def in_order(answer: list[str], reference: list[str]) -> tuple[float, float]:
    """The longest common subsequence by patience: the longest rising run of places (Hunt and Szymanski 1977)."""
    from bisect import bisect_left

    places: dict[str, list[int]] = {}
    for place, word in enumerate(reference):
        places.setdefault(word, []).insert(0, place)
    ends: list[int] = []
    for word in answer:
        for place in places.get(word, ()):
            ends[bisect_left(ends, place) : bisect_left(ends, place) + 1] = [place]
    return (len(ends) / len(answer) if answer else 0.0), len(ends) / len(reference)


@pytest.mark.parametrize("count", COUNTS)
def test_bleu_is_sacrebleus(count: int) -> None:
    import sacrebleu

    made = pairs(count, seed=4)
    for answer, references in made:
        theirs = sacrebleu.sentence_bleu(answer, list(references), use_effective_order=True)
        assert Bleu().score(*of((answer, references)))["bleu"] == theirs.score / 100, (answer, references)
    for start in range(0, count, 100):
        part = [of(pair, str(row)) for row, pair in enumerate(made[start : start + 100])]
        ours = Bleu().corpus([prediction for prediction, _ in part], [example for _, example in part])
        most = max(len(example.references) for _, example in part)
        streams = [[(*example.references, None, None, None)[row] for _, example in part] for row in range(most)]
        theirs = sacrebleu.corpus_bleu([prediction.text for prediction, _ in part], streams, force=True)
        assert ours["corpus_bleu"] == theirs.score / 100


@pytest.mark.parametrize("count", COUNTS)
def test_bleu_by_hand(count: int) -> None:
    """Papineni et al. 2002, words split at white space; an order without a match is smoothed by halves."""
    for pair in pairs(count, seed=5):
        ours = Bleu(tokenize="none").score(*of(pair))["bleu"]
        assert ours == pytest.approx(bleu(pair[0].split(), [one.split() for one in pair[1]]), abs=1e-12), pair


def bleu(answer: list[str], references: list[list[str]]) -> float:
    if not answer:
        return 0.0
    logs, halves = [], 1.0
    for n in range(1, min(4, len(answer)) + 1):
        said = Counter(tuple(answer[i : i + n]) for i in range(len(answer) - n + 1))
        allowed: Counter[tuple[str, ...]] = Counter()
        for words in references:
            allowed |= Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        matched = sum(min(count, allowed[gram]) for gram, count in said.items())
        if n == 1 and not matched:
            return 0.0
        if not matched:
            halves /= 2
        logs.append(math.log((matched or halves) / said.total()))
    closest = min((abs(len(words) - len(answer)), len(words)) for words in references)[1]
    return math.exp(min(0.0, 1 - closest / len(answer)) + sum(logs) / len(logs))
