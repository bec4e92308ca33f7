"""What a study found, as plain frozen values: a summary of groups of arms, with estimates and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from luthier.core.types import Cost, Result

Status = Literal["finished", "partial", "failed"]


@dataclass(frozen=True)
class Estimate:
    """A measure's mean over seeds and items, with its 95% interval.

    Attributes:
        low, high: None where it cannot be told: a single score, or none per example (a measure of the whole test set,
            such as corpus BLEU).
        n: how many examples stand behind it.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Comparison:
    """One arm against another on one measure: arm minus other, paired by example id.

    Attributes:
        other: the arm compared with.
        low, high, p: the 95% interval, and the p of "no difference"; None where a single score leaves it untold.
        p_holm: after Holm's correction over the declared family (each arm against the reference on the primary
            measure); None outside that family.
        better: True where the whole interval lies on the better side of zero, False where it lies on the worse side,
            None where it holds zero: not told apart.
    """

    other: str
    measure: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    better: bool | None
    p_holm: float | None = None

    @property
    def stands(self) -> bool:
        """Whether the interval leaves zero out and Holm's correction, where there is one, does not take that back."""
        return self.better is not None and (self.p_holm is None or self.p_holm <= 0.05)


@dataclass(frozen=True)
class Run:
    """One run as the store holds it.

    Attributes:
        scores: measure -> example id -> score.
    """

    name: str
    result: Result
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class ArmSummary:
    """One arm on one task and model, over its seeds.

    Attributes:
        status: `partial` where some of its runs failed.
        seeds: of the finished runs.
        error: of the first failed run.
        scores: by measure; a measure that the arm was not scored on is absent.
        against: other arm -> measure -> comparison. The reference on every measure; the trivial baselines on the
            primary one.
        cost: means over the finished runs; `peak_bytes` is the highest.
        runs: all of them, failed ones too.
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

    @property
    def finished(self) -> tuple[Run, ...]:
        """Its finished runs."""
        return tuple(run for run in self.runs if run.result.status == "finished")

    @property
    def same_for_all_seeds(self) -> bool:
        """Whether it trains nothing and was run once, without failure: its answers then stand for every seed."""
        return self.status == "finished" and not self.runs[0].result.seeded


@dataclass(frozen=True)
class Warned:
    """One thing that runs warned of, or that their scores lack.

    Attributes:
        text: as the first of the runs put it.
        arms: that it came from.
        seeds: that it came from.
        alike: whether the other seeds' text differs from the first one's, in numbers alone.
        marked: whether the arms are marked in tables; not so for what speaks of the examples rather than of the arm.
    """

    text: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    alike: bool = False
    marked: bool = True

    @property
    def short(self) -> str:
        """What it says before its colon, where that is short: the mark in a table."""
        opening, colon, _ = self.text.partition(":")
        return opening if colon and len(opening) <= 24 else "warning"

    @property
    def words(self) -> str:
        """One line: who, which seeds, what."""
        first, *others = map(str, self.seeds)
        who = ", ".join(self.arms)
        if self.alike and others:
            return f"{who} (seed {first}): {self.text}; much the same with {_seeds(others)}"
        return f"{who} ({_seeds([first, *others])}): {self.text}"


@dataclass(frozen=True)
class Group:
    """The arms that can be compared: one task, one model.

    Attributes:
        arms: in the study's order, the trivial baselines last.
        measures: in the order to show; only those that some arm was scored on. The primary one is first.
        lead: the best arm against the runner-up on the primary measure, where there are two.
        warnings: of its runs.
    """

    task: str
    model: str
    primary: str
    measures: tuple[str, ...]
    lower_is_better: frozenset[str]
    reference: str
    arms: tuple[ArmSummary, ...]
    lead: Comparison | None
    warnings: tuple[Warned, ...] = ()

    @property
    def contenders(self) -> tuple[ArmSummary, ...]:
        """The arms that are no trivial baselines."""
        return tuple(arm for arm in self.arms if not arm.baseline)

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

    def marks(self, arm: ArmSummary) -> list[str]:
        """What the arm's runs warned of, in a word or two each."""
        return list(dict.fromkeys(one.short for one in self.warnings if one.marked and arm.arm in one.arms))

    def main_measures(self, room: int) -> list[str]:
        """At most so many measures in the order to show: the primary one, the likelihood (it separates arms), the next.

        Sides of a measure (precision, recall) and a corpus's own figures are not among them, but for the primary one.
        """
        main = [measure for measure in self.measures if measure == self.primary or not _is_side(measure)]
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


@dataclass(frozen=True)
class Summary:
    """A whole study.

    Attributes:
        study: `study.json` as it stands.
        unfinished: names of runs that the study has and that have no result yet.
        mixed: what differs between the runs' environments (library versions), with the values met.
    """

    study: Mapping[str, Any]
    groups: tuple[Group, ...]
    failures: tuple[Failure, ...]
    unfinished: tuple[str, ...]
    mixed: Mapping[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.study["name"])


def rank(arms: Sequence[ArmSummary], measure: str, lower_is_better: bool) -> list[ArmSummary]:
    """The arms that have the measure, best mean first."""
    scored = [arm for arm in arms if measure in arm.scores]
    return sorted(scored, key=lambda arm: arm.scores[measure].mean * (1 if lower_is_better else -1))


def _is_side(measure: str) -> bool:
    return measure.startswith("corpus_") or measure.endswith(("_precision", "_recall"))


def _seeds(seeds: Sequence[str]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
