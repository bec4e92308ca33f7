"""Stored texts before a language model as judge: each arm's answers against the references (`suites/judge.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import Example, TextPrediction
from luthier.rescoring.answers import Answers, answers_of_evaluations, answers_of_study
from luthier.suites.judge import Judge, Judgement, JudgeReport, against_references, judge, known_pairs

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class JudgedArm:
    """What a judge said of one arm on one task: of its first finished seed, where it has several."""

    task: str
    model: str
    arm: str
    seed: int
    judgement: Judgement

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        said = self.judgement
        verdicts = {"verdicts": said.answers.verdicts, "unjudged": list(said.answers.unjudged)}
        return {"task": self.task, "model": self.model, "arm": self.arm, "seed": self.seed, **said.measures, **verdicts}


def judge_stored(out: Path, judged_by: Judge, arms: Sequence[str] = ()) -> tuple[list[JudgedArm], list[str]]:
    """Let a judge compare what is stored in a folder with the references.

    Args:
        out: a study's output folder, or one of `luthier evaluate`.
        judged_by: as for `suites/judge.py`.
        arms: only these (of evaluations: models); all where none is named.

    Returns:
        What it said of each arm on each task, and a sentence for each run and each answer that it was not asked about.

    Raises:
        LuthierError: nothing is stored there, no such arm, or no answer there is a text.
    """
    if not out.is_dir():
        raise LuthierError("no such folder", where=str(out), mend="name the --out folder of a study or an evaluation")
    stored, notes = (
        answers_of_study(Store(out), arms) if (out / "study.json").exists() else answers_of_evaluations(out, arms)
    )
    written = [one for one in stored if "text" in one.kinds]
    if not written:
        raise LuthierError(
            "a judge compares texts with references, and none are stored here",
            where=str(out),
            mend="judge a task that asks for texts; choices are right or wrong (accuracy)",
        )
    known: dict[tuple[str, ...], JudgeReport] = {}  # the same questions have the same known pairs
    found: dict[tuple[Any, ...], JudgedArm] = {}
    for one in written:
        result = one.result
        place = (result.task, result.model, result.size, result.arm)
        if place in found:
            continue
        ids = tuple(example.id for example in one.examples)
        if ids not in known:
            known[ids] = judge(judged_by, known_pairs(one.examples))
        texts = _texts(one)
        pairs = against_references(texts)
        if len(pairs) < len(texts):
            notes.append(f"{result.arm} on {result.task}: {len(texts) - len(pairs)} answers have no reference")
        said = Judgement(judge(judged_by, pairs), known[ids])
        found[place] = JudgedArm(result.task, result.model, result.arm, result.seed, said)
    return list(found.values()), notes


def _texts(one: Answers) -> list[tuple[Example, str]]:
    said = {answer.example_id: answer.text for answer in one.predictions if isinstance(answer, TextPrediction)}
    return [(example, said[example.id]) for example in one.examples if example.id in said]


def print_judged(found: Sequence[JudgedArm], notes: Sequence[str], judge_name: str, console: Console) -> None:
    """A paragraph an arm, and the notes."""
    for one in found:
        console.print(f"{one.arm} on {one.task}, {one.model} (seed {one.seed}), judged by {judge_name}:")
        for line in one.judgement.words:
            console.print(f"  {line}", highlight=False, soft_wrap=True)
    for note in notes:
        console.print(note, highlight=False, soft_wrap=True)
