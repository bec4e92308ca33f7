"""How cost grows: seconds of a trained token over arms 1..32, lengths 64..2048 and sizes 5M..200M.

    python benchmarks/speed_growth.py [--quick] [--json FILE]

Over **arms**: whole studies (`luthier study`, a run a core), wall-clock by trained token; start-up is in it, so the
first arms are the dearest. Over **lengths** and **sizes**: the optimizer steps of one LoRA run (rank 8) on one core,
after a warm-up; processor seconds by token, the median, beside what they would be at the FLOPs of the first line's
token. What stays flat shows the same ratio down the column; where attention (by length) or memory (by size) comes to
matter, it bends.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.speed.ceiling import training_flops  # noqa: E402
from benchmarks.speed.folder import empty_folder  # noqa: E402
from benchmarks.speed.machine import cores, machine  # noqa: E402
from benchmarks.speed.our_study import run_study  # noqa: E402
from benchmarks.speed.peer import Runner, failed, in_turns  # noqa: E402
from benchmarks.speed.text_table import text_table  # noqa: E402
from benchmarks.speed.work import BATCH, QUICK, Size, make_work  # noqa: E402

ARMS = (1, 2, 4, 8, 16, 32)
LENGTHS = (64, 128, 256, 512, 1024, 2048)
SIZES = {
    "5M": Size(128, 6, 4, 352, 8192), "11M": QUICK, "25M": Size(384, 8, 6, 1056), "57M": Size(512, 15, 8, 1408),
    "100M": Size(768, 11, 12, 2048), "200M": Size(1024, 14, 16, 2816),
}  # fmt: skip
RANK = 8


@dataclass(frozen=True)
class Point:
    """One line: what grew, how far, and the seconds of a trained token; `cpu` and `flops` of steps alone."""

    axis: str
    at: str
    wall: float
    cpu: float | None = None
    flops: float | None = None
    error: str = ""
    note: str = ""


def over_arms(out: Path, arms: Sequence[int], pairs: int) -> list[Point]:
    """Studies of more and more arms over the same data."""
    work = make_work(out / "arms", QUICK, pairs, 4)
    found = []
    for count in arms:
        rates = [1e-3 * (1 + place / 100) for place in range(count)]  # arms that differ, and cost the same
        study = work.study(f"arms{count}", [RANK], rates, [0])
        ours = run_study(study, out / f"arms-{count}", workers=len(cores()))
        found.append(Point("arms", str(count), ours.seconds / ours.train_tokens))
    return found


def one_training(out: Path, axis: str, at: str, size: Size, length: int | None, steps: int) -> Point:
    """Steps of one run, of pairs of a length (None for DialogSum's)."""
    work = make_work(out, size, BATCH * (steps + 3), 4, length=length)
    study = work.study("growth", [RANK], [1e-3], [0])
    settings = {
        "study": str(study), "arm": f"rank {RANK} rate 0.001", "out": str(out / "store"), "prompts": 0,
        "core": cores()[-1],
    }  # fmt: skip
    runner = Runner(sys.executable, "run_luthier.py", settings, out / "log.txt")
    timed = in_turns({"ours": runner}, steps, seconds=120.0)["ours"]
    if failed(timed):
        return Point(axis, at, 0.0, error=timed.note)
    return Point(axis, at, 1 / timed.rate, 1 / timed.cpu_rate, training_flops(size, work.train, RANK), note=timed.note)


def table(points: Sequence[Point]) -> str:
    """Every point, with its cost beside the first of its axis."""
    first: dict[str, Point] = {}
    rows = []
    for point in points:
        if point.error:
            rows.append((point.axis, point.at, "", "", "", "", point.error))
            continue
        start = first.setdefault(point.axis, point)
        cpu = "" if point.cpu is None else f"{1e6 * point.cpu:.0f}"
        ratio, per_flop = point.wall / start.wall, ""
        if point.cpu and start.cpu and point.flops and start.flops:
            ratio = point.cpu / start.cpu
            per_flop = f"{ratio * start.flops / point.flops:.2f}"
        rows.append((point.axis, point.at, f"{1e6 * point.wall:.0f}", cpu, f"{ratio:.2f}", per_flop, point.note))
    return text_table(("axis", "at", "wall, us a token", "CPU, us a token", "beside the first", "by FLOPs", ""), rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three points an axis, fewer steps and pairs")
    parser.add_argument("--steps", type=int, help="timed steps a point (6; quick: 2)")
    parser.add_argument("--pairs", type=int, help="training pairs of an arm (160; quick: 24)")
    parser.add_argument("--arms", type=int, nargs="*", help="numbers of arms")
    parser.add_argument("--lengths", type=int, nargs="*", help="tokens of a pair")
    parser.add_argument("--sizes", nargs="*", choices=list(SIZES), help="models")
    parser.add_argument("--out", type=empty_folder, help="an empty folder to work in; a temporary one by default")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    options = parser.parse_args(arguments)
    out = options.out or Path(tempfile.mkdtemp(prefix="luthier-growth-"))
    quick = options.quick
    steps, pairs = options.steps or (2 if quick else 6), options.pairs or (24 if quick else 160)
    arms = ((1, 4, 8) if quick else ARMS) if options.arms is None else options.arms
    lengths = ((64, 256, 1024) if quick else LENGTHS) if options.lengths is None else options.lengths
    sizes = (("5M", "11M", "25M") if quick else tuple(SIZES)) if options.sizes is None else options.sizes
    points = over_arms(out, arms, pairs)
    for length in lengths:
        points.append(one_training(out / f"length{length}", "length", str(length), QUICK, length, steps))
    for name in sizes:
        points.append(one_training(out / f"size{name}", "size", name, SIZES[name], None, steps))
    where = machine()
    print(f"{where['cpu_name']}, {where['cores']} cores, load {where['load']}, {where['date']}: {where['command']}\n")
    print(table(points))
    if options.json:
        record = {"machine": where, "points": [asdict(point) for point in points]}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
