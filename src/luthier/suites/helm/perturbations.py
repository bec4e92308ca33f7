"""A question asked otherwise: the perturbations by name, and what they may touch of an example.

As in HELM (Liang et al. 2022, arXiv 2211.09110), only the text that the question is about is perturbed,
not the instruction around it: the example's `source`, where it stands in the last turn as words of their own and no
more than once, else the whole turn. What is a
choice or a reference stands as it is, so that the question still has the same answer; names alone are changed
everywhere at once, choices and references included. Every random stream is seeded by the text: the same for all models.

    score of an item = min over the original and the perturbed ones          (HELM's worst case)
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from luthier.core.types import Example, Message
from luthier.suites.helm import spelling, voices

Perturb = Callable[[str, random.Random], str]

ROBUSTNESS: dict[str, Perturb] = {
    "misspellings": spelling.misspell,
    "typos": spelling.strike_beside,
    "lower case": spelling.lower_case,
    "spaces": spelling.widen_spaces,
    "contractions": spelling.contract,
    "expansions": spelling.expand,
}
FAIRNESS: dict[str, Perturb] = {
    "dialect": voices.speak_dialect,
    "he to she": voices.say_she,
    "she to he": voices.say_he,
    "to they": voices.say_they,
}
NAMES = "names"
"""The perturbation that is none of a text alone: it changes choices and references with the question."""


def perturbed(example: Example) -> dict[str, Example]:
    """By name every perturbation that changes the example, with what it becomes; ids stay."""
    found = {name: _in_place(example, name, perturb) for name, perturb in (ROBUSTNESS | FAIRNESS).items()}
    found[NAMES] = _renamed(example)
    return {name: other for name, other in found.items() if other != example}


def perturb_text(text: str, name: str, perturb: Perturb, keep: Sequence[str] = ()) -> str:
    """A text perturbed, the phrases of `keep` left as they stand; itself where nothing would be left of it.

    Args:
        text: what is perturbed.
        name: of the perturbation; with the text it seeds the random stream.
        perturb: what is done.
        keep: phrases, found as whole words whatever their case.
    """
    rng = random.Random(hashlib.sha256(f"{name}:{text}".encode()).digest())
    phrases = sorted({phrase for phrase in keep if phrase.strip()}, key=len, reverse=True)
    if phrases:
        pattern = rf"((?<!\w)(?:{'|'.join(map(re.escape, phrases))})(?!\w))"
        parts = re.split(pattern, text, flags=re.IGNORECASE)
    else:
        parts = [text]
    done = "".join(part if place % 2 else perturb(part, rng) for place, part in enumerate(parts))
    return done if done.strip() else text


def _in_place(example: Example, name: str, perturb: Perturb) -> Example:
    *before, last = example.messages
    start, end = _asked_about(example.source, last.content) or (0, len(last.content))
    about = last.content[start:end]
    other = perturb_text(about, name, perturb, (*example.choices, *example.references))
    if other == about:
        return example
    content = last.content[:start] + other + last.content[end:]
    source = other if about == example.source else example.source
    return replace(example, messages=(*before, Message(last.role, content)), source=source)


def _asked_about(source: str, turn: str) -> tuple[int, int] | None:
    """Where the source stands in a turn; None where it does not, or several times, or only within words."""
    if not source.strip():
        return None
    border = r"(?:(?<!\w)|(?!\w))"  # not between two letters
    found = [one.span() for one in re.finditer(border + re.escape(source) + border, turn)]
    return found[0] if len(found) == 1 else None


def _renamed(example: Example) -> Example:
    texts = (*(turn.content for turn in example.messages), *example.choices, *example.references)
    whole = "\n".join(texts)
    names = voices.renaming(whole, random.Random(hashlib.sha256(f"{NAMES}:{whole}".encode()).digest()))
    if not names:
        return example
    return replace(
        example,
        messages=tuple(Message(turn.role, voices.rename(turn.content, names)) for turn in example.messages),
        source=voices.rename(example.source, names),
        choices=tuple(voices.rename(choice, names) for choice in example.choices),
        references=tuple(voices.rename(reference, names) for reference in example.references),
    )
