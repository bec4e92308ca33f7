"""What an answer does that earns ROUGE without being good: saying things again and again, or handing back the source.

    repetition = 1 - distinct trigrams / trigrams of the answer
    copied     = trigrams of the answer that stand in the source / trigrams of the answer
    coverage   = sum over f of |f| / words of the answer        density = sum over f of |f|^2 / words of the answer
    unclipped_rouge1_precision = words of the answer that the reference has at all / words of the answer
    clipped_away = unclipped_rouge1_precision - ROUGE-1 precision

Repetition is seq-rep-n of Welleck et al. 2019, arXiv 1908.04319. Coverage and density are those of Grusky et al. 2018,
arXiv 1804.11283: f are the longest runs of words shared with the source, found greedily from the left.
ROUGE counts a word of the answer only as often as the reference has it (Lin 2004); `clipped_away` is what that took.

    "cold cold cold cold" against "It is cold outside.": unclipped 4/4, clipped 1/4, so .75 taken; repetition 1/2

`flags` says in words which answers look gamed. Its thresholds are ours: an answer is flagged where half of it repeats,
or half of its words were clipped away, or where nearly all of it (90%) is copied from the source and it is more than
twice as long as the reference: an extract of fitting length is a summary, and a copy of everything is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import ClassVar

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric
from luthier.metrics.rouge_tokens import rouge_tokens

REPEATED, CLIPPED, COPIED, LONGER = 0.5, 0.5, 0.9, 2.0
_N = 3


class Gaming(Metric):
    """Repetition, copying and what clipping took: signs that a text was made for ROUGE; lower is better.

    `gamed` is 1 where `flags` has something to say, so that its mean is the share of such answers. The source is the
    task's (`source`), or what was asked. Tokens are ROUGE's, not stemmed. `repetition` and `copied` are not given for
    fewer than three tokens, and nothing is for an answer or a reference without any.
    """

    name: ClassVar[str] = "gaming"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = (
        *("gamed", "repetition", "copied", "coverage", "density"),
        *("unclipped_rouge1_precision", "clipped_away", "length_ratio"),
    )
    higher_is_better: ClassVar[bool] = False
    of_quality: ClassVar[bool] = False

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        answer = rouge_tokens(prediction.text, stemmer=False)
        references = [tokens for text in example.references if (tokens := rouge_tokens(text, stemmer=False))]
        if not answer or not references:
            return {}
        source = rouge_tokens(example.source or example.messages[-1].content, stemmer=False)
        values = {
            **_trigrams(answer, source),
            **_fragments(answer, source),
            **_clipping(answer, references),
            "length_ratio": len(answer) / max(map(len, references)),
        }
        return {"gamed": float(bool(flags(values))), **values}

    def signature(self) -> str:
        thresholds = f"repeated:{REPEATED:g}|clipped:{CLIPPED:g}|copied:{COPIED:g}|longer:{LONGER:g}"
        return f"luthier gaming {self.version}|tokens:rouge-score {version('rouge-score')}|stemmer:none|{thresholds}"


def flags(values: Mapping[str, float]) -> tuple[str, ...]:
    """Why an answer looks made for ROUGE, in words; empty where it does not.

    Args:
        values: the measures of `Gaming` for it.
    """
    found = []
    repetition, clipped = values.get("repetition", 0.0), values.get("clipped_away", 0.0)
    if repetition >= REPEATED or clipped >= CLIPPED:
        found.append(
            f"repetition: {repetition:.0%} of its trigrams repeat an earlier one, and clipping takes "
            f"{clipped:.2f} of its ROUGE-1 precision"
        )
    copied, longer = values.get("copied", 0.0), values.get("length_ratio", 0.0)
    if copied >= COPIED and longer > LONGER:
        found.append(
            f"copying: {copied:.0%} of its trigrams stand in the source, and it is {longer:.1f} times as long as the "
            "reference"
        )
    return tuple(found)


def _trigrams(answer: Sequence[str], source: Sequence[str]) -> dict[str, float]:
    grams, there = _ngrams(answer), set(_ngrams(source))
    if not grams:
        return {}
    return {
        "repetition": 1 - len(set(grams)) / len(grams),
        "copied": sum(gram in there for gram in grams) / len(grams),
    }


def _ngrams(tokens: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(tokens[place : place + _N]) for place in range(len(tokens) - _N + 1)]


def _fragments(answer: Sequence[str], source: Sequence[str]) -> dict[str, float]:
    """Coverage and density: from each word on the longest run that the source has too, then from the word after it."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(source):
        places.setdefault(word, []).append(place)
    lengths, at = [], 0
    while at < len(answer):
        longest = max((_shared(answer, at, source, place) for place in places.get(answer[at], ())), default=0)
        lengths.append(longest)
        at += max(1, longest)
    return {
        "coverage": sum(lengths) / len(answer),
        "density": sum(length**2 for length in lengths) / len(answer),
    }


def _shared(answer: Sequence[str], at: int, source: Sequence[str], place: int) -> int:
    """How many words from these two places on are the same."""
    length = 0
    while at + length < len(answer) and place + length < len(source) and answer[at + length] == source[place + length]:
        length += 1
    return length


def _clipping(answer: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Unclipped precision and what clipping takes of it, against the reference that leaves the most after clipping."""
    counts = Counter(answer)
    clipped, unclipped = max(
        ((counts & Counter(words)).total(), sum(counts[word] for word in set(words))) for words in references
    )
    return {
        "unclipped_rouge1_precision": unclipped / len(answer),
        "clipped_away": (unclipped - clipped) / len(answer),
    }
