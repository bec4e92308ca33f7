"""Sixteen LoRA arms, trained and judged: our whole study on the clock, beside what a user would otherwise run.

    python benchmarks/study16.py --trl-python trl/bin/python --litgpt-python litgpt/bin/python [--quick] [--json FILE]

The work: a Llama-style model of 57M parameters (10.6M under `--quick`) with random weights, 2,000 pairs of
DialogSum's lengths (`speed/lengths.py`), one epoch, batch 8, AdamW, loss on the completion; LoRA on all linear layers
at ranks 4, 8, 16 and 32, two learning rates, two seeds; then 60 greedy tokens for 500 prompts an arm. Ours is
`luthier study`, a run a core, start-up and report included. Each peer (`speed/line_up.py`; how to install them:
`speed/peers.md`) trains on the same token ids, its optimizer steps in turns with the others' and with ours on one
core, after a warm-up step; medians over steps, in real tokens a second: padding does not count. What 16 arms would
take a peer is extrapolated: tokens by its median rate at each rank, on as many cores; and its answers by those of
`transformers` to 64 prompts.

The gates say whether the ratios count (`speed/gates.py`). Where this CPU has no bf16, peers in bf16 emulate it: the
table shows them as slow as they are, over as many steps as `--seconds` allows.

The full size takes hours on two cores; `--share 0.1` takes that share of the pairs and prompts, and says so. Exits
with 1 where a gate does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.speed.ceiling import training_flops  # noqa: E402
from benchmarks.speed.figures import Figures, answers_table, extrapolated, goals, training_table  # noqa: E402
from benchmarks.speed.gates import (  # noqa: E402
    RANK,
    RATE,
    Gate,
    answers_gate,
    first_adapter,
    losses_gate,
    memory_gate,
    start_gate,
)  # fmt: skip
from benchmarks.speed.line_up import OURS, Pythons, time_answers, time_training  # noqa: E402
from benchmarks.speed.machine import cores, machine  # noqa: E402
from benchmarks.speed.our_study import OurStudy, run_study, weights_of  # noqa: E402
from benchmarks.speed.peer import Timed  # noqa: E402
from benchmarks.speed.text_table import text_table  # noqa: E402
from benchmarks.speed.work import FULL, QUICK, RANKS, RATES, SEEDS, Work, make_work  # noqa: E402


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; `--quick` changes what is not given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a 10.6M model and little of everything: under 5 minutes")
    parser.add_argument("--share", type=float, default=1.0, help="of the pairs and prompts of our study")
    parser.add_argument("--pairs", type=int, help="training pairs (2000; quick: 24)")
    parser.add_argument("--prompts", type=int, help="prompts answered by each arm (500; quick: 4)")
    parser.add_argument("--arms", type=int, default=16, help="runs of our study")
    parser.add_argument("--steps", type=int, help="timed steps of each peer and rank (40; quick: 2)")
    parser.add_argument("--ranks", type=int, nargs="+", help="at which peers are timed (4 8 16 32; quick: 8)")
    parser.add_argument(
        "--answers", type=int, help="prompts of the study that we and generate are timed on (64; quick: 4)"
    )
    parser.add_argument("--rounds", type=int, help="of those answers (3; quick: 1)")
    parser.add_argument("--gate-steps", type=int, help="steps over which losses are compared (40; quick: 3)")
    parser.add_argument("--seconds", type=float, help="after which a peer leaves the rounds (1800; quick: 10)")
    parser.add_argument("--trl-python", type=Path, help="of an environment with trl and peft")
    parser.add_argument("--litgpt-python", type=Path, help="of an environment with litgpt")
    parser.add_argument("--out", type=Path, help="where to work; a temporary folder by default")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    options = parser.parse_args(arguments)
    full = {
        "pairs": 2000, "prompts": 500, "steps": 40, "ranks": list(RANKS), "answers": 64, "rounds": 3,
        "gate_steps": 40, "seconds": 1800.0,
    }  # fmt: skip
    quick = {
        "pairs": 24, "prompts": 4, "steps": 2, "ranks": [8], "answers": 4, "rounds": 1, "gate_steps": 3,
        "seconds": 10.0,
    }  # fmt: skip
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.pairs, options.prompts = (max(4, round(options.share * n)) for n in (options.pairs, options.prompts))
    return options


def our_study(work: Work, options: argparse.Namespace, out: Path) -> tuple[Path, Path, OurStudy]:
    """Run the study; gives its file, its store, and how it went."""
    half = max(1, options.arms // (len(RATES) * len(SEEDS)))
    study = work.study("study16", RANKS[:half], RATES, SEEDS)
    return study, out / "study", run_study(study, out / "study", workers=len(cores()))


def gates(work: Work, options: argparse.Namespace, out: Path, core: int) -> list[Gate]:
    """Those that a small study of its own shows, in fp32: losses, answers, and how quickly a second run starts."""
    few = make_work(out / "gate", work.size, pairs=8 * options.gate_steps, prompts=min(16, options.answers))
    study = few.study("gate", [RANK], [RATE], [0], precision="fp32")
    run_study(study, out / "gate-first", workers=1)
    second = run_study(study, out / "gate-second", workers=1)
    first_adapter(study, out / "gate-adapter")
    found = []
    if options.trl_python:
        found.append(losses_gate(few, out / "gate-second", out / "gate-adapter", options.trl_python, out, core))
    prompts = len(few.test)
    found.append(answers_gate(few, out / "gate-second", Path(sys.executable), out, core, prompts))
    found.append(start_gate(second.first_step, second.loop_began))
    return found


def measure(options: argparse.Namespace, out: Path) -> Figures:
    """Everything, in one run."""
    size, core = QUICK if options.quick else FULL, cores()[-1]
    say(f"the work, in {out}")
    # Peers take as many pairs as their steps need, where the study has fewer.
    work = make_work(out / "work", size, options.pairs, options.prompts)
    longer = make_work(out / "steps", size, max(options.pairs, 8 * (options.steps + 3)), 8)
    say("our study")
    study, store, ours = our_study(work, options, out)
    say(f"  {ours.seconds:.0f} s")
    peers: dict[int, dict[str, Timed]] = {}
    pythons = Pythons(options.trl_python, options.litgpt_python)
    steps = longer.study("steps", RANKS, RATES[:1], SEEDS[:1])
    for rank in options.ranks:
        say(f"training in turns, rank {rank}")
        peers[rank] = time_training(
            longer,
            steps,
            pythons,
            out / "peers",
            rank=rank,
            rounds=options.steps,
            seconds=options.seconds,
            core=core,
            emulated=not options.quick,
        )
    say("answers in turns")
    arm = f"rank {RANKS[0]} rate {RATES[0]:g}"
    answers = time_answers(
        work, study, store, out, arm=arm, weights=weights_of(store, arm), prompts=min(options.answers, options.prompts),
        rounds=options.rounds, core=core,
    )  # fmt: skip
    say("gates")
    found = gates(work, options, out, core)
    last = peers[options.ranks[-1]]
    beside = [timed for name, timed in last.items() if name not in (OURS, "products")]
    found.append(memory_gate(last[OURS], beside))
    return Figures(
        flops={rank: training_flops(size, longer.train, rank) for rank in options.ranks},
        tokens=sum(len(pair.ids) for pair in work.train),
        arms=ours.runs,
        new_tokens=ours.new_tokens,
        cores=len(cores()),
        ours=ours,
        training=peers,
        answers=answers,
        gates=found,
    )


def say(line: str) -> None:
    """How far it is, to stderr."""
    print(line, file=sys.stderr, flush=True)


def printed(figures: Figures, options: argparse.Namespace, where: dict[str, Any]) -> str:
    """The tables with all that belongs to them."""
    size = "10.6M, quick" if options.quick else "57M"
    part = "" if options.share == 1 else f", a share of {options.share:g} of the full size"
    missing = [name for name in ("trl", "litgpt") if getattr(options, f"{name}_python") is None]
    studies = [(name, f"{seconds:,.0f}", how) for name, seconds, how in extrapolated(figures)]
    marks = {None: "----", True: "pass", False: "FAIL"}
    lines = [
        f"{figures.arms} LoRA runs, {size} model{part}: {options.pairs} pairs and {options.prompts} prompts each",
        f"{where['cpu_name']}, {figures.cores} cores, load {where['load']}, {where['date']}: {where['command']}",
        *(f"{name} is left out: no --{name}-python was given" for name in missing),
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
