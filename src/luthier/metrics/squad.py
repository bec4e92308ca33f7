"""SQuAD's way of comparing short answers: normalise, split into words, count what is shared.

Rajpurkar et al., arXiv 1606.05250, section 6.1: punctuation and the articles a, an, the are ignored.
"""

from __future__ import annotations

import re
import string
from collections import Counter

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(text: str) -> list[str]:
    """Lower case, ASCII punctuation and English articles removed, split at white space: "The U.S.A." gives `["usa"]`.

    Where that would leave nothing, what was to be removed is kept: SQuAD's own script holds the answers "A", "the" and
    "-" for equal to each other and to an empty text.
    """
    bare = text.lower().translate(_PUNCTUATION)
    return _ARTICLES.sub(" ", bare).split() or bare.split() or text.lower().split()


def overlap_f1(prediction: Counter[str], reference: Counter[str]) -> float:
    """F1 of two bags of words, each word counted as often as both have it.

    Where either is empty it is 1 if both are, else 0 (Rajpurkar et al., arXiv 1806.03822, for unanswerable questions).
    """
    if not prediction or not reference:
        return float(prediction == reference)
    shared = sum((prediction & reference).values())
    return 2 * shared / (prediction.total() + reference.total())
