"""What a support chat is about, and the summary that follows from it.

{"customer": "Noor", "product": "steam oven", "problem": "leaves the food cold", "outcome": "part",
 "detail": "Thursday", "cause": "the heating element is broken"}
Noor's steam oven leaves the food cold. The heating element is broken, so a new heating element will be posted on
Thursday.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from luthier.tasks.generated import support_desk_words as words

# The summary's second sentence for each outcome, and which of its details are facts. The wording differs with the
# outcome, so that one constant sentence fits few of them.
_ENDINGS: dict[str, tuple[str, str]] = {
    "solved": ("{doing} solved the problem at once", ""),
    "replacement": ("{found}, so a replacement will arrive on {day}", "{day}"),
    "refund": ("{amount} dollars will be refunded within {span} because {found}", "{amount} dollars within {span}"),
    "technician": ("a technician comes on {day} {part_of_day}, since {found}", "{day} {part_of_day}"),
    "call": ("as {found}, a specialist will call on {day} at {time}", "{day} at {time}"),
    "part": ("{found} and a new {part} will be posted on {day}", "{day}"),
    "discount": ("although {found}, {name} keeps it for {percent} percent less", "{percent} percent"),
    "waiting": ("{found}, but first the desk needs {proof}", "{proof}"),
}
OUTCOMES = tuple(_ENDINGS)


@dataclass(frozen=True)
class Facts:
    """What a dialogue is about.

    Attributes:
        name: the customer's first name.
        product: what the matter is about.
        problem: what is wrong with it.
        step: what was tried last in the chat; None where the agent named the cause instead.
        outcome: one of `OUTCOMES`.
        details: the words of any outcome: day, time, amount, span, percent, proof (and a month, for small talk).
    """

    name: str
    product: str
    problem: words.Problem
    step: words.Step | None
    outcome: str
    details: Mapping[str, str]

    def plain(self) -> dict[str, str]:
        """The facts as a row holds them: only those that the summary tells."""
        facts = {
            "customer": self.name,
            "product": self.product,
            "problem": self.problem.gist,
            "outcome": self.outcome,
            "detail": _ENDINGS[self.outcome][1].format(**self.details),
        }
        return {**facts, "step": self.step.doing} if self.step else {**facts, "cause": self.problem.cause}

    def summary(self) -> str:
        """Two sentences: whose product does what; what was tried or found, and what comes of it."""
        doing = self.step.doing if self.step else ""
        found = f"{doing} did not help" if doing else self.problem.cause
        second = _ENDINGS[self.outcome][0].format(
            doing=doing, found=found, part=self.problem.part, name=self.name, **self.details
        )
        return f"{self.name}'s {self.product} {self.problem.gist}. {second[0].upper()}{second[1:]}."


def draw_facts(outcome: str, rng: random.Random) -> Facts:
    """Facts at random: the problem belongs to the product, and a solved case has the step that solved it."""
    family = rng.choice(words.FAMILIES)
    problem = rng.choice(family.problems)
    step = rng.choice(problem.steps) if outcome == "solved" or rng.random() < 0.5 else None
    return Facts(rng.choice(words.FIRST_NAMES), rng.choice(family.products), problem, step, outcome, draw_details(rng))


def draw_details(rng: random.Random) -> dict[str, str]:
    """A value for every detail that an outcome may need."""
    return {
        "day": rng.choice(words.DAYS),
        "time": rng.choice(words.TIMES),
        "part_of_day": rng.choice(words.PARTS_OF_DAY),
        "amount": str(rng.randrange(15, 250, 5)),
        "span": rng.choice(words.SPANS),
        "percent": rng.choice(words.PERCENTS),
        "proof": rng.choice(words.PROOFS),
        "month": rng.choice(words.MONTHS),
    }
