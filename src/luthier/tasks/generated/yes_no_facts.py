"""What the passages of yes/no questions say: each kind draws facts, and asks what they settle.

["Marta", "age", 34], ["Jonas", "age", 29]: "Is Jonas older than Marta?" No.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from luthier.tasks.generated.names import FIRST_NAMES


class Matter(NamedTuple):
    """A passage's facts and its question.

    Attributes:
        sentences: what the passage says.
        question: what is asked.
        facts: the same in plain lists.
        asks: the question in a plain list.
        ordered: whether the order of the sentences matters.
    """

    sentences: tuple[str, ...]
    question: str
    facts: list[list[Any]]
    asks: list[Any]
    ordered: bool = False


class _Scale(NamedTuple):
    """Something to be compared: how it is stated, how it is asked for more and for less, and its range."""

    states: tuple[str, ...]
    more: str
    less: str
    bounds: tuple[int, int]


# {x} and {y} are people (or things), {n} a number.
_SCALES: dict[str, _Scale] = {
    "age": _Scale(("{x} is {n} years old.", "{x} turned {n} last week."), "Is {x} older than {y}?",
                  "Is {x} younger than {y}?", (18, 90)),
    "miles": _Scale(("{x} lives {n} miles from the coast.", "From {x}'s house it is {n} miles to the coast."),
                    "Does {x} live farther from the coast than {y}?", "Does {x} live nearer to the coast than {y}?",
                    (2, 70)),
    "apples": _Scale(("{x} picked {n} apples.", "{n} apples were picked by {x}."), "Did {x} pick more apples than {y}?",
                     "Did {x} pick fewer apples than {y}?", (5, 60)),
    "hour": _Scale(("{x} left the party at {n} in the evening.", "At {n} in the evening, {x} went home."),
                   "Did {x} leave later than {y}?", "Did {x} leave earlier than {y}?", (6, 11)),
    "pages": _Scale(("{x} wrote {n} pages.", "The letter by {x} runs to {n} pages."), "Did {x} write more than {y}?",
                    "Did {x} write less than {y}?", (2, 40)),
    "dollars": _Scale(("{x} paid {n} dollars for the ticket.", "{x}'s ticket was {n} dollars."),
                      "Was {x}'s ticket more expensive than {y}'s?", "Was {x}'s ticket cheaper than {y}'s?", (8, 95)),
    "minutes": _Scale(("{x} needed {n} minutes for the race.", "It took {x} {n} minutes to finish the race."),
                      "Was {x} slower in the race than {y}?", "Was {x} faster in the race than {y}?", (21, 75)),
    "kilos": _Scale(("{x}'s suitcase weighs {n} kilos.", "{x} carries a suitcase of {n} kilos."),
                    "Is {x}'s suitcase heavier than {y}'s?", "Is {x}'s suitcase lighter than {y}'s?", (6, 30)),
}  # fmt: skip
_CHAINS = (
    ("taller", "shorter"), ("older", "younger"), ("stronger", "weaker"), ("faster", "slower"), ("richer", "poorer"),
    ("louder", "quieter"), ("busier", "idler"), ("heavier", "lighter"),
)  # fmt: skip
# How a fact is stated, asked, and what it can be.
_LOOKUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("{x} drinks {v} at breakfast.", "Does {x} drink {v} at breakfast?", ("tea", "coffee", "milk", "cocoa", "water")),
    ("{x} has a {v} bicycle.", "Is {x}'s bicycle {v}?", ("red", "blue", "green", "black", "white", "yellow")),
    ("{x} keeps a {v}.", "Does {x} keep a {v}?", ("goat", "parrot", "cat", "tortoise", "donkey", "rabbit")),
    ("{x} works as a {v}.", "Is {x} a {v}?", ("baker", "nurse", "painter", "lawyer", "plumber", "tailor")),
    ("{x} plays the {v}.", "Does {x} play the {v}?", ("flute", "cello", "piano", "trumpet", "harp", "drum")),
    ("{x} comes on {v}s.", "Does {x} come on {v}s?", ("Monday", "Tuesday", "Friday", "Saturday", "Sunday")),
    ("{x} grows {v}.", "Does {x} grow {v}?", ("beans", "roses", "leeks", "tulips", "melons", "herbs")),
    ("{x} collects {v}.", "Does {x} collect {v}?", ("stamps", "clocks", "shells", "maps", "masks", "spoons")),
)
# Does it, does it not, is it so.
_DEEDS: tuple[tuple[str, str, str], ...] = (
    ("can swim", "cannot swim", "swim"), ("can drive", "cannot drive", "drive"), ("can sing", "cannot sing", "sing"),
    ("can ski", "cannot ski", "ski"), ("can cook", "cannot cook", "cook"), ("can sew", "cannot sew", "sew"),
    ("can type", "cannot type", "type"), ("can ride", "cannot ride", "ride"), ("can dance", "cannot dance", "dance"),
    ("can whistle", "cannot whistle", "whistle"), ("can juggle", "cannot juggle", "juggle"),
)  # fmt: skip
_GROUPS = ("cousins", "singers", "neighbours", "pupils", "sailors", "drummers", "dancers", "nurses", "gardeners")
_ACTS = (
    ("came by train", "come by train"), ("stayed for supper", "stay for supper"), ("wore a hat", "wear a hat"),
    ("brought a gift", "bring a gift"), ("signed the letter", "sign the letter"),
    ("went to the fair", "go to the fair"),
    ("saw the comet", "see the comet"), ("caught a cold", "catch a cold"), ("paid for lunch", "pay for lunch"),
)  # fmt: skip
_THINGS = ("key", "letter", "ring", "coin", "map", "torch", "whistle", "stamp", "photograph", "compass", "button")
_HOLDERS = ("box", "tin", "drawer", "bag", "basket", "jar", "chest", "trunk", "case", "purse")
_ROOMS = ("kitchen", "cellar", "attic", "barn", "hall", "study", "garage", "shed", "pantry", "workshop")
_MOVABLE = ("ladder", "piano", "bench", "wheelbarrow", "stove", "globe", "mirror", "rocking chair", "loom", "telescope")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def compare(rng: random.Random, wanted: bool) -> Matter:
    """Two of three numbers are compared."""
    name = rng.choice(tuple(_SCALES))
    scale, people = _SCALES[name], rng.sample(FIRST_NAMES, 3)
    numbers = rng.sample(range(scale.bounds[0], scale.bounds[1] + 1), 3)
    facts: list[list[Any]] = [[person, name, number] for person, number in zip(people, numbers, strict=True)]
    (first, _, high), (second, _, low) = rng.sample(facts, 2)
    more = rng.random() < 0.5
    if (high > low) != (more == wanted):
        first, second = second, first
    sentences = tuple(rng.choice(scale.states).format(x=x, n=n) for x, _, n in facts)
    question = (scale.more if more else scale.less).format(x=first, y=second)
    return Matter(sentences, question, facts, [first, "more" if more else "less", second])


def chain(rng: random.Random, wanted: bool) -> Matter:
    """The first is above the second, the second above the third; the first and the third are compared."""
    top, middle, bottom = rng.sample(FIRST_NAMES, 3)
    more, less = pair = rng.choice(_CHAINS)
    facts = [[x, more, y] if rng.random() < 0.5 else [y, less, x] for x, y in ((top, middle), (middle, bottom))]
    first, second = (top, bottom) if rng.random() < 0.5 else (bottom, top)
    word = pair[0] if (first == top) == wanted else pair[1]
    sentences = tuple(f"{x} is {than} than {y}." for x, than, y in facts)
    return Matter(sentences, f"Is {first} {word} than {second}?", facts, [first, word, second, list(pair)])


def lookup(rng: random.Random, wanted: bool) -> Matter:
    """One of three people is asked about; a wrong value is somebody else's."""
    says, asks, values = rng.choice(_LOOKUPS)
    people, drawn = rng.sample(FIRST_NAMES, 3), rng.sample(values, 3)
    facts = [[person, value] for person, value in zip(people, drawn, strict=True)]
    at = rng.randrange(3)
    value = drawn[at] if wanted else drawn[(at + rng.choice((1, 2))) % 3]
    sentences = tuple(says.format(x=x, v=v) for x, v in facts)
    return Matter(sentences, asks.format(x=people[at], v=value), facts, [people[at], value])


def both(rng: random.Random, wanted: bool) -> Matter:
    """What each of three can do; whether two of them both, either or neither can."""
    can, cannot, do = rng.choice(_DEEDS)
    people = rng.sample(FIRST_NAMES, 3)
    word = rng.choice(("both", "either", "neither"))
    while True:
        able = [rng.random() < 0.5 for _ in people]
        found = sum(able[:2])
        if {"both": found == 2, "either": found > 0, "neither": found == 0}[word] == wanted:
            break
    sentences = tuple(f"{person} {can if yes else cannot}." for person, yes in zip(people, able, strict=True))
    first, second = people[:2]
    question = {
        "both": f"Can both {first} and {second} {do}?",
        "either": f"Can at least one of {first} and {second} {do}?",
        "neither": f"Is it true that neither {first} nor {second} can {do}?",
    }[word]
    facts = [[person, yes] for person, yes in zip(people, able, strict=True)]
    return Matter(sentences, question, facts, [word, first, second])


def exception(rng: random.Random, wanted: bool) -> Matter:
    """All of a group did it but one, or none of it but one."""
    group, (did, do) = rng.choice(_GROUPS), rng.choice(_ACTS)
    member, odd = rng.sample(FIRST_NAMES, 2)
    everyone = rng.random() < 0.5
    asked = member if everyone == wanted else odd
    rule = f"All of the {group} {did} except {odd}." if everyone else f"None of the {group} {did} except {odd}."
    belongs = rng.choice((f"{member} is one of the {group}.", f"{member} and {odd} belong to the {group}."))
    facts = [["all" if everyone else "none", group, odd], [member, group]]
    return Matter((rule, belongs), f"Did {asked} {do}?", facts, [asked])


def inside(rng: random.Random, wanted: bool) -> Matter:
    """A thing is in a holder, and the holder in a room."""
    things, holders, rooms = rng.sample(_THINGS, 2), rng.sample(_HOLDERS, 2), rng.sample(_ROOMS, 2)
    facts = [[things[i], holders[i]] for i in (0, 1)] + [[holders[i], rooms[i]] for i in (0, 1)]
    at = rng.randrange(2)
    room = rooms[at] if wanted else rooms[1 - at]
    sentences = tuple(f"The {x} is in the {y}." for x, y in facts)
    return Matter(sentences, f"Is the {things[at]} in the {room}?", facts, [things[at], room])


def moved(rng: random.Random, wanted: bool) -> Matter:
    """A thing stood in one room until it was carried to another."""
    thing, (before, after), person = rng.choice(_MOVABLE), rng.sample(_ROOMS, 2), rng.choice(FIRST_NAMES)
    start, day, end = sorted(rng.sample(range(len(_DAYS)), 3))
    asked = rng.choice((start, end))
    room = (before if asked == start else after) if wanted else (after if asked == start else before)
    sentences = (
        f"The {thing} stood in the {before} from {_DAYS[start]} on.",
        f"On {_DAYS[day]}, {person} carried it to the {after}, where it stayed for the rest of the week.",
    )
    facts = [[thing, before, _DAYS[start]], [thing, after, _DAYS[day]]]
    question = f"Was the {thing} in the {room} on {_DAYS[asked]}?"
    return Matter(sentences, question, facts, [room, _DAYS[asked]], ordered=True)


KINDS: Mapping[str, Callable[[random.Random, bool], Matter]] = {
    "compare": compare,
    "chain": chain,
    "lookup": lookup,
    "both": both,
    "exception": exception,
    "inside": inside,
    "moved": moved,
}
"""kind -> (random stream, whether the answer is yes) -> facts and question."""
