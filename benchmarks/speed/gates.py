"""The gates: what must hold before a ratio counts. Each is a figure beside its bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.peer import PeerError, Runner, Timed, in_turns, rows_in
from benchmarks.speed.work import BATCH, NEW_TOKENS, SPECIAL, Work, given_order

LOSSES_WITHIN = 1e-4
MARGIN = 1e-4
START_WITHIN = 5.0
RANK = 8
RATE = 1e-3


@dataclass(frozen=True)
class Gate:
    """What was asked, the figure that came out, and whether it is within its bound; None where it was not tried."""

    name: str
    held: bool | None
    figure: str


def losses_gate(work: Work, store: Path, adapter: Path, python: Path, out: Path, core: int) -> Gate:
    """Our fp32 losses beside TRL's, over the same batches from the same adapter, by the same AdamW.

    Args:
        work: the pairs.
        store: of our study, one LoRA arm in fp32 over these pairs.
        adapter: what that arm began with, as peft saves it.
        python, out, core: as for other runners.
    """
    from luthier.core.store import Store

    name = f"fp32 losses within {LOSSES_WITHIN:g} of TRL's at every step"
    ((folder),) = (store / "train").iterdir()
    ours = [line["loss"] for line in Store(store).step("train", folder.name).training_log() if "loss" in line]
    settings = {
        "model": str(work.model), "adapter": str(adapter), "rank": RANK, "batch_size": BATCH, "core": core,
        "rows": rows_in(given_order(len(work.train)), work.train), "out": str(out / "trl_gate"),
        "config": {
            "use_cpu": True, "bf16": False, "gradient_checkpointing": False, "learning_rate": RATE,
            "lr_scheduler_type": "constant", "adam_beta1": 0.9, "adam_beta2": 0.95, "adam_epsilon": 1e-8,
            "weight_decay": 0.0, "max_grad_norm": 1.0, "optim": "adamw_torch",
        },
    }  # fmt: skip
    runner = Runner(python, "run_trl.py", settings, out / "trl_gate.log")
    whole = len(work.train) // BATCH  # TRL's rows come to whole batches only
    timed = in_turns({"trl": runner}, whole - 1, seconds=1e9)["trl"]
    if len(timed.losses) < whole:
        return Gate(name, None, timed.note)
    worst = max(abs(one - other) for one, other in zip(ours, timed.losses, strict=False))
    return Gate(name, worst <= LOSSES_WITHIN, f"{worst:.1e} at worst over {whole} steps")


def answers_gate(work: Work, store: Path, python: Path, out: Path, core: int, prompts: int) -> Gate:
    """Our greedy answers in fp32 beside those of transformers' generate, token by token.

    They may part where the two best logits are within `MARGIN`; from there on they answer different texts.
    """
    from luthier.core.store import Store

    name = f"greedy tokens equal transformers' in fp32 where the best two logits differ by more than {MARGIN:g}"
    ((folder),) = (store / "predict").iterdir()
    ((trained),) = (store / "train").iterdir()
    ours = [prediction.text for prediction in Store(store).step("predict", folder.name).predictions()][:prompts]  # type: ignore[union-attr]
    settings = {
        "model": str(work.model), "adapter": str(trained / "weights"), "batch_size": 1, "new_tokens": NEW_TOKENS,
        "prompts": [list(pair.ids[: pair.prompt_length]) for pair in work.test[:prompts]], "core": core,
    }  # fmt: skip
    runner = Runner(python, "run_generate.py", settings, out / "answers_gate.log")
    try:
        runner.hear()
        answers = runner.ask("margins")["answers"]
    except PeerError as error:
        return Gate(name, None, str(error))
    finally:
        runner.end()
    wrong, near, tokens = compared(ours, answers)
    return Gate(name, wrong == 0, f"{wrong} of {len(ours)} answers differ, {tokens} tokens alike, {near} near ties")


def compared(ours: Sequence[str], answers: Sequence[Sequence[Any]]) -> tuple[int, int, int]:
    """How many answers differ, how many part at a near tie, and how many tokens are alike.

    Args:
        ours: texts of words.
        answers: `(ids, margins)` each, as transformers gave them.
    """
    wrong = near = alike = 0
    for text, (ids, margins) in zip(ours, answers, strict=True):
        mine = [SPECIAL.index(word) if word in SPECIAL else int(word[1:]) for word in text.split()]
        theirs = [token for token in ids if token >= len(SPECIAL)]
        place = next((at for at, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]), None)
        if place is None and len(mine) != len(theirs):
            place = min(len(mine), len(theirs))
        alike += len(mine) if place is None else place
        if place is not None:
            tied = place < len(margins) and margins[place] <= MARGIN
            near += tied
            wrong += not tied
    return wrong, near, alike


def stacked_gate(stacked: Path, single: Path) -> Gate:
    """The losses of arms that were trained together beside the same arms' trained one by one.

    Args:
        stacked, single: stores of one study, with the same keys.
    """
    from luthier.core.store import Store

    worst, steps = 0.0, 0
    for folder in sorted((stacked / "train").iterdir()):
        one, other = (Store(store).step("train", folder.name).training_log() for store in (stacked, single))
        for line, beside in zip(one, other, strict=False):
            worst, steps = max(worst, abs(line["loss"] - beside["loss"])), steps + 1
    name = f"stacked arms equal single ones: losses within {LOSSES_WITHIN:g}"
    return Gate(name, worst <= LOSSES_WITHIN if steps else None, f"{worst:.1e} at worst over {steps} steps")


def start_gate(seconds: float, loop_began: float) -> Gate:
    """How long a second run takes to its first step."""
    return Gate(
        f"start to first step of a second run under {START_WITHIN:g} s",
        loop_began <= START_WITHIN,
        f"{loop_began:.1f} s to the training loop, {seconds:.1f} s to the end of its first step",
    )


def memory_gate(ours: Timed, peers: Sequence[Timed]) -> Gate:
    """Our training process's peak memory beside each peer's."""
    known = [peer for peer in peers if peer.peak_bytes]
    figure = ", ".join(f"{peer.name} {peer.peak_bytes / 2**20:.0f} MB" for peer in known)
    held = bool(known) and all(ours.peak_bytes < peer.peak_bytes for peer in known)
    return Gate("peak memory below each peer's", held, f"ours {ours.peak_bytes / 2**20:.0f} MB; {figure}")


def first_adapter(study: Path, folder: Path) -> None:
    """Save the adapter that the study's first run begins with, as peft saves it."""
    from luthier.core.store import Store
    from luthier.core.types import ignore
    from luthier.study import Study
    from luthier.workbench import Workbench

    spec = Study.load(study).plan(device="cpu").runs[0]
    bench = Workbench(spec, Store(folder / "unused"), "cpu", ignore)
    bench.prepare(0)
    bench.adapted.save_pretrained(folder)
