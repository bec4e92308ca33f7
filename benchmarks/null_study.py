"""Simulated studies: do the intervals cover, does Holm hold, is the visible seen, and is "not worse" true?

    python benchmarks/null_study.py [--studies 1000] [--seed 0] [--json FILE]

Each study compares five arms with one reference, as a real one does, through `luthier.core.statistics`. A score is

    item_i + own[arm, i] + cluster[arm, c(i)] + seed[arm, s] + residual[arm, s, i]

all normal; a binary score is 1 where that is above zero. A deterministic reference has one seed and no effect of it.
For every setting (one line of `SETTINGS`; standard deviations in units of the residual's) it prints

- how often the 95% intervals of the differences cover the true one, zero: 93% to 97%. Two seeds are too few for that
  (`luthier.core.crossed_effects` says why): 92% to 98.5%, and more than twice as wide as they would need to be;
- how often at least one arm of the five is found to differ after Holm: at most 6%. With two seeds at most 12%, reached
  where seeds matter much: do not rank arms by two seeds;
- how often an arm is found better (interval and Holm's p) where it truly is, by the smallest visible difference that
  the design has: `smallest_visible` for a family of five, at the mean squares averaged over the studies, which is
  what the design's own variances give: 75% to 85%;
- beside it the mean of the sizes that the single studies state, and how often an arm is found that is better by
  what *another* study of the design states. A stated size rests on an estimated variance, so this one has no bound.

Then (`LOSSES`) one arm is compared with a reference that it is truly worse than, by exactly the margin: how often it is
called "not worse" all the same (2.5% nominal): at most 3.5%. Beside it how often one is that loses nothing; on a test
set too small for its margin, never. Right or wrong: against a deterministic reference each seed loses 2/3 (or 1/3 to
all, by seed) of the items at risk, and where the arm gains too, wins others in the same way.

Exits with 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from luthier.core.crossed_effects import Variation
from luthier.core.statistics import Difference, holm, outcome, paired_difference, smallest_visible

ARMS = 5
COVERAGE = (0.93, 0.97)
FAMILY_WISE = 0.06
FOUND = (0.75, 0.85)
TWO_SEEDS = ((0.92, 0.985), 0.12)
NOT_WORSE = 0.035


@dataclass(frozen=True)
class Setting:
    """One design. Standard deviations: `seed` between seeds, `own` between items for one arm, `item` for all arms."""

    name: str
    items: int
    seeds: int = 3
    seed: float = 0.0
    own: float = 0.8
    item: float = 1.0
    clusters: int = 0
    cluster: float = 0.0
    binary: bool = False
    fixed_reference: bool = False

    @property
    def bounds(self) -> tuple[tuple[float, float], float]:
        """Of coverage, and of the family-wise error."""
        return TWO_SEEDS if self.seeds == 2 else (COVERAGE, FAMILY_WISE)


SETTINGS = (
    Setting("seeds do nothing", 150),
    Setting("seeds do nothing, few items", 40),
    Setting("seeds matter little", 150, seed=0.05),
    Setting("seeds matter", 150, seed=0.15),
    Setting("seeds matter, arms and items interact little", 150, seed=0.15, own=0.5),
    Setting("seeds matter, few items", 40, seed=0.2),
    Setting("seeds matter, many items", 300, seed=0.15),
    Setting("seeds matter much", 150, seed=0.5),
    Setting("seeds matter much, many items", 300, seed=0.5),
    Setting("fixed reference", 300, seed=0.15, fixed_reference=True),
    Setting("fixed reference, seeds matter much", 150, seed=0.5, fixed_reference=True),
    Setting("five seeds", 150, seeds=5, seed=0.15),
    Setting("right or wrong", 300, seed=0.05, binary=True),
    Setting("items in 40 clusters", 150, seed=0.15, clusters=40, cluster=0.5),
    Setting("one seed, items in 40 clusters", 150, seeds=1, clusters=40, cluster=0.5),
    Setting("one seed, exact McNemar", 300, seeds=1, binary=True),
    Setting("one seed, permutation", 25, seeds=1),
    Setting("two seeds do nothing", 150, seeds=2),
    Setting("two seeds matter", 150, seeds=2, seed=0.15),
    Setting("two seeds matter much", 150, seeds=2, seed=0.5),
)


@dataclass(frozen=True)
class Loss:
    """A design in which an arm truly loses the margin, and wins `gain` while it loses as much more.

    `varies`: the chance of losing an item at risk is drawn per seed. `normal`: scores as there, not right or wrong.
    """

    name: str
    margin: float
    items: int = 0
    seeds: int = 1
    gain: float = 0.0
    varies: bool = False
    normal: Setting | None = None


LOSSES = (
    Loss("one seed, right or wrong", 0.01, 300),
    Loss("one seed, right or wrong", 0.02, 100),
    Loss("one seed, right or wrong", 0.02, 600),
    Loss("one seed, right or wrong, gains too", 0.01, 300, gain=0.02),
    Loss("one seed, right or wrong, gains too", 0.05, 300, gain=0.05),
    Loss("three seeds, right or wrong", 0.01, 300, seeds=3),
    Loss("three seeds, right or wrong", 0.02, 100, seeds=3),
    Loss("three seeds, right or wrong", 0.02, 600, seeds=3),
    Loss("three seeds that vary, right or wrong", 0.02, 600, seeds=3, varies=True),
    Loss("three seeds, right or wrong, gains too", 0.05, 300, seeds=3, gain=0.05, varies=True),
    Loss("three seeds, normal", 0.5, normal=Setting("seeds matter", 150, seed=0.15)),
    Loss("three seeds, normal", 1.0, normal=Setting("seeds matter little, few items", 40, seed=0.05)),
)


@dataclass(frozen=True)
class Findings:
    """What the simulated studies of one setting came to: shares of studies, sizes in units of the measure."""

    setting: str
    test: str
    coverage: float
    family_wise: float
    visible: float
    found: float
    stated: float
    found_at_stated: float
    bounds: tuple[tuple[float, float], float] = (COVERAGE, FAMILY_WISE)

    @property
    def held(self) -> bool:
        """Whether every bound is kept."""
        (least, most), family_wise = self.bounds
        return least <= self.coverage <= most and self.family_wise <= family_wise and FOUND[0] <= self.found <= FOUND[1]


@dataclass(frozen=True)
class Claims:
    """How often an arm is called "not worse": one that loses the margin, and one that loses nothing."""

    loss: str
    wrongly: float
    rightly: float

    @property
    def held(self) -> bool:
        """Whether the bound is kept."""
        return self.wrongly <= NOT_WORSE


class Study:
    """One simulated study: the latent scores of the reference and of every arm, before any true difference."""

    def __init__(self, setting: Setting, random: np.random.Generator):
        self.setting = setting
        normal = random.normal
        seeds, items = setting.seeds, setting.items
        latent = setting.item * normal(size=(1, 1, items)) + setting.own * normal(size=(ARMS + 1, 1, items))
        self.clusters: list[str | None] | None = None
        if setting.clusters:
            # Unequal clusters: the first has several times as many items as the last.
            of_item = random.permutation((setting.clusters * (np.arange(items) / items) ** 1.5).astype(int))
            latent = latent + setting.cluster * normal(size=(ARMS + 1, 1, setting.clusters))[:, :, of_item]
            self.clusters = [str(number) for number in of_item]
        reference, *_ = latent
        latent = latent + setting.seed * normal(size=(ARMS + 1, seeds, 1)) + normal(size=(ARMS + 1, seeds, items))
        self.arms = latent[1:]
        self.reference = self._scores(reference if setting.fixed_reference else latent[0])

    def compare(self, arm: int, better_by: float = 0.0) -> Difference:
        """The arm against the reference, the arm's expected score raised by `better_by`."""
        shift = better_by
        if self.setting.binary and better_by:
            shift = NormalDist(0, float(np.sqrt(self._latent_variance()))).inv_cdf(min(0.5 + better_by, 0.999))
        return paired_difference(self._scores(self.arms[arm] + shift), self.reference, clusters=self.clusters)

    def _scores(self, latent: NDArray[np.float64]) -> NDArray[np.float64]:
        return (latent > 0).astype(np.float64) if self.setting.binary else latent

    def _latent_variance(self) -> float:
        setting = self.setting
        return setting.item**2 + setting.own**2 + setting.cluster**2 + setting.seed**2 + 1


def simulate(setting: Setting, studies: int, seed: int) -> Findings:
    """Simulate the setting's studies, once without any true difference and twice with one arm better."""
    made = [Study(setting, np.random.default_rng([seed, number])) for number in range(studies)]
    null = [[study.compare(arm) for arm in range(ARMS)] for study in made]
    covered = [difference.low <= 0 <= difference.high for study in null for difference in study]
    wrong = [min(holm([difference.p for difference in study])) <= 0.05 for study in null]
    every = [difference for study in null for difference in study]
    typical = replace(every[0], variation=_mean([difference.variation for difference in every if difference.variation]))
    visible = smallest_visible(typical, comparisons=ARMS)
    stated = [smallest_visible(study[0], comparisons=ARMS) for study in null]
    return Findings(
        setting=f"{setting.name} ({setting.items} items)",
        test=every[0].test,
        coverage=float(np.mean(covered)),
        family_wise=float(np.mean(wrong)),
        visible=visible,
        found=_found(made, null, [visible] * studies),
        stated=float(np.mean(stated)),
        found_at_stated=_found(made, null, [*stated[1:], stated[0]]),
        bounds=setting.bounds,
    )


def _mean(variations: Sequence[Variation]) -> Variation:
    """The mean squares averaged: the design's own, but for the simulation's chance."""
    seed, item, residual = np.mean([(one.seed, one.item, one.residual) for one in variations], axis=0)
    return replace(variations[0], seed=float(seed), item=float(item), residual=float(residual))


def _found(made: Sequence[Study], null: Sequence[Sequence[Difference]], sizes: Sequence[float]) -> float:
    """The share of studies that call their first arm better, once it is better by its size; the others stay equal."""
    found = 0
    for study, (_, *others), size in zip(made, null, sizes, strict=True):
        first = study.compare(0, better_by=size)
        p_holm = holm([first.p, *(other.p for other in others)])[0]
        found += outcome(first, margin=0.0, p_holm=p_holm) == "better"
    return found / len(made)


def claims(loss: Loss, studies: int, seed: int) -> Claims:
    """Simulate four times as many comparisons as `studies`, since the share is small; as many without a loss."""
    items = loss.items or (loss.normal.items if loss.normal else 0)
    lost, equal = (
        float(np.mean([_not_worse(loss, by, np.random.default_rng([seed, number])) for number in range(many)]))
        for by, many in ((loss.margin, 4 * studies), (0.0, studies))
    )
    return Claims(f"{loss.name}, margin {loss.margin:g} ({items} items)", lost, equal)


def _not_worse(loss: Loss, by: float, random: np.random.Generator) -> bool:
    if loss.normal:
        found = Study(loss.normal, random).compare(0, better_by=-by)
    else:
        at_risk = random.random((1, loss.items))
        chance = 2 / 3 + (random.uniform(-1 / 3, 1 / 3, (loss.seeds, 1)) if loss.varies else 0)
        hit = random.random((loss.seeds, loss.items)) < chance
        losing, winning = at_risk < 1.5 * (by + loss.gain), at_risk > 1 - 1.5 * loss.gain
        reference = np.where(losing, 1.0, np.where(winning, 0.0, random.random((1, loss.items)) < 0.8))
        found = paired_difference(reference - (losing & hit) + (winning & hit), reference)
    return outcome(found, loss.margin) in ("not worse", "better")


def table(findings: Sequence[Findings]) -> str:
    """The findings in columns."""
    lines = [f"{'setting':<62} {'cover':>6} {'family':>6} {'visible':>8} {'found':>6} {'stated':>7} {'found':>6}"]
    for one in findings:
        lines.append(
            f"{one.setting:<62} {one.coverage:6.1%} {one.family_wise:6.1%} {one.visible:8.3f} {one.found:6.1%} "
            f"{one.stated:7.3f} {one.found_at_stated:6.1%}{'' if one.held else '  missed'}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate every setting, print the tables, and say by the exit code whether all bounds were kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000, help="how many to simulate for each setting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    options = parser.parse_args(arguments)
    findings = []
    for setting in SETTINGS:
        findings.append(simulate(setting, options.studies, options.seed))
        header, line = table(findings[-1:]).splitlines()
        print(line if findings[1:] else f"{header}\n{line}", flush=True)
    print(f"\n{'a true loss of the margin':<62} {'called not worse':>17} {'without a loss':>15}")
    called = []
    for loss in LOSSES:
        called.append(claims(loss, options.studies, options.seed))
        one = called[-1]
        missed = "" if one.held else "  missed"
        print(f"{one.loss:<62} {one.wrongly:17.1%} {one.rightly:15.1%}{missed}", flush=True)
    every: list[Findings | Claims] = [*findings, *called]
    if options.json:
        options.json.write_text(json.dumps([asdict(one) | {"held": one.held} for one in every], indent=2) + "\n")
    return 0 if all(one.held for one in every) else 1


if __name__ == "__main__":
    sys.exit(main())
