"""Short reviews with their sentiment, written by code: does a model still tell praise from blame after tuning?

One row (`sentiment(0)["test"][2]`):

    Our group came from five countries. I had expected the scenery to be monotonous, and it turned out breathtaking.

    label: positive, kind: mixed

Of ten rows, five say what they mean, two deny the opposite ("far from dull"), and in three the second clause decides
against the first. Every sentence serves both verdicts, so no word of it gives the label away (`sentiment_lines.py`).
"""

from __future__ import annotations

import random
from typing import Any

from luthier.core.types import Split
from luthier.tasks.generated import sentiment_lines as lines
from luthier.tasks.generated.grammar import Grammar, write_rows
from luthier.tasks.generated.sentiment_words import DOMAINS, Aspect, Domain

LABELS = ("positive", "negative")
_KINDS = {"direct": lines.DIRECT, "negated": lines.NEGATED, "mixed": lines.MIXED}
_SHARES = ("direct", "mixed", "direct", "negated", "direct", "mixed", "direct", "negated", "direct", "mixed")


def sentiment(
    seed: int = 0, *, train: int = 400, validation: int = 50, test: int = 200
) -> dict[Split, list[dict[str, Any]]]:
    """Write the rows of the three splits; the same seed gives the same rows on every machine.

    Returns:
        For each split its rows, no review twice. A row has `id`, `review`, `label` (one of `LABELS`, half of the rows
        each) and `kind` (`direct`, `negated` or `mixed`).
    """
    counts: dict[Split, int] = {"train": train, "validation": validation, "test": test}
    return write_rows("sentiment", seed, counts, _row, key=("review",))


def _row(rng: random.Random, number: int) -> dict[str, Any]:
    label, kind = LABELS[number % 2], _SHARES[number // 2 % len(_SHARES)]
    domain = rng.choice(DOMAINS)
    grammar = Grammar(_words(domain, label, rng), rng)
    sentences = [rng.choice(_KINDS[kind])]
    if rng.random() < 0.5:
        sentences.insert(0, rng.choice(domain.openers))
    if rng.random() < 0.3:
        sentences.append(rng.choice(lines.TAILS[label]))
    return {"review": grammar.write(_numbered(" ".join(sentences))), "label": label, "kind": kind}


def _words(domain: Domain, label: str, rng: random.Random) -> dict[str, tuple[str, ...]]:
    """The words for every slot of the sentences, about two aspects of one thing."""
    found: dict[str, tuple[str, ...]] = {
        "thing": (rng.choice(domain.things),),
        "again": (domain.again,),
        "relative": lines.RELATIVES,
        "comparative_same": ("better" if label == "positive" else "worse",),
        "comparative_other": ("worse" if label == "positive" else "better",),
    }
    for letter, aspect in zip("ab", rng.sample(domain.aspects, 2), strict=True):
        found |= {f"{key}_{letter}": words for key, words in _about(aspect, label).items()}
    return found


def _about(aspect: Aspect, label: str) -> dict[str, tuple[str, ...]]:
    plural = aspect.noun.endswith("s") or aspect.noun in ("staff", "crew")
    same, other = (aspect.good, aspect.bad) if label == "positive" else (aspect.bad, aspect.good)
    return {
        "aspect": (aspect.noun,),
        "same": same,
        "other": other,
        "was": ("were" if plural else "was",),
        "is": ("are" if plural else "is",),
        "they": ("they" if plural else "it",),
        "them": ("them" if plural else "it",),
    }


def _numbered(template: str) -> str:
    """`{was1}` is the slot `was_a`, `{was2}` the slot `was_b`."""
    return template.replace("1}", "_a}").replace("2}", "_b}")
