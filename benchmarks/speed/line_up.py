"""Who trains beside whom: each peer in the settings that it stands for, and ourselves.

- **TRL as installed**: `SFTConfig(use_cpu=True)`, which is bf16 autocast with gradient checkpointing, random batches.
  Where the CPU has no bf16, the same in fp32 stands beside it; and alone, where there is no time for emulation.
- **TRL tuned**: no checkpointing, batches grouped by length, bf16 or fp32, whichever is faster.
- **litgpt**: its LoRA in fp32 and `bf16-true`, in padded batches of 8 and a row at a time (its default), which pads
  nothing; the last in bf16 only where the CPU has it.
- **transformers + peft**: a plain loop over padded batches, fp32; where there is no TRL (`methods_speed.py` has it
  throughout).
- **Luthier**: a run as a study has it.
- **Frozen products alone**: no peer but a bound, the matrix products that no LoRA training in fp32 can do without.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.peer import Runner, Timed, in_turns, rows_in
from benchmarks.speed.work import BATCH, CONTEXT, NEW_TOKENS, RATES, Work, given_order, grouped_order
from luthier.core.environment import has_fast_bf16

OURS = "Luthier"
TUNED = "TRL tuned"
RANDOM = "generate, merged, batches of 16, random order"
SORTED = "generate, merged, batches of 16, sorted"
ROW_AT_A_TIME = ", a row at a time"
BOUND = "frozen products alone, fp32"


@dataclass(frozen=True)
class Pythons:
    """The environments of the peers; None where there is none."""

    trl: Path | None
    litgpt: Path | None


def time_training(
    work: Work,
    study: Path,
    pythons: Pythons,
    out: Path,
    *,
    rank: int,
    rounds: int,
    seconds: float,
    core: int,
    emulated: bool,
) -> dict[str, Timed]:
    """Every peer's optimizer steps at one rank, in turns, on one core; and the best matrix products between them.

    Args:
        work, study: what all train on, and the file with an arm `rank R rate ..` for our own run.
        pythons: of the peers.
        out: for logs and stores.
        rank: of LoRA.
        rounds, seconds: as for `in_turns`.
        core: that all work on.
        emulated: whether peers are timed in bf16 where the CPU has none, which takes minutes a step.
    """
    bf16 = has_fast_bf16("cpu") or emulated
    out.mkdir(parents=True, exist_ok=True)
    mixed = rows_in(given_order(len(work.train)), work.train)
    grouped = rows_in(grouped_order(work.train), work.train)
    common = {"model": str(work.model), "batch_size": BATCH, "rank": rank, "core": core}
    asked: dict[str, tuple[Path | str, str, Mapping[str, Any]]] = {}
    if pythons.trl:
        for name, config in _trl_settings(bf16).items():
            asked[name] = (
                pythons.trl,
                "run_trl.py",
                {"rows": grouped if name.startswith(TUNED) else mixed, "config": config, "out": str(out / "trl")},
            )
    if pythons.litgpt:
        size = {**asdict(work.size), "context": CONTEXT}
        for name, precision, micro in (
            ("litgpt fp32", "32-true", BATCH), ("litgpt bf16-true", "bf16-true", BATCH),
            (f"litgpt fp32{ROW_AT_A_TIME}", "32-true", 1), (f"litgpt bf16-true{ROW_AT_A_TIME}", "bf16-true", 1),
        ):  # fmt: skip
            slow = not has_fast_bf16("cpu") and micro == 1
            if precision == "bf16-true" and (slow or not bf16):
                continue
            settings = {"rows": mixed, "size": size, "precision": precision, "micro_batch_size": micro}
            asked[name] = (pythons.litgpt, "run_litgpt.py", settings)
    if not pythons.trl:
        asked["transformers + peft"] = (sys.executable, "run_plain.py", {"rows": mixed})
    store, arm = out / f"ours-{rank}", f"rank {rank} rate {RATES[0]:g}"
    asked[OURS] = (sys.executable, "run_luthier.py", {"study": str(study), "arm": arm, "out": str(store), "prompts": 0})
    asked[BOUND] = (sys.executable, "run_products.py", {"rows": mixed, "size": asdict(work.size)})
    asked["products"] = (sys.executable, "run_gemm.py", {"bf16": has_fast_bf16("cpu")})
    runners = {
        name: Runner(python, script, {**common, **settings}, out / f"{name} {rank}.log".replace(" ", "_"))
        for name, (python, script, settings) in asked.items()
    }
    return in_turns(runners, rounds, seconds, record=out / f"rank {rank}.json".replace(" ", "_"))


def _trl_settings(bf16: bool) -> dict[str, dict[str, Any]]:
    """`SFTConfig`'s settings; those of `TRL tuned` work on grouped rows."""
    installed: dict[str, dict[str, Any]] = {"TRL as installed": {"use_cpu": True}} if bf16 else {}
    if not has_fast_bf16("cpu"):
        installed["TRL as installed, but fp32"] = {"use_cpu": True, "bf16": False}
    tuned = {"use_cpu": True, "gradient_checkpointing": False}
    if bf16:
        installed[f"{TUNED}, bf16"] = {**tuned, "bf16": True}
    return {**installed, f"{TUNED}, fp32": {**tuned, "bf16": False}}


def time_answers(
    work: Work, study: Path, store: Path, out: Path, *, arm: str, weights: Path, prompts: int, rounds: int, core: int
) -> dict[str, Timed]:
    """Greedy answers by transformers' generate, in random order and sorted by length, and by ourselves, in turns.

    The peer has its adapter merged, answers in batches of 16, and works in the precision that our study has.

    Args:
        work, study: the prompts, and a study over them whose trainings are in the store.
        store: of our finished study.
        out: for logs.
        arm, weights: who answers, and where the store has its adapter.
        prompts, rounds: how many are answered, and how often.
        core: that all work on.
    """
    asked = [list(pair.ids[: pair.prompt_length]) for pair in work.test[:prompts]]
    theirs = {
        "model": str(work.model), "adapter": str(weights), "prompts": asked, "batch_size": 16,
        "new_tokens": NEW_TOKENS, "core": core, "bf16": has_fast_bf16("cpu"),
    }  # fmt: skip
    ours = {"study": str(study), "arm": arm, "out": str(store), "prompts": prompts, "core": core}
    python = sys.executable
    runners = {
        RANDOM: Runner(python, "run_generate.py", theirs, out / "generate_random.log"),
        SORTED: Runner(python, "run_generate.py", theirs, out / "generate_sorted.log"),
        OURS: Runner(python, "run_luthier.py", ours, out / "answers_ours.log"),
    }
    orders: dict[str, dict[str, Any]] = {
        RANDOM: {"do": "answer", "sorted": False},
        SORTED: {"do": "answer", "sorted": True},
        OURS: {"do": "answer"},
    }
    return in_turns(runners, rounds, seconds=1e9, orders=orders)
