"""The gates: what must hold before a ratio counts. Each is a figure beside its bound."""

from __future__ import annotations

import math
import statistics
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
BF16_LOSSES = "bf16 final losses within the spread of seeds in fp32"
TRL_LOSSES = f"fp32 losses within {LOSSES_WITHIN:g} of TRL's at every step"


@dataclass(frozen=True)
class Gate:
    """What was asked, the figure that came out, and whether it is within its bound; None where it was not tried."""

    name: str
    held: bool | None
    figure: str


def losses_in(store: Path, key: str) -> list[float]:
    """The loss of every optimizer step of a training in a store."""
    from luthier.core.store import Store

    return [line["loss"] for line in Store(store).step("train", key).training_log() if "loss" in line]


def same_losses(name: str, trainings: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Gate:
    """Whether the losses of each pair of trainings are within `LOSSES_WITHIN` of each other at every step.

    They are not where one has more steps than the other, or a loss is not finite; nothing is known without any step.
    """
    for one, other in trainings:
        if len(one) != len(other):
            return Gate(name, False, f"{len(one)} steps beside {len(other)}")
    apart = [abs(a - b) for one, other in trainings for a, b in zip(one, other, strict=True)]
    if not apart:
        return Gate(name, None, "no step was logged")
    if not all(map(math.isfinite, apart)):
        return Gate(name, False, "a loss is not finite")
    return Gate(name, max(apart) <= LOSSES_WITHIN, f"{max(apart):.1e} at worst over {len(apart)} steps")


def losses_gate(work: Work, store: Path, adapter: Path, python: Path, out: Path, core: int) -> Gate:
    """Our fp32 losses beside TRL's, over the same batches from the same adapter, by the same AdamW.

    Args:
        work: the pairs.
        store: of our study, one LoRA arm in fp32 over these pairs.
        adapter: what that arm began with, as peft saves it.
        python, out, core: as for other runners.
    """
    ((folder),) = (store / "train").iterdir()
    ours = losses_in(store, folder.name)
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
        return Gate(TRL_LOSSES, None, timed.note)
    return same_losses(TRL_LOSSES, [(ours, timed.losses[:whole])])


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
        mine = [int(word[1:]) for word in text.split() if word not in SPECIAL]
        kept = [(token, margin) for token, margin in zip(ids, margins, strict=True) if token >= len(SPECIAL)]
        theirs = [token for token, _ in kept]
        place = next((at for at, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]), None)
        if place is None and len(mine) != len(theirs):
            place = min(len(mine), len(theirs))
        alike += len(mine) if place is None else place
        if place is not None:
            tied = place < len(kept) and kept[place][1] <= MARGIN
            near += tied
            wrong += not tied
    return wrong, near, alike


def stacked_gate(stacked: Path, single: Path) -> Gate:
    """The losses of arms that were trained together beside the same arms' trained one by one.

    Args:
        stacked, single: stores of one study, with the same keys.
    """
    name = f"stacked arms equal single ones: losses within {LOSSES_WITHIN:g}"
    if not (stacked / "train").is_dir():
        return Gate(name, None, "no arms could be stacked")
    keys = sorted(folder.name for folder in (stacked / "train").iterdir())
    return same_losses(name, [(losses_in(stacked, key), losses_in(single, key)) for key in keys])


def precision_gate(fp32: Sequence[Sequence[float]], bf16: Sequence[Sequence[float]], last: int = 5) -> Gate:
    """The final losses in bf16 beside those in fp32: their means over seeds may differ by the spread of fp32's.

    Args:
        fp32, bf16: the losses of a training at every step, one a seed.
        last: the steps whose mean is a final loss.
    """
    if not all((*fp32, *bf16)):
        return Gate(BF16_LOSSES, None, "no step was logged")
    wide, narrow = ([statistics.mean(losses[-last:]) for losses in one] for one in (fp32, bf16))
    apart, spread = abs(statistics.mean(narrow) - statistics.mean(wide)), max(wide) - min(wide)
    return Gate(BF16_LOSSES, apart <= spread, f"{apart:.1e} apart, {len(wide)} seeds spread over {spread:.1e}")


def start_gate(seconds: float, loop_began: float) -> Gate:
    """How long a second run takes until its training loop, and so its first step, begins.

    Args:
        seconds: from the start of the command to the end of the first step.
        loop_began: to its beginning; 0 where nobody saw it.
    """
    name = f"start to the first step's beginning of a second run under {START_WITHIN:g} s"
    if not loop_began:
        return Gate(name, None, "the training loop was over before it was seen")
    return Gate(
        name,
        loop_began <= START_WITHIN,
        f"{loop_began:.1f} s to its beginning, {seconds:.1f} s to its end",
    )


def memory_gate(ours: Timed, peers: Sequence[Timed]) -> Gate:
    """Our training process's peak memory beside each peer's."""
    known = [peer for peer in peers if peer.peak_bytes]
    if not known:
        return Gate("peak memory below each peer's", None, "no peer was measured")
    figure = ", ".join(f"{peer.name} {peer.peak_bytes / 2**20:.0f} MB" for peer in known)
    held = all(ours.peak_bytes < peer.peak_bytes for peer in known)
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
