"""A language model as judge: which of two answers it takes for the better one, asked twice with their places changed.

Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", arXiv 2306.05685. The judge reads a
question and two answers, A and B, and its choice is the letter that it finds more probable. Each pair is shown twice:

    win          both times the answer is chosen          loss    both times the other one is
    tie          the two orders disagree: the places decided, not the texts (the paper's conservative rule)
    agreement    = pairs on which both orders choose the same text / pairs
    first        = showings in which A is chosen / showings; .5 is no position bias, 1 always the first

A judge is itself judged, on pairs of which the better one is known: the reference of a question against that of another
one. How often it prefers the right one, with Wilson's interval, stands beside what it says: a judge that cannot tell a
right answer from one to another question has nothing to say on finer points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from luthier.core.types import ChoicePrediction, Example, Message
from luthier.core.wilson import wilson
from luthier.evaluate import with_other_references

Verdict = Literal["win", "tie", "loss"]
_LETTERS = ("A", "B")
_PROMPT = """Here are a question and two answers to it.

Question:
{question}

Answer A:
{first}

Answer B:
{second}

Which answer is better, A or B? Reply with one letter."""


@dataclass(frozen=True)
class Pair:
    """Two answers to one question.

    Attributes:
        id: the example's.
        question: what was asked, as the judge reads it.
        answer: whose wins are counted.
        other: what it is held against: the reference, or a baseline's answer.
    """

    id: str
    question: str
    answer: str
    other: str


@dataclass(frozen=True)
class Showing:
    """One showing of a pair, as the request that the judge gets."""

    example_id: str
    conversation: tuple[Message, ...]


class Judge(Protocol):
    """What judges: a `ModelGenerator` (`Judged.generator()`), or anything else that rates choices."""

    def likelihoods(
        self, requests: Sequence[Showing], choices: Sequence[tuple[str, ...]]
    ) -> list[ChoicePrediction]: ...

    def fits(self, conversation: tuple[Message, ...], answer_tokens: int, answers: Sequence[str] = ()) -> bool: ...


@dataclass(frozen=True)
class JudgeReport:
    """What a judge said of pairs.

    Attributes:
        verdicts: pair's id -> win, tie or loss of the answer.
        first: the share of showings in which the first place was chosen; 1/2 is no bias.
        unjudged: the ids of pairs that are longer than the judge's context, that a likelihood was no number for, or
            whose two texts are the same.
    """

    verdicts: dict[str, Verdict]
    first: float
    unjudged: tuple[str, ...]

    @property
    def n(self) -> int:
        """Pairs that were judged."""
        return len(self.verdicts)

    @property
    def agreement(self) -> float:
        """The share of pairs on which the two orders agree; nan where none was judged."""
        return 1 - self.share("tie")

    def share(self, verdict: Verdict) -> float:
        """Of the pairs that were judged; nan where none was."""
        return sum(one == verdict for one in self.verdicts.values()) / self.n if self.n else float("nan")

    @property
    def better_than_chance(self) -> bool:
        """Whether wins outnumber losses by more than chance would have it: Wilson's interval, ties aside, above 1/2."""
        wins, losses = (sum(one == verdict for one in self.verdicts.values()) for verdict in ("win", "loss"))
        return wins > losses and wilson(wins / (wins + losses), wins + losses)[0] > 0.5

    def interval(self, verdict: Verdict) -> tuple[float, float]:
        """Wilson's 95% interval of that share; (0, 1) where none was judged."""
        return wilson(self.share(verdict), self.n) if self.n else (0.0, 1.0)


@dataclass(frozen=True)
class Judgement:
    """What a judge said of an arm's answers, and what it is worth.

    Attributes:
        answers: each answer against what it is compared with.
        known: references against wrong ones: a win is the judge being right.
    """

    answers: JudgeReport
    known: JudgeReport

    @property
    def measures(self) -> dict[str, float]:
        """The figures by name; shares of the pairs that were judged. Those of which there are none are absent."""
        found: dict[str, float] = {}
        if self.answers.n:
            found |= {f"judge_{name}": self.answers.share(name) for name in ("win", "tie", "loss")}
            found |= {"judge_agreement": self.answers.agreement, "judge_first": self.answers.first}
        if self.known.n:
            found |= {"judge_right": self.known.share("win"), "judge_wrong": self.known.share("loss")}
        return found

    @property
    def words(self) -> tuple[str, ...]:
        """The figures in sentences, for a terminal."""
        return (*_of_answers(self.answers), *_of_known(self.known))


def judge(judged_by: Judge, pairs: Sequence[Pair]) -> JudgeReport:
    """Ask the judge for every pair, in both orders.

    Args:
        judged_by: `load_judged(name).generator()`, mostly.
        pairs: of any questions, no id twice.
    """
    shown = [pair for pair in pairs if pair.answer.strip() != pair.other.strip() and _fits(judged_by, pair)]
    showings = [showing for pair in shown for showing in _both_orders(pair)]
    rated = judged_by.likelihoods(showings, [_LETTERS] * len(showings)) if showings else []
    verdicts: dict[str, Verdict] = {}
    firsts: list[float] = []
    for place, pair in enumerate(shown):
        chose = [_first_share(one) for one in rated[2 * place : 2 * place + 2]]
        there, back = chose
        if there is None or back is None:
            continue
        firsts += [there, back]
        verdicts[pair.id] = "win" if (there, back) == (1, 0) else "loss" if (there, back) == (0, 1) else "tie"
    unjudged = tuple(pair.id for pair in pairs if pair.id not in verdicts)
    return JudgeReport(verdicts, sum(firsts) / len(firsts) if firsts else float("nan"), unjudged)


def against_references(answers: Iterable[tuple[Example, str]]) -> list[Pair]:
    """Each answer held against its example's first reference; without those that have none."""
    return [
        Pair(example.id, question_of(example), text, example.reference)
        for example, text in answers
        if example.references
    ]


def known_pairs(examples: Sequence[Example]) -> list[Pair]:
    """Each example's reference held against another example's of the same task; none where references repeat, as
    labels do."""
    own = {example.id: example for example in examples}
    tasks = dict.fromkeys(example.task for example in examples)
    others = [one for task in tasks for one in with_other_references([one for one in examples if one.task == task])]
    return [
        Pair(other.id, question_of(other), own[other.id].reference, other.reference)
        for other in others
        if other.reference != own[other.id].reference
    ]


def question_of(example: Example) -> str:
    """What was asked: the contents of the conversation's turns."""
    return "\n\n".join(message.content for message in example.messages)


def _both_orders(pair: Pair) -> tuple[Showing, Showing]:
    def shown(place: int, first: str, second: str) -> Showing:
        text = _PROMPT.format(question=pair.question, first=first, second=second)
        return Showing(f"{pair.id}.{place}", (Message("user", text),))

    return shown(0, pair.answer, pair.other), shown(1, pair.other, pair.answer)


def _fits(judged_by: Judge, pair: Pair) -> bool:
    return all(judged_by.fits(showing.conversation, 0, _LETTERS) for showing in _both_orders(pair))


def _first_share(rated: ChoicePrediction) -> float | None:
    """1 where the first place was chosen, 0 where the second was, 1/2 where both are as probable; None where that is
    not known."""
    first, second = rated.log_likelihoods
    if first != first or second != second:
        return None
    return 0.5 if first == second else float(first > second)


def _of_answers(found: JudgeReport) -> tuple[str, ...]:
    if not found.n:
        return (f"no pair was judged ({len(found.unjudged)} could not be)",)
    low, high = found.interval("win")
    lines = [
        f"the answer wins {found.share('win'):.1%} of {found.n} pairs (95% interval {low:.1%} to {high:.1%}), ties "
        f"{found.share('tie'):.1%}, loses {found.share('loss'):.1%}",
        f"the two orders agree on {found.agreement:.1%}; the first place is chosen in {found.first:.1%} of showings",
    ]
    if found.unjudged:
        lines.append(f"{len(found.unjudged)} pairs were not judged: too long for the judge, or two equal texts")
    return tuple(lines)


def _of_known(found: JudgeReport) -> tuple[str, ...]:
    if found.unjudged and not found.n:
        return (f"the judge itself could not be judged: none of its {len(found.unjudged)} known pairs could be shown",)
    if not found.n:
        return (
            "the judge itself could not be judged: that takes two questions with different references, and references "
            "that do not repeat as labels do",
        )
    low, high = found.interval("win")
    said = (
        f"the judge itself: of {found.n} references against a wrong one it prefers the right one both times in "
        f"{found.share('win'):.1%} (95% interval {low:.1%} to {high:.1%}), the wrong one in {found.share('loss'):.1%}"
    )
    if found.better_than_chance:
        return (said,)
    return (said, "it does not tell right from wrong better than chance: its verdicts say nothing")
