"""Short passages of facts and a yes/no question on each, written by code: can a model still read after tuning?

One row (`yes_no(0)["test"][2]`):

    Rupert is stronger than Titilayo. Jukka is stronger than Rupert.
    Is Titilayo weaker than Jukka?

    answer: yes, kind: chain

Every kind of question is answered with yes as often as with no; most kinds need two facts (`yes_no_facts.py`).
"""

from __future__ import annotations

import random
from typing import Any

from luthier.core.types import Split
from luthier.tasks.generated.grammar import write_rows
from luthier.tasks.generated.yes_no_facts import KINDS

ANSWERS = ("yes", "no")
_ASIDES = (
    "It rained all day.", "The market was busy.", "Lunch was late.", "The church bell rang at noon.",
    "A dog barked across the street.", "The newspaper lay unread on the table.", "Nobody had slept much.",
    "The windows stood open.", "A cold wind blew from the hills.", "The clock in the corridor had stopped.",
    "Somebody was baking bread.", "It was the first warm day of the year.", "The street lamps were lit early.",
    "Snow lay on the roofs.", "The kettle was on.", "Two children played by the fountain.",
    "The radio was playing an old song.", "The post had not come yet.", "All this happened years ago.",
    "The garden smelt of rain.",
)  # fmt: skip


def yes_no(
    seed: int = 0, *, train: int = 400, validation: int = 50, test: int = 200
) -> dict[Split, list[dict[str, Any]]]:
    """Write the rows of the three splits; the same seed gives the same rows on every machine.

    Returns:
        For each split its rows, no passage twice. A row has `id`, `passage`, `question`, `answer` (one of `ANSWERS`,
        half of the rows each), `kind` (one of `KINDS`), and `facts` and `asks`, passage and question as plain lists.
    """
    counts: dict[Split, int] = {"train": train, "validation": validation, "test": test}
    return write_rows("yes_no", seed, counts, _row, key=("passage", "facts"))


def _row(rng: random.Random, number: int) -> dict[str, Any]:
    answer, kind = ANSWERS[number % 2], tuple(KINDS)[number // 2 % len(KINDS)]
    matter = KINDS[kind](rng, answer == "yes")
    sentences = list(matter.sentences)
    if not matter.ordered:
        rng.shuffle(sentences)
    if rng.random() < 0.4:
        sentences.insert(rng.choice((0, len(sentences))), rng.choice(_ASIDES))
    return {
        "passage": " ".join(sentences),
        "question": matter.question,
        "answer": answer,
        "kind": kind,
        "facts": matter.facts,
        "asks": matter.asks,
    }
