"""Every kind of method on every kind of model, beside a plain padded loop: is a study quicker throughout?

    python benchmarks/methods_speed.py [--quick] [--json FILE]

Full fine-tuning, LoRA, prompt tuning, an adapter (Pfeiffer) and BitFit, on a Llama, a BERT and a T5 of about 10M
parameters with random weights; pairs of DialogSum's lengths, batch 8, fp32. Ours is a run as a study has it; beside
it stands a plain loop of transformers and peft over the same batches, padded, with every position through the head
(adapters and biases are the same modules as ours), from the same random weights and by the same fused AdamW. Steps in
turns, one core, one thread, after a warm-up; ratios of the medians of tokens per processor second, and per second of
wall-clock; and how far the losses of the first step are apart. The goal is 1.5x in every cell; those below are marked.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.speed.folder import empty_folder  # noqa: E402
from benchmarks.speed.machine import cores, machine  # noqa: E402
from benchmarks.speed.method_cells import ARCHITECTURES, METHODS, Cells, make_cells  # noqa: E402
from benchmarks.speed.peer import Runner, failed, in_turns  # noqa: E402
from benchmarks.speed.text_table import text_table  # noqa: E402
from benchmarks.speed.work import BATCH, given_order  # noqa: E402

GOAL = 1.5
ALIKE = 1e-4


def cell(cells: Cells, method: str, out: Path, rounds: int) -> dict[str, Any]:
    """One method on one architecture: our rate and the plain loop's."""
    core, rows = cores()[-1], [cells.rows[place] for batch in given_order(len(cells.rows)) for place in batch]
    common = {"study": str(cells.study), "arm": method, "core": core}
    plain = {**common, "architecture": cells.architecture, "model": str(cells.model), "rows": rows, "batch_size": BATCH}
    name = f"{cells.architecture}-{method}"
    runners = {
        "ours": Runner(
            sys.executable, "run_luthier.py", {**common, "out": str(out / name), "prompts": 0}, out / f"{name}-ours.log"
        ),
        "plain": Runner(sys.executable, "run_plain_method.py", plain, out / f"{name}-plain.log"),
    }
    found = in_turns(runners, rounds, seconds=1e9)
    ours, theirs = found["ours"], found["plain"]
    if failed(ours) or failed(theirs):
        return {"error": ours.note or theirs.note}
    return {
        "cpu_ratio": ours.cpu_rate / theirs.cpu_rate,
        "wall_ratio": ours.rate / theirs.rate,
        "ours": ours.cpu_rate,
        "plain": theirs.cpu_rate,
        "loss_difference": abs(ours.losses[0] - theirs.losses[0]),
    }


def table(found: dict[str, dict[str, Any]]) -> str:
    """A row a method: CPU ratio (wall ratio) and how far the first losses are apart, or why there is none."""
    rows, reasons = [], []
    for method in METHODS:
        row = [method]
        for architecture in ARCHITECTURES:
            one = found[architecture].get(method)
            if one is None:
                row.append("-")
            elif "cpu_ratio" not in one:
                row.append("-")
                reasons.append(f"{method} on {architecture}: {one.get('refused') or one['error']}")
            else:
                low = "" if one["cpu_ratio"] > GOAL else " !"
                apart = one["loss_difference"]
                row.append(f"{one['cpu_ratio']:.2f}x ({one['wall_ratio']:.2f}x) {apart:.0e}{low}")
                if not apart <= ALIKE:  # NaN is not
                    reasons.append(f"{method} on {architecture}: first losses are {apart:.1e} apart, above {ALIKE:g}")
        rows.append(row)
    legend = (
        "tokens per CPU second against the plain loop's (by wall-clock), and the difference of the first step's "
        f"losses; ! marks what is not above {GOAL}x"
    )
    return "\n".join([text_table(("method", *ARCHITECTURES), rows), legend, *reasons])


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the cells, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 steps a cell instead of 20")
    parser.add_argument("--steps", type=int, help="timed steps a cell")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    parser.add_argument("--d-model", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--out", type=empty_folder, help="an empty folder to work in; a temporary one by default")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    options = parser.parse_args(arguments)
    out = options.out or Path(tempfile.mkdtemp(prefix="luthier-methods-speed-"))
    rounds = options.steps or (4 if options.quick else 20)
    found: dict[str, dict[str, Any]] = {architecture: {} for architecture in ARCHITECTURES}
    for architecture in options.architectures:
        # A step is held up until it is asked for, so there is one more than is timed.
        cells = make_cells(out / architecture, architecture, BATCH * (rounds + 3), options.d_model, options.layers)
        for method in options.methods:
            if method in cells.refused:
                found[architecture][method] = {"refused": cells.refused[method]}
            else:
                found[architecture][method] = cell(cells, method, out / architecture, rounds)
            print(architecture, method, found[architecture][method], file=sys.stderr, flush=True)
    where = machine()
    print(f"{where['cpu_name']}, one core, load {where['load']}, {where['date']}: {where['command']}\n")
    print(table(found))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": where, "cells": found}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
