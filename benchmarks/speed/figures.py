"""The figures of one run of `study16.py`, and what follows from them: ratios, utilisation, whole studies."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.speed.gates import Gate
from benchmarks.speed.line_up import BOUND, OURS, RANDOM, ROW_AT_A_TIME, SORTED, TUNED
from benchmarks.speed.our_study import OurStudy
from benchmarks.speed.peer import Timed, failed
from benchmarks.speed.text_table import text_table

PRODUCTS = "products"


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        flops: of a trained token, by rank.
        tokens: of the training set.
        arms: runs of the study.
        ranks: of the study.
        new_tokens: that they answered with, together.
        cores: of the machine.
        ours: our study on the clock.
        training: by rank, then by name: optimizer steps in turns.
        answers: by name: answers in turns.
        gates: what must hold.
    """

    flops: Mapping[int, float]
    tokens: int
    arms: int
    ranks: Sequence[int]
    new_tokens: int
    cores: int
    ours: OurStudy
    training: Mapping[int, Mapping[str, Timed]]
    answers: Mapping[str, Timed]
    gates: list[Gate]

    @property
    def peaks(self) -> dict[str, float]:
        """FLOP/s of a core in matrix products, the best of each kind."""
        last = [ranks[PRODUCTS] for ranks in self.training.values()]
        rates = [timed.extra.get("rates", {}) for timed in last]
        return {name: max(rate[name] for rate in rates if name in rate) for name in rates[0]}

    def rate(self, name: str, cpu: bool = False, among: Sequence[int] = ()) -> float | None:
        """Tokens a second and core, the mean over ranks (all that were timed by default) of the medians; None where a
        rank is unknown."""
        timed = [self.training[rank].get(name) for rank in among or self.training]
        known = [one for one in timed if one is not None and not failed(one)]
        if len(known) < len(timed):
            return None
        return statistics.harmonic_mean(timed.cpu_rate if cpu else timed.rate for timed in known)

    @property
    def names(self) -> list[str]:
        """Whoever trained, in order."""
        first = next(iter(self.training.values()))
        return [name for name in first if name != PRODUCTS]


def training_table(figures: Figures) -> str:
    """Rates, ratios, utilisation and memory of whoever trained."""
    peak = max(figures.peaks.values())
    flops = statistics.mean(figures.flops.values())
    ours, ours_cpu = figures.rate(OURS), figures.rate(OURS, cpu=True)
    rows = []
    for name in figures.names:
        timed = [ranks[name] for ranks in figures.training.values()]
        rate, cpu = figures.rate(name), figures.rate(name, cpu=True)
        note = "; ".join(dict.fromkeys(one.note for one in timed if one.note))
        if rate is None or cpu is None or ours is None or ours_cpu is None:
            rows.append((name, "", "", "", "", "", "", note))
            continue
        steps = "+".join(str(len(one.wall)) for one in timed)
        memory = max(one.peak_bytes for one in timed) / 2**20
        used = "" if name == BOUND else f"{rate * flops / peak:.0%}"  # it makes fewer of them a token
        rows.append(
            (
                name, f"{rate:,.0f}", f"{cpu:,.0f}", f"{ours / rate:.2f}x", f"{ours_cpu / cpu:.2f}x",
                used, f"{memory:,.0f} MB", f"{steps} steps{'; ' + note if note else ''}",
            )
        )  # fmt: skip
    header = ("training, one core", "tokens/s", "per CPU s", "ours is", "by CPU", "of peak", "memory", "")
    peaks = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in figures.peaks.items())
    ceiling = f"ceiling: {peak / flops:,.0f} tokens/s at {flops / 1e6:.0f} MFLOP a token; products, GFLOP/s: {peaks}"
    study = (
        f"{OURS}, in the study: {figures.ours.train_rate:,.0f} trained and {figures.ours.answer_rate:,.0f} generated "
        f"tokens/s and core, all {figures.ours.workers} at work"
    )
    return "\n".join([text_table(header, rows), ceiling, study])


def answers_table(figures: Figures) -> str:
    """Rates and ratios of whoever answered."""
    ours = figures.answers[OURS]
    rows = [
        (name, f"{timed.rate:.1f}", f"{timed.cpu_rate:.1f}", f"{ours.rate / timed.rate:.2f}x", timed.note)
        for name, timed in figures.answers.items()
        if timed.wall and ours.wall
    ]
    return text_table(("answers, one core", "tokens/s", "per CPU s", "ours is", ""), rows)


def extrapolated(figures: Figures) -> list[tuple[str, float, str]]:
    """Seconds of the whole study: ours on the clock, the others' by their rates at the study's ranks.

    Where not all of these were timed, those that were stand for all, and the last column says so.
    """
    found = [(f"{OURS}, on the clock", figures.ours.seconds, "measured")]
    slowest, tidy = figures.answers[RANDOM], figures.answers[SORTED]
    among, how = figures.ranks, "extrapolated"
    if not all(rank in figures.training for rank in figures.ranks):
        among = tuple(figures.training)
        timed_at, own = (", ".join(map(str, ranks)) for ranks in (among, figures.ranks))
        how = f"extrapolated: rank {timed_at} stands for {own}"
    for name in figures.names:
        if name == BOUND:
            continue
        rate = figures.rate(name, among=among)
        answers = figures.answers[OURS] if name == OURS else tidy if name.startswith(TUNED) else slowest
        if rate is None or failed(answers):
            continue
        seconds = figures.arms * figures.tokens / rate + figures.new_tokens / answers.rate
        found.append((name, seconds / figures.cores, how))
    return found


def goals(figures: Figures) -> list[str]:
    """The ratios that matter, beside goal and floor: each to the fastest setting of a peer, and what it could be at
    most in fp32."""
    lines = []
    ours, bound_rate = figures.rate(OURS), figures.rate(BOUND) if BOUND in figures.names else None
    for peer, goal, floor in (("TRL as installed", 5.0, 4.0), (TUNED, 3.3, 2.7), ("litgpt", 3.2, 2.7)):
        rates = {name: figures.rate(name) for name in figures.names if name.startswith(peer)}
        known = {name: rate for name, rate in rates.items() if rate is not None}
        if not known or ours is None:
            lines.append(f"{peer}: not measured")
            continue
        bound = f"(goal {goal:g}x, floor {floor:g}x)"
        fastest = max(known, key=lambda name: known[name])
        most = "" if bound_rate is None else f"; {BOUND} would be {bound_rate / known[fastest]:.2f}x"
        lines.append(f"{ours / known[fastest]:.2f}x {fastest}, the fastest setting there {bound}{most}")
        padded = {name: rate for name, rate in known.items() if not name.endswith(ROW_AT_A_TIME)}
        if fastest not in padded and padded:
            fastest = max(padded, key=lambda name: padded[name])
            lines.append(f"{ours / padded[fastest]:.2f}x {fastest}, the fastest of those in padded batches {bound}")
    return [*lines, *_answer_goals(figures), _utilisation_goal(figures)]


def _answer_goals(figures: Figures) -> list[str]:
    """Beside generate in random order, which is what the goal means, and beside the faster order."""
    mine = figures.answers[OURS]
    known = {name: figures.answers[name].rate for name in (RANDOM, SORTED) if not failed(figures.answers[name])}
    if failed(mine) or RANDOM not in known:
        return ["generate: not measured"]
    fastest = max(known, key=lambda name: known[name])
    return [
        f"{mine.rate / known[RANDOM]:.2f}x transformers' {RANDOM} (goal 1.7x)",
        f"{mine.rate / known[fastest]:.2f}x transformers' {fastest}, the faster order",
    ]


def _utilisation_goal(figures: Figures) -> str:
    """Our share of the best matrix products, in bf16 where the CPU has it."""
    ours, flops = figures.rate(OURS), statistics.mean(figures.flops.values())
    if ours is None:
        return "utilisation: not measured"
    if "bf16" in figures.peaks:
        return f"{ours * flops / figures.peaks['bf16']:.0%} of the bf16 ceiling (goal 60%, floor 50%)"
    used = ours * flops / max(figures.peaks.values())
    return f"{used:.0%} of the fp32 ceiling (goal 60%, floor 50% of the bf16 ceiling; this CPU has no bf16)"
