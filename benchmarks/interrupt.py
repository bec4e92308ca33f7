"""Kill a study with SIGKILL at random moments, take it up again each time, and look for any difference.

    python benchmarks/interrupt.py [--kills 20] [--seed 0] [--folder FOLDER]

A small real study (a tiny decoder, four arms, two trials each, two workers, a checkpoint after nearly every step) runs
once undisturbed. Then it runs again, and is killed: mostly all of its processes at once, sometimes the parent alone
(the workers must die by themselves), sometimes one worker alone (the study goes on with another). After each kill the
same command is given again. Where a study has finished before all kills are spent, another is begun. What is left at
the end must be what the undisturbed study left, bit for bit: `results.json`, predictions, scores, weights and training
logs, apart from the figures of time and memory in `SET_ASIDE`; and no half-written file may lie about.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.small_study import small_study, write_rows  # noqa: E402
from tests.tiny import tiny_model  # noqa: E402

SET_ASIDE = {"seconds", "train_seconds", "predict_seconds", "tokens_per_second", "peak_bytes"}
"""Keys whose figures are of time or memory: no two runs have the same."""
COMPARED = ("results.json", "train/*/done.json", "predict/*/done.json", "sample/*/done.json", "**/*.jsonl")
WHO = {"all": 0.6, "parent": 0.2, "worker": 0.2}
"""Who is killed, and how often."""
LIMIT = 900
"""Seconds after which a study that makes no end is given up."""


def main() -> int:
    """Give 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="luthier-interrupt-"))
    folder.mkdir(parents=True, exist_ok=True)
    out, undisturbed = folder / "out", folder / "undisturbed"
    study = written_study(folder)
    for old in (out, undisturbed, *folder.glob("disturbed-*")):
        shutil.rmtree(old, ignore_errors=True)
    log = open(folder / "log.txt", "w", encoding="utf-8")  # noqa: SIM115
    begun = time.monotonic()
    if (code := begin(study, out, log).wait()) != 0:
        print(f"the undisturbed study ended with {code}: see {log.name}")
        return 1
    length = time.monotonic() - begun
    os.rename(out, undisturbed)
    print(f"undisturbed: {length:.0f} s, in {folder}")
    found = disturbed(study, out, undisturbed, log, given.kills, random.Random(given.seed))
    print(f"{given.kills} kills: " + ("; ".join(found) if found else "nothing differs"))
    print("set aside: " + ", ".join(sorted(SET_ASIDE)))
    return 1 if found else 0


def written_study(folder: Path) -> Path:
    """The study file, with the model and the rows that it names."""
    import torch

    torch.set_num_threads(1)
    model = tiny_model("llama", folder / "model", context=256)
    (folder / "rows").mkdir(exist_ok=True)
    training = {"steps": 40, "batch_size": 4, "validations": 6, "patience": 5, "checkpoint_minutes": 1e-4}
    arms = ["zero_shot", {"lora": {"dropout": 0.1}}, "full", {"prompt_tuning": {"virtual_tokens": 4}}]
    data = small_study(
        model, write_rows(folder / "rows"), name="interrupt", arms=arms, baselines=True, trials=2,
        forgetting=True, controls=True, training=training, task={"generation": {"max_new_tokens": 32}},
    )  # fmt: skip
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def begin(study: Path, out: Path, log: Any) -> subprocess.Popen[bytes]:
    """The command, in a process group of its own."""
    words = ["study", str(study), "--out", str(out), "--device", "cpu", "--workers", "2"]
    command = [sys.executable, "-m", "luthier.cli", *words]
    # How many threads compute is the study's to say: were it the environment's, a difference would not show.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def disturbed(study: Path, out: Path, undisturbed: Path, log: Any, kills: int, stream: random.Random) -> list[str]:
    """Kill and resume until all kills are spent; what differs from the undisturbed study, in words."""
    found: list[str] = []
    studies, spent, victims = 1, 0, Counter[str]()
    process = begin(study, out, log)
    print("kill  study  after    who     what stood on the disk")
    while spent < kills:
        after = moment(process, out, stream)
        if process.poll() is None:
            who = killed(process, stream.choices(list(WHO), list(WHO.values()))[0], stream)
            spent += 1
            victims[who] += 1
            print(f"{spent:4}  {studies:5}  {after:4.1f} s  {who:7} {standing(out)}", flush=True)
            if who == "parent" and not gone(process.pid):
                found.append(f"kill {spent}: workers outlived their parent")
        elif process.returncode == 0:
            found += differences(undisturbed, out)
            os.rename(out, out.with_name(f"disturbed-{studies}"))
            studies += 1
        if process.poll() is not None and spent < kills:
            process = begin(study, out, log)
    found += finished(process, study, out, log) or differences(undisturbed, out)
    print(f"killed: {', '.join(f'{who} {count}' for who, count in victims.items())}; studies: {studies}")
    return found


def finished(process: subprocess.Popen[bytes], study: Path, out: Path, log: Any) -> list[str]:
    """Let the study come to its end: once more where the last kill has ended it, and once where a run has failed."""
    for _ in range(3):
        if process.wait(LIMIT) == 0:
            return []
        process = begin(study, out, log)
    process.kill()
    return [f"the study does not come to an end: see {log.name}"]


def moment(process: subprocess.Popen[bytes], out: Path, stream: random.Random) -> float:
    """Wait for a random time: one in five within the start, the others while something is written."""
    begun = time.monotonic()
    if stream.random() < 0.2:
        wait(process, stream.uniform(0, 5))
    else:
        before = newest(out)
        while process.poll() is None and newest(out) == before and time.monotonic() - begun < LIMIT:
            time.sleep(0.05)
        wait(process, stream.choice((stream.uniform(0, 0.5), stream.uniform(0, 15))))
    return time.monotonic() - begun


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Sleep, unless the process ends before."""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def newest(out: Path) -> float:
    """When anything of a training or a prediction was last written."""
    times = [0.0]
    for path in (*out.glob("train/*/*"), *out.glob("predict/*/*")):
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue
    return max(times)


def killed(process: subprocess.Popen[bytes], who: str, stream: random.Random) -> str:
    """Send SIGKILL; gives who got it (the whole group where there is no worker yet)."""
    children = workers(process.pid)
    if who == "worker" and children:
        os.kill(stream.choice(children), signal.SIGKILL)
        return who
    if who == "parent":
        process.kill()
    else:
        who = "all"
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return who


def workers(parent: int) -> list[int]:
    """The pids of a study's workers (Linux)."""
    found = []
    for path in Path(f"/proc/{parent}/task").glob("*/children"):
        for pid in path.read_text().split():
            with suppress(OSError):  # it may be gone by now
                if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text():
                    found.append(int(pid))
    return sorted(found)


def gone(group: int, seconds: float = 60) -> bool:
    """Whether every process of a group has ended, soon."""
    until = time.monotonic() + seconds
    while running(group) and time.monotonic() < until:
        time.sleep(0.05)
    if left := running(group):
        os.killpg(group, signal.SIGKILL)
    return not left


def running(group: int) -> bool:
    """Whether any process of a group lives; one that is dead and not yet waited for does not (Linux)."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def standing(out: Path) -> str:
    """What a kill has left, in a few words."""
    patterns = {
        "results": "runs/*/result.json",
        "trained": "train/*/done.json",
        "checkpoints": "train/*/checkpoint/step-*",
        "half-written": "**/.*.tmp",
    }
    return ", ".join(f"{len(list(out.glob(pattern)))} {what}" for what, pattern in patterns.items())


def differences(first: Path, second: Path) -> list[str]:
    """What two finished studies differ in."""
    left = [*second.rglob("*.tmp"), *second.rglob("*.before"), *second.glob("train/*/checkpoint")]
    found = [f"left over: {path.relative_to(second)}" for path in left]
    names = [{str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} for root in (first, second)]
    found += [f"in one alone: {name}" for name in sorted(names[0] ^ names[1])]
    for pattern in COMPARED:
        for path in sorted(first.glob(pattern)):
            other = second / path.relative_to(first)
            if other.exists() and read(path) != read(other):
                found.append(f"differs: {path.relative_to(first)}")
    for path in sorted(first.rglob("*.safetensors")):
        other = second / path.relative_to(first)
        if other.exists() and path.read_bytes() != other.read_bytes():
            found.append(f"differs: {path.relative_to(first)}")
    return found


def read(path: Path) -> Any:
    """A JSON file, or one of JSON lines, without what is set aside."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return without(json.loads(text))
    return [without(json.loads(line)) for line in text.split("\n") if line]


def without(data: Any) -> Any:
    """Plain data without the keys of `SET_ASIDE`."""
    if isinstance(data, dict):
        return {key: without(value) for key, value in data.items() if key not in SET_ASIDE}
    return [without(item) for item in data] if isinstance(data, list) else data


if __name__ == "__main__":
    sys.exit(main())
