"""Short paragraphs of plain English, written by code: what a model should still find as likely after tuning as before.

`documents(1)`:

    For most of March the weather could not make up its mind. On Thursday morning the sky above the reservoir was
    mustard yellow, and the willows hardly moved. By noon a damp wind had come up from the north, and the rooks flew
    low over the library. The first drops fell shortly before dusk, fine as dust. Meera pulled the garden chairs
    under the roof and waited by the door. Afterwards the air smelt of wood smoke, and mist rose from the lane.
    Hardly anybody was surprised when it began once more on Wednesday.

Twelve everyday subjects. No dialogue and no support chat, so it is far from `support_desk`. Measured in bits per byte,
before and after, it shows what tuning took from the model's general English.
"""

from __future__ import annotations

import random

from luthier.tasks.generated.grammar import Grammar
from luthier.tasks.generated.names import place
from luthier.tasks.generated.prose_indoors import INDOORS
from luthier.tasks.generated.prose_outdoors import OUTDOORS, Subject
from luthier.tasks.generated.prose_words import WORDS

LENGTH = (60, 120)
"""The fewest and the most words of a document."""
SHARED = 0.5
"""No two documents have more than this part of the shorter one's runs of five words in common."""
_SUBJECTS = tuple(subject for pair in zip(OUTDOORS, INDOORS, strict=True) for subject in pair)


def documents(count: int, seed: int = 0) -> list[str]:
    """Paragraphs of 60 to 120 words, the subjects taking turns.

    The same seed gives the same documents on every machine, and more documents begin with the same ones.

    Args:
        count: how many.
        seed: which ones.
    """
    written: list[str] = []
    runs: list[set[tuple[str, ...]]] = []
    for number in range(count):
        rng = random.Random(f"prose:{seed}:{number}")
        while True:
            text = _document(_SUBJECTS[number % len(_SUBJECTS)], rng)
            own = _runs_of_five(text)
            if LENGTH[0] <= len(text.split()) <= LENGTH[1] and all(_apart(own, other) for other in runs):
                break
        written.append(text)
        runs.append(own)
    return written


def _document(subject: Subject, rng: random.Random) -> str:
    villages = tuple(place(rng) for _ in range(6))
    grammar = Grammar({**WORDS, "village": villages}, rng)
    middles = sorted(rng.sample(range(len(subject.middles)), rng.choice((4, 4, 5))))
    sentences = [rng.choice(subject.openings), *(subject.middles[at] for at in middles), rng.choice(subject.endings)]
    return " ".join(grammar.write(sentence) for sentence in sentences)


def _runs_of_five(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


def _apart(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> bool:
    return len(one & other) <= SHARED * min(len(one), len(other))
