"""Short texts and the people and places in them, written by code: does a model still pick out names after tuning?

One row (`entities(0)["test"][1]`):

    The printer Aino Salokangas came to Zaborów aboard the Grey Heron.

    Aino Salokangas, Zaborów

Names are made up in the manner of twelve languages. Days, months, languages, ships and newspapers stand in the texts
with capitals too, and are not wanted.
"""

from __future__ import annotations

import random
import re
from typing import Any

from luthier.core.types import Split
from luthier.tasks.generated.grammar import Grammar, write_rows
from luthier.tasks.generated.names import person, place

# {p1} is a person, {g1} one called by the first name alone, {l1} a place; the rest are lists below.
_LINES = (
    "{p1} moved to {l1} last {month}.",
    "On {day} the {trade} {p1} opened a {shop} in {l1}.",
    "{g1} wrote a long letter from {l1} to {g2}.",
    "The road from {l1} to {l2} was closed on {day}.",
    "According to the {paper}, {p1} has been elected mayor of {l1}.",
    "{p1} and {p2} met at a {trade}s' fair in {l1}.",
    "Born in {l1}, {p1} became a {trade} at the age of thirty.",
    "A parcel for {p1} lay at the post office in {l1} until {day}.",
    "{g1} learned {tongue} from a {trade} named {p1}.",
    "The ferry {ship} sails from {l1} to {l2} every {day}.",
    "Nobody in {l1} had seen {g1} since {month}.",
    "The {shop} in {l1} belongs to {p1}, a {trade} who speaks {tongue}.",
    "In {month}, {g1} cycled from {l1} to {l2} and back.",
    "{p1} plays the violin; {p2}, who lives in {l1}, plays the cello.",
    "The {paper} printed a poem by {p1} on {day}.",
    "Every {day} a bus takes the pupils of {l1} to the school in {l2}.",
    "It rained in {l1} all through {month}.",
    "{g1} sold the old {shop} to {p1}.",
    "The {trade} {p1} came to {l1} aboard the {ship}.",
    "After the storm, {g1} and {g2} repaired the bridge at {l1}.",
    "When {p1} retired, {p2} took over the {shop}.",
    "Between {l1} and {l2} there is nothing but forest, says {p1}.",
    "Three {trade}s from {l1} won the prize of the {paper} in {month}.",
    "The {tongue} lessons are given by {p1} on {day} evenings.",
    "Why did {g1} leave {l1} in such a hurry?",
    "{l1} and {l2} share one {shop}, which {p1} runs.",
    "Ask {p1} about the {ship}, which sank off {l1} in {month}.",
    "The concert in {l1} was conducted by {p1} and reviewed in the {paper}.",
    "Neither {g1} nor {g2} has ever been to {l1}.",
    "{p1}'s house in {l1} was sold to a {trade} from abroad.",
)
_FILLERS = (
    "It was a cold {day} in {month}.",
    "The {paper} had a whole page about it.",
    "Nobody spoke {tongue}.",
    "The {ship} was late again.",
    "A {trade} was the first to hear of it.",
    "The {shop} stayed shut all {day}.",
)
_LISTS: dict[str, tuple[str, ...]] = {
    "month": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
              "November", "December"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "trade": ("baker", "doctor", "painter", "teacher", "carpenter", "lawyer", "gardener", "tailor", "potter", "sailor",
              "weaver", "engineer", "printer", "beekeeper", "singer", "farmer", "pharmacist", "blacksmith"),
    "shop": ("bookshop", "bakery", "inn", "clinic", "mill", "pharmacy", "workshop", "tea room", "garage", "dairy",
             "print shop", "boatyard", "theatre", "nursery"),
    "paper": ("Morning Bell", "Evening Lantern", "Weekly Compass", "Daily Sparrow", "Northern Courier",
              "Harbour Gazette", "Sunday Chronicle", "Market Herald"),
    "ship": ("Aurora", "Grey Heron", "Morning Star", "Albatross", "Silver Wave", "Good Hope", "Swallow", "North Wind"),
    "tongue": ("Dutch", "Greek", "Latin", "Arabic", "Danish", "Welsh", "Hebrew", "Korean", "Russian", "Persian"),
}  # fmt: skip
_NAME = re.compile(r"\{([pgl])(\d)\}")


def entities(
    seed: int = 0, *, train: int = 400, validation: int = 50, test: int = 200
) -> dict[Split, list[dict[str, Any]]]:
    """Write the rows of the three splits; the same seed gives the same rows on every machine.

    Returns:
        For each split its rows, no text and no list of names twice. A row has `id`, `text` (one to three sentences),
        `names` (a list of name and kind, `person` or `place`, in the order of the text) and `answer` (the names, each
        followed by a comma and a space but the last).
    """
    counts: dict[Split, int] = {"train": train, "validation": validation, "test": test}
    return write_rows("entities", seed, counts, _row, key=("text", "answer"))


def _row(rng: random.Random, number: int) -> dict[str, Any]:
    lines = rng.sample(_LINES, 2 if rng.random() < 0.4 else 1)
    template = " ".join(line.replace("1}", f"{at}1}}").replace("2}", f"{at}2}}") for at, line in enumerate(lines))
    template = re.sub(r"\{([pgl])(\d)(\d)\}", lambda slot: f"{{{slot[1]}{int(slot[2]) * 2 + int(slot[3])}}}", template)
    names = _names(template, rng)
    if rng.random() < 0.3:
        filler = rng.choice(_FILLERS)
        template = f"{filler} {template}" if rng.random() < 0.5 else f"{template} {filler}"
    text = Grammar(_LISTS, rng).write(_NAME.sub(lambda slot: names[slot[0]][0], template))
    return {
        "text": text,
        "names": [list(name) for name in names.values()],
        "answer": ", ".join(name for name, _ in names.values()),
    }


def _names(template: str, rng: random.Random) -> dict[str, tuple[str, str]]:
    """slot -> (name, kind) in the order of the template; no two share a word, so that none is part of another."""
    found: dict[str, tuple[str, str]] = {}
    words: set[str] = set()
    for slot in _NAME.finditer(template):
        while True:
            name = place(rng) if slot[1] == "l" else person(rng, surname=slot[1] == "p")
            if not words & set(name.split()):
                break
        words.update(name.split())
        found[slot[0]] = (name, "place" if slot[1] == "l" else "person")
    return found
