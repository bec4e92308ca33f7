"""Writes one support chat from its facts: opening, matter, diagnosis, offers, closing, and distractors between.

Customer: hi, george, need help with a modem
Agent: What does it do?
Customer: once an hour we lose the line, and i only just got over the freezer.
Agent: Perhaps the cable?
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from luthier.tasks.generated import support_desk_lines as lines
from luthier.tasks.generated import support_desk_spelling as spelling
from luthier.tasks.generated import support_desk_words as words
from luthier.tasks.generated.support_desk_facts import Facts, draw_details

STYLES = ("formal", "terse", "chatty", "angry", "sloppy")
_BANKS: dict[str, tuple[dict[str, lines.Lines], ...]] = {
    "formal": (lines.FORMAL,),
    "terse": (lines.TERSE,),
    "chatty": (lines.CHATTY,),
    "angry": (lines.ANGRY,),
    "sloppy": (lines.TERSE, lines.CHATTY),
}
# An offer is refused only where the one taken later does not contradict the reason given.
_REFUSED_BEFORE: dict[str, tuple[str, ...]] = {
    "solved": ("replacement", "technician", "call"),
    "replacement": ("refund", "discount", "technician", "part"),
    "refund": ("replacement", "discount", "technician", "part"),
    "technician": ("part", "refund", "call", "replacement"),
    "call": ("technician", "part", "discount"),
    "part": ("technician", "replacement", "refund"),
    "discount": ("replacement", "technician", "part"),
    "waiting": ("call", "part", "discount"),
}
_DAY_OUTCOMES = ("replacement", "technician", "call", "part")


class Chat:
    """A chat being written: its turns, and the distractors put into it.

    Args:
        facts: what it is about.
        style: one of `STYLES`.
        rng: where every choice comes from.
    """

    def __init__(self, facts: Facts, style: str, rng: random.Random):
        self.facts, self.style, self.rng = facts, style, rng
        self.turns: list[tuple[str, str]] = []
        self.distractors: set[str] = set()
        self._used: set[str] = set()
        self._acts: set[str] = set()
        self._name_known = False
        self._agent_contracts = rng.random() < 0.6
        said = rng.sample(facts.problem.said, 2)
        products = [other for family in words.FAMILIES for other in family.products]
        self._values = {
            **facts.details,
            "name": facts.name,
            "full": f"{facts.name} {rng.choice(words.SURNAMES)}" if self._chance(0.4) else facts.name,
            "product": facts.product,
            "said": said[0],
            "again": said[1],
            "guess": facts.problem.guess,
            "part": facts.problem.part,
            "cause": facts.problem.cause,
            "agent": rng.choice([name for name in words.AGENTS + words.FIRST_NAMES if name != facts.name]),
            "order": str(rng.randrange(10_000, 99_999)),
            "other": rng.choice([p for p in products if p not in facts.product and facts.product not in p]),
            "friend": rng.choice(words.FRIENDS),
            "person": rng.choice([name for name in words.FIRST_NAMES if name != facts.name]),
        }

    def write(self) -> str:
        """The dialogue, one turn a line."""
        signed = self._open()
        self._asides()
        solved = self.facts.outcome == "solved"
        if solved and self._chance(0.25):
            self._refused_offer()
        if self.facts.step is None:
            self._find_cause()
        else:
            self._try_steps(self.facts.step)
        if not solved:
            if self._chance(0.5):
                self._refused_offer()
            self._final_offer()
        self._close(signed)
        return "\n".join(f"{who}: {text}" for who, text in self.turns)

    def _open(self) -> bool:
        """Who writes, and what is wrong; whether the name is still to come, as a signature."""
        way = self.rng.choice(("self", "self", "account", "asked", "signed"))
        if way == "account":
            self._name_known = True
            self._agent("greet_name")
        elif self._chance(0.4):
            self._agent("greet")
        if way == "self":
            self._customer("name")
            self._name_known = True
        self._matter()
        if way == "asked":
            self._agent("sorry")
            self._agent("ask_name")
            self._say("Customer", ("{full}.", "{name}.", "I am {full}."))
            self._name_known = True
            if self._chance(0.6):
                self._agent("met")
        return way == "signed"

    def _matter(self) -> None:
        way = self.rng.random()
        if way < 0.55:
            self._customer("matter")
        elif way < 0.78:
            self._customer("product")
            self._agent("ask_symptom")
            self._say("Customer", ("{said}.",))
        else:
            self._say("Customer", lines.VAGUE)
            self._agent("ask_other")
            self.distractors.add("other product")
            self._say("Customer", lines.CORRECT)
        if self._chance(0.15):
            self._customer("order", "order number")
        elif self._chance(0.15):
            self._agent("ask_order")
            self.distractors.add("order number")
            self._say("Customer", ("{order}.", "It says {order}.", "{order}, I think."))

    def _asides(self) -> None:
        for kind, distractor in (("other", "other product"), ("person", "other person"), ("small", "small talk")):
            if self._chance(0.22) and distractor not in self.distractors:
                details = draw_details(self.rng)
                self._say("Customer", lines.ASIDES[kind], distractor, **self._different(details))

    def _find_cause(self) -> None:
        way = self.rng.random()
        if way < 0.35:
            self._customer("guess", "wrong guess")
            self._agent("not_guess")
        elif way < 0.6:
            self._agent("agent_guess")
            self.distractors.add("wrong guess")
            self._say("Customer", lines.DENY)
        elif way < 0.85 and "sorry" not in self._acts:
            self._agent("sorry")
        self._agent("cause")

    def _try_steps(self, step: words.Step) -> None:
        """The step that the facts name comes last; what was tried before it is a distractor."""
        (other,) = (one for one in self.facts.problem.steps if one != step)
        if self._chance(0.2):
            self._customer("guess", "wrong guess")
            self._agent("not_guess")
        elif self._chance(0.5) and "sorry" not in self._acts:
            self._agent("sorry")
        way = self.rng.random()
        if way < 0.3:
            self._customer("done", "earlier step", doing=other.doing)
        elif way < 0.5:
            self._try(other, "failed")
            self.distractors.add("earlier step")
            self._agent("pity")
        self._try(step, "worked" if self.facts.outcome == "solved" else "failed")

    def _try(self, step: words.Step, result: str) -> None:
        self._agent("step", doing=step.doing, order_step=step.order)
        if self._chance(0.3):
            self._customer("wait")
            self._say("Agent", ("And?", "Any change?", "Well?", "Sure, take your time.", "How is it now?"))
        self._customer(result)
        if result == "failed" and self._chance(0.2):
            self._say("Customer", ("{again}.", "{again}, as before."))

    def _refused_offer(self) -> None:
        """An offer that the customer does not take, with details that differ from the true ones."""
        solved = self.facts.outcome == "solved"
        kind = self.rng.choice(_REFUSED_BEFORE[self.facts.outcome])
        self._say("Agent", lines.OFFER[kind], "refused offer", **self._different(draw_details(self.rng)))
        self._say("Customer", lines.TRY_FIRST if solved else lines.REFUSE[kind])
        self._agent("of_course" if solved else "pity")

    def _final_offer(self) -> None:
        kind = self.facts.outcome
        if self.facts.step is not None and "refused offer" not in self.distractors and self._chance(0.5):
            self._agent("pity")
        if kind in _DAY_OUTCOMES and self._chance(0.3):
            wrong = self.rng.choice([day for day in words.DAYS if day != self.facts.details["day"]])
            self._say("Agent", lines.OFFER[kind], "changed day", day=wrong)
            self._customer("busy", day=wrong)
            self._say("Agent", lines.NEW_DAY)
        else:
            self._say("Agent", lines.OFFER[kind])
        if kind == "waiting" and self._chance(0.5):
            self._say("Customer", lines.SEND)
        else:
            self._customer("accept")

    def _close(self, signed: bool) -> None:
        self._name_known = self._name_known or not signed
        if self.facts.outcome == "solved":
            self._agent("glad")
        elif self._chance(0.5):
            self._agent("done")
        if self._chance(0.3):
            self._agent("anything")
            self._customer("bye")
        elif self.turns[-1][0] == "Agent" and self._chance(0.4):
            self._customer("bye")
        if signed:
            self._say("Customer", lines.SIGNED)
            self._name_known = True
        if self.turns[-1][0] == "Customer" and self._chance(0.4):
            self._agent("bye")

    def _customer(self, act: str, distractor: str | None = None, **values: str) -> None:
        self._say("Customer", self.rng.choice(_BANKS[self.style])[act], distractor, **values)

    def _agent(self, act: str, **values: str) -> None:
        self._acts.add(act)
        known = [line for line in lines.AGENT[act] if self._name_known or "{name}" not in line]
        self._say("Agent", known, **values)

    def _say(self, who: str, choices: Sequence[str], distractor: str | None = None, **values: str) -> None:
        """Add one of the lines to the chat; a line follows on where the same side spoke last."""
        fresh = [line for line in choices if line not in self._used] or list(choices)
        line = self.rng.choice(fresh)
        self._used.add(line)
        if distractor:
            self.distractors.add(distractor)
        for key, name in (("{agent}", "agent's name"), ("{full}", "surname"), ("{person}", "other person")):
            if key in line and (key != "{full}" or self._values["full"] != self.facts.name):
                self.distractors.add(name)
        text = spelling.sentence(line.format(**{**self._values, **values}))
        if who == "Customer":
            text = self._in_style(text)
        elif self._agent_contracts:
            text = spelling.contracted(text)
        if self.turns and self.turns[-1][0] == who:
            before = self.turns.pop()[1]
            text = f"{before} {text}" if before[-1] in ".!?" else f"{before}, {text}"
        self.turns.append((who, text))

    def _in_style(self, text: str) -> str:
        if self.style == "formal":
            return text
        text = spelling.contracted(text)
        if self.style == "angry" and self._chance(0.3):
            text = spelling.shouted(text)
        if self.style == "sloppy":
            text = spelling.misspelt(text, f"{self.facts.name} {self.facts.product} {self._values['other']}", self.rng)
        return text

    def _different(self, details: Mapping[str, str]) -> dict[str, str]:
        """The details, each drawn again until it is not the true one."""
        different = dict(details)
        for key, true in self.facts.details.items():
            while different[key] == true:
                different[key] = draw_details(self.rng)[key]
        return different

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability
