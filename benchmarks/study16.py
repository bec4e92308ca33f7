"""Sixteen LoRA arms, trained and judged: our whole study on the clock, beside what a user would otherwise run.

    python benchmarks/study16.py --trl-python trl/bin/python --litgpt-python litgpt/bin/python [--quick] [--json FILE]

The work: a Llama-style model of 57M parameters (10.6M under `--quick`) with random weights, 2,000 pairs of
DialogSum's lengths (`speed/lengths.py`), one epoch, batch 8, AdamW, loss on the completion; LoRA on all linear layers
at ranks 4, 8, 16 and 32, two learning rates, two seeds; then 60 greedy tokens for 500 prompts an arm. Ours is
`luthier study`, a run a core, start-up and report included. Each peer (`speed/line_up.py`; how to install them:
`speed/peers.md`) trains on the same token ids, its optimizer steps in turns with the others' and with ours on one
core, after a warm-up step; medians over steps, in real tokens a second: padding does not count. What 16 arms would
take a peer is extrapolated: tokens by its median rate at each rank, on as many cores; and its answers by those of
`transformers`, adapter merged, to 64 prompts.

The gates say whether the ratios count (`speed/gates.py`). Where this CPU has no bf16, peers in bf16 emulate it: the
table shows them as slow as they are, over as many steps as `--seconds` allows; `--quick` leaves them out.

The full size takes hours on two cores; `--share 0.1` takes that share of the pairs and prompts, and says so; what is
measured lies in `--out` round by round. Exits with 1 where a gate does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.speed.ceiling import training_flops  # noqa: E402
from benchmarks.speed.figures import PRODUCTS, Figures, answers_table, extrapolated, goals, training_table  # noqa: E402
from benchmarks.speed.folder import empty_folder  # noqa: E402
from benchmarks.speed.gate_studies import GateStudies  # noqa: E402
from benchmarks.speed.gates import memory_gate  # noqa: E402
from benchmarks.speed.line_up import BOUND, OURS, Pythons, time_answers, time_training  # noqa: E402
from benchmarks.speed.machine import cores, machine  # noqa: E402
from benchmarks.speed.our_study import run_study, weights_of  # noqa: E402
from benchmarks.speed.peer import Timed  # noqa: E402
from benchmarks.speed.text_table import text_table  # noqa: E402
from benchmarks.speed.work import BATCH, FULL, QUICK, RANKS, RATES, SEEDS, make_work  # noqa: E402
from luthier.core.environment import has_fast_bf16  # noqa: E402


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; `--quick` changes what is not given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a 10.6M model and little of everything: under 5 minutes")
    parser.add_argument("--share", type=float, default=1.0, help="of the pairs and prompts of our study")
    parser.add_argument("--pairs", type=int, help="training pairs (2000; quick: 24)")
    parser.add_argument("--prompts", type=int, help="prompts answered by each arm (500; quick: 2)")
    parser.add_argument("--arms", type=int, default=16, help="runs of our study")
    parser.add_argument("--steps", type=int, help="timed steps of each peer and rank (40; quick: 2)")
    parser.add_argument("--ranks", type=int, nargs="+", help="at which peers are timed (the study's; quick: 8)")
    parser.add_argument("--answers", type=int, help="prompts that we and generate are timed on (64; quick: 16)")
    parser.add_argument("--rounds", type=int, help="of those answers (3; quick: 1)")
    parser.add_argument("--gate-steps", type=int, help="steps over which losses are compared (40; quick: 2)")
    parser.add_argument("--seconds", type=float, help="after which a peer leaves the rounds (1800; quick: 10)")
    parser.add_argument(
        "--no-emulated", action="store_true", help="leave out bf16 that this CPU emulates (as quick does)"
    )
    parser.add_argument("--trl-python", type=Path, help="of an environment with trl and peft")
    parser.add_argument("--litgpt-python", type=Path, help="of an environment with litgpt")
    parser.add_argument("--out", type=empty_folder, help="an empty folder to work in; a temporary one by default")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    options = parser.parse_args(arguments)
    full = {
        "pairs": 2000, "prompts": 500, "steps": 40, "ranks": ranks_of(options), "answers": 64, "rounds": 3,
        "gate_steps": 40, "seconds": 1800.0,
    }  # fmt: skip
    quick = {
        "pairs": 24, "prompts": 2, "steps": 2, "ranks": [8], "answers": 16, "rounds": 1, "gate_steps": 2,
        "seconds": 10.0,
    }  # fmt: skip
    options.emulated = not (options.quick or options.no_emulated)
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.pairs, options.prompts = (max(2, round(options.share * n)) for n in (options.pairs, options.prompts))
    return options


def ranks_of(options: argparse.Namespace) -> tuple[int, ...]:
    """The ranks of a study of so many runs."""
    return RANKS[: max(1, options.arms // (len(RATES) * len(SEEDS)))]


def measure(options: argparse.Namespace, out: Path) -> Figures:
    """Everything, in one run."""
    size, core = QUICK if options.quick else FULL, cores()[-1]
    with part(f"the work, in {out}"):
        # Peers take as many pairs as their steps need, and we all as many prompts, where the study has fewer.
        work = make_work(out / "work", size, options.pairs, options.prompts)
        longer = make_work(out / "steps", size, max(options.pairs, BATCH * (options.steps + 3)), 8)
        asked = make_work(out / "answers", size, options.pairs, options.answers)
    ranks = ranks_of(options)
    with part("our study"):
        ours = run_study(work.study("study16", ranks, RATES, SEEDS), out / "study", workers=len(cores()))
        (out / "study.json").write_text(json.dumps(ours.record(), indent=1) + "\n", encoding="utf-8")
    peers: dict[int, dict[str, Timed]] = {}
    pythons = Pythons(options.trl_python, options.litgpt_python)
    steps = longer.study("steps", options.ranks, RATES[:1], SEEDS[:1])
    for rank in options.ranks:
        with part(f"training in turns, rank {rank}"):
            peers[rank] = time_training(
                longer, steps, pythons, out / "peers", rank=rank, rounds=options.steps, seconds=options.seconds,
                core=core, emulated=options.emulated,
            )  # fmt: skip
    arm = f"rank {ranks[0]} rate {RATES[0]:g}"
    with part("answers in turns"):
        # The same training set: the study's weights are those of this one too.
        answers = time_answers(
            asked, asked.study("study16", ranks, RATES, SEEDS), out / "study", out, arm=arm,
            weights=weights_of(out / "study", arm), prompts=options.answers, rounds=options.rounds, core=core,
        )  # fmt: skip
    with part("gates"):
        prompts = 2 if options.quick else 16
        gates = GateStudies(size, options.gate_steps, prompts, options.trl_python, out / "gate", core).gates()
    last = peers[options.ranks[-1]]
    beside = [timed for name, timed in last.items() if name not in (OURS, BOUND, PRODUCTS)]
    return Figures(
        flops={rank: training_flops(size, longer.train, rank) for rank in options.ranks},
        tokens=sum(len(pair.ids) for pair in work.train),
        arms=ours.runs,
        ranks=ranks,
        new_tokens=ours.new_tokens,
        cores=len(cores()),
        ours=ours,
        training=peers,
        answers=answers,
        gates=[*gates, memory_gate(last[OURS], beside)],
    )


@contextmanager
def part(name: str) -> Iterator[None]:
    """How far it is and how long that took, to stderr."""
    begun = time.perf_counter()
    print(name, file=sys.stderr, flush=True)
    yield
    print(f"  {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)


def printed(figures: Figures, options: argparse.Namespace, where: dict[str, Any]) -> str:
    """The tables with all that belongs to them."""
    size = "10.6M, quick" if options.quick else "57M"
    part = "" if options.share == 1 else f", a share of {options.share:g} of the full size"
    left_out = [name for name in ("trl", "litgpt") if getattr(options, f"{name}_python") is None]
    studies = [(name, f"{seconds:,.0f}", how) for name, seconds, how in extrapolated(figures)]
    emulated = not options.emulated and not has_fast_bf16("cpu")
    marks = {None: "----", True: "pass", False: "FAIL"}
    lines = [
        f"{figures.arms} LoRA runs, {size} model{part}: {options.pairs} pairs and {options.prompts} prompts each",
        f"{where['cpu_name']}, {figures.cores} cores, load {where['load']}, {where['date']}: {where['command']}",
        *(f"{name} is left out: no --{name}-python was given" for name in left_out),
        *(["left out: peers in bf16, which this CPU emulates"] if emulated else []),
        *([f"{options.answers} answers are one batch: both orders are the same work"] if options.answers <= 16 else []),
        "",
        training_table(figures),
        "",
        answers_table(figures),
        "",
        text_table(("the whole study", "seconds", ""), studies),
        "",
        *goals(figures),
        "",
        *(f"{marks[gate.held]}  {gate.name}: {gate.figure}" for gate in figures.gates),
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 where a gate does not hold."""
    options = parsed(arguments)
    out = options.out or Path(tempfile.mkdtemp(prefix="luthier-study16-"))
    out.mkdir(parents=True, exist_ok=True)
    where = machine()
    figures = measure(options, out)
    print(printed(figures, options, where))
    if options.json:
        asked = {name: str(value) for name, value in vars(options).items()}
        record = {"machine": where, "options": asked, **asdict(figures), "extrapolated": extrapolated(figures)}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if any(gate.held is False for gate in figures.gates) else 0


if __name__ == "__main__":
    sys.exit(main())
