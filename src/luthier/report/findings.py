"""What a study found, as plain frozen values: a summary of groups of arms, with estimates and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from luthier.core.types import Cost
from luthier.report.again import Command
from luthier.report.choices import Choice, Trial
from luthier.report.controls import AboveControl, Flag
from luthier.report.curves import Curve, LearningCurves
from luthier.report.forgetting import Forgotten, Retention
from luthier.report.leaks import Leakage
from luthier.report.measured import Comparison, Estimate, Outcome, Run
from luthier.report.task_sequence import TaskSequence
from luthier.report.warned import Warned

__all__ = [
    "AboveControl",
    "ArmSummary",
    "Choice",
    "Command",
    "Comparison",
    "Curve",
    "Estimate",
    "Failure",
    "Flag",
    "Forgotten",
    "Group",
    "Leakage",
    "LearningCurves",
    "Outcome",
    "Retention",
    "Run",
    "Summary",
    "TaskSequence",
    "Trial",
    "Warned",
    "rank",
]

Status = Literal["finished", "partial", "failed"]


@dataclass(frozen=True)
class ArmSummary:
    """One arm on one task, model and size of the training set, over its seeds.

    Attributes:
        status: `partial` where some of its runs failed.
        seeds: of the finished runs.
        error: of the first failed run.
        scores: by measure; a measure that the arm was not scored on is absent.
        against: other arm -> measure -> comparison. The reference on every measure; the trivial baselines on the
            primary one; nothing for random-weights controls.
        cost: means over the finished runs; `peak_bytes` is the highest.
        runs: all of them, failed ones too.
        size: training examples, where the study varies them.
        control_of: the arm that this one repeats from random weights: a control, which never wins.
        base: the arm's own model, where it has one that is not the study's.
        by_seed: seed -> the primary measure's mean in that seed's run.
        against_best: this contender minus the best contender on the primary measure, Holm over all of these; None for
            the best itself, and where they cannot be compared.
        tied_with_best: whether it is the best, is not told apart from it, or is not worse by as much as the margin;
            never where they cannot be compared.
        forgetting: retention task -> what was lost; empty where nothing was trained or it was not measured.
        above_control: measure -> the arm against each of its controls, the strongest control first.
        without_leaks: the primary measure without the leaked test examples; None where none leaked.
    """

    arm: str
    model: str
    task: str
    prompting: str
    method: str
    objective: str
    baseline: bool
    status: Status
    seeds: tuple[int, ...]
    error: str | None
    scores: Mapping[str, Estimate]
    cost: Cost
    runs: tuple[Run, ...]
    against: Mapping[str, Mapping[str, Comparison]] = field(default_factory=dict)
    size: int | None = None
    control_of: str | None = None
    base: str | None = None
    by_seed: Mapping[int, float] = field(default_factory=dict)
    against_best: Comparison | None = None
    tied_with_best: bool = False
    forgetting: Mapping[str, Forgotten] = field(default_factory=dict)
    above_control: Mapping[str, tuple[AboveControl, ...]] = field(default_factory=dict)
    without_leaks: Estimate | None = None

    @property
    def contender(self) -> bool:
        """Whether it is neither a trivial baseline nor a control."""
        return not self.baseline and self.control_of is None

    @property
    def trained(self) -> bool:
        """Whether any of its finished runs trained."""
        return any(run.result.train_key for run in self.finished)

    @property
    def finished(self) -> tuple[Run, ...]:
        """Its finished runs."""
        return tuple(run for run in self.runs if run.result.status == "finished")

    @property
    def of_encoder(self) -> bool:
        """Whether its model is an encoder."""
        return any(run.result.effective.get("kind") == "encoder" for run in self.finished)

    @property
    def same_for_all_seeds(self) -> bool:
        """Whether it trains nothing and was run once, without failure: its answers then stand for every seed."""
        return self.status == "finished" and not self.runs[0].result.seeded


@dataclass(frozen=True)
class Group:
    """The arms that can be compared: one task, one model, one size of the training set.

    Attributes:
        arms: in the study's order; then the random-weights controls, and the trivial baselines last.
        measures: in the order to show; only those that some arm was scored on. The primary one is first.
        warnings: of its runs.
        size: training examples, where the study varies them.
        margin: the difference in the primary measure that would not matter.
        cheapest: the arm to take: the cheapest that is not worse than the best by as much as the margin (fewest
            training FLOPs, then fewest trained parameters, then the best score); None where nothing was scored.
        flags: measures that a control nearly reaches, the primary one first; it may have two.
        leakage: of the task; None where it was not looked for.
        choices: the trials of its arms.
        budget_notes: sentences on the trials: how many each arm had, unequal numbers, choices at an edge.
        retain: the retention tasks that some arm was measured on.
        settles: sentences on what more test examples or seeds would settle.
        clusters: test example -> what it shares with others; only those that share something.
    """

    task: str
    model: str
    primary: str
    measures: tuple[str, ...]
    lower_is_better: frozenset[str]
    reference: str
    arms: tuple[ArmSummary, ...]
    warnings: tuple[Warned, ...] = ()
    size: int | None = None
    margin: float = 0.0
    cheapest: ArmSummary | None = None
    flags: tuple[Flag, ...] = ()
    leakage: Leakage | None = None
    choices: tuple[Choice, ...] = ()
    budget_notes: tuple[str, ...] = ()
    retain: tuple[Retention, ...] = ()
    settles: tuple[str, ...] = ()
    clusters: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`dialogues on house/decoder`, and the size where the study varies it."""
        size = "" if self.size is None else f", {self.size:,} training examples"
        return f"{self.task} on {self.model}{size}"

    @property
    def contenders(self) -> tuple[ArmSummary, ...]:
        """The arms that are neither trivial baselines nor controls."""
        return tuple(arm for arm in self.arms if arm.contender)

    @property
    def controls(self) -> tuple[ArmSummary, ...]:
        """Arms repeated from random weights."""
        return tuple(arm for arm in self.arms if arm.control_of is not None)

    @property
    def baselines(self) -> tuple[ArmSummary, ...]:
        """The trivial baselines."""
        return tuple(arm for arm in self.arms if arm.baseline)

    @property
    def best(self) -> ArmSummary | None:
        """The contender with the best mean of the primary measure."""
        ranked = rank(self.contenders, self.primary, self.primary in self.lower_is_better)
        return ranked[0] if ranked else None

    @property
    def beaten(self) -> tuple[ArmSummary, ...]:
        """The trivial baselines that beat every arm on the primary measure, by intervals that leave zero out."""
        scored = [arm for arm in self.contenders if self.primary in arm.scores]

        def beats(baseline: ArmSummary) -> bool:
            found = [arm.against.get(baseline.arm, {}).get(self.primary) for arm in scored]
            return bool(found) and all(one is not None and one.better is False for one in found)

        return tuple(baseline for baseline in self.baselines if beats(baseline))

    def arm(self, name: str) -> ArmSummary | None:
        """The arm of that name, or None where it is not here."""
        return next((arm for arm in self.arms if arm.arm == name), None)

    def marks(self, arm: ArmSummary) -> list[str]:
        """What the arm's runs warned of, in a word or two each."""
        return list(dict.fromkeys(one.short for one in self.warnings if one.marked and arm.arm in one.arms))

    def main_measures(self, room: int) -> list[str]:
        """At most so many measures in the order to show: the primary one, the likelihood (it separates arms), the next.

        Sides of a measure (precision, recall) and a corpus's own figures are not among them, but for the primary one.
        """
        main = [measure for measure in self.measures if measure == self.primary or not is_side(measure)]
        preferred = sorted(main, key=lambda measure: (measure != self.primary, measure != "nll"))
        return [measure for measure in main if measure in preferred[:room]]

    def difference(self, arm: ArmSummary, measure: str | None = None) -> Comparison | None:
        """The arm against the reference, on the primary measure unless another is named."""
        return arm.against.get(self.reference, {}).get(measure or self.primary)


@dataclass(frozen=True)
class Failure:
    """Runs of one arm that failed for the same reason."""

    arm: str
    model: str
    task: str
    seeds: tuple[int, ...]
    error: str
    size: int | None = None


@dataclass(frozen=True)
class Summary:
    """A whole study.

    Attributes:
        study: `study.json` as it stands.
        unfinished: names of runs that the study has and that have no result yet.
        mixed: what differs between the runs' environments (library versions), with the values met.
        groups: one a task, model and size, sizes upwards.
        curves: one a task and model, where the study has several sizes.
        retain: the retention tasks.
        again: the commands that run the study, one arm of it, or its report again.
        sequences: tasks learned one after another, one a way, model and size.
        no_sequences: sentences on those that cannot be shown, as their runs were not trained alike.
    """

    study: Mapping[str, Any]
    groups: tuple[Group, ...]
    failures: tuple[Failure, ...]
    unfinished: tuple[str, ...]
    mixed: Mapping[str, tuple[str, ...]]
    curves: tuple[LearningCurves, ...] = ()
    retain: tuple[Retention, ...] = ()
    again: tuple[Command, ...] = ()
    sequences: tuple[TaskSequence, ...] = ()
    no_sequences: tuple[str, ...] = ()

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Every arm once, in the groups' order, the baselines last: the rows of the overview (its columns: groups)."""
        arms = [arm for group in self.groups for arm in group.arms]
        return tuple(dict.fromkeys(arm.arm for arm in sorted(arms, key=lambda arm: (arm.baseline, not arm.contender))))

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.study["name"])


def rank(arms: Sequence[ArmSummary], measure: str, lower_is_better: bool) -> list[ArmSummary]:
    """The arms that have the measure, best mean first."""
    scored = [arm for arm in arms if measure in arm.scores]
    return sorted(scored, key=lambda arm: arm.scores[measure].mean * (1 if lower_is_better else -1))


def is_side(measure: str) -> bool:
    """Whether it is a side of a measure (precision, recall), or a corpus's own figure."""
    return measure.startswith("corpus_") or measure.endswith(("_precision", "_recall"))
