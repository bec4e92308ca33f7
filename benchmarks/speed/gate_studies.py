"""The small studies of our own that show whether the gates (`gates.py`) hold, all in fp32 but where bf16 is judged."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.gates import (
    BF16_LOSSES,
    RANK,
    RATE,
    TRL_LOSSES,
    Gate,
    answers_gate,
    first_adapter,
    losses_gate,
    losses_in,
    precision_gate,
    stacked_gate,
    start_gate,
)
from benchmarks.speed.machine import cores
from benchmarks.speed.our_study import run_study
from benchmarks.speed.work import BATCH, RANKS, RATES, Size, make_work
from luthier.core.environment import has_fast_bf16
from luthier.core.store import Store
from luthier.run import run
from luthier.study import Study
from luthier.together import stackable, train_together


@dataclass(frozen=True)
class GateStudies:
    """What the gates are tried on.

    Attributes:
        size: of the model.
        steps: of the trainings that are compared.
        prompts: that are answered.
        trl: the Python of TRL's environment; None where there is none.
        out: an empty folder.
        core: that runners work on.
    """

    size: Size
    steps: int
    prompts: int
    trl: Path | None
    out: Path
    core: int

    def gates(self) -> list[Gate]:
        """All of them."""
        self.out.mkdir(parents=True, exist_ok=True)
        return [*self.beside_others(), self.stacked(), self.in_bf16()]

    def beside_others(self) -> list[Gate]:
        """Losses, answers, and how quickly a second run starts."""
        few = make_work(self.out / "work", self.size, pairs=BATCH * self.steps, prompts=self.prompts)
        study = few.study("gate", [RANK], [RATE], [0], precision="fp32")
        run_study(study, self.out / "first", workers=1)
        # A run a core, as a study has it; what the machine keeps from one command to the next, it has by now.
        a_run_a_core = few.study("start", [RANK], [RATE], range(len(cores())), precision="fp32")
        second = run_study(a_run_a_core, self.out / "second", workers=len(cores()))
        losses = Gate(TRL_LOSSES, None, "no --trl-python was given")
        if self.trl is not None:
            first_adapter(study, self.out / "adapter")
            losses = losses_gate(few, self.out / "first", self.out / "adapter", self.trl, self.out, self.core)
        answers = answers_gate(few, self.out / "first", Path(sys.executable), self.out, self.core, self.prompts)
        return [losses, answers, start_gate(second.first_step, second.loop_began)]

    def stacked(self) -> Gate:
        """Two ranks at two rates, trained together and one by one."""
        few = make_work(self.out / "stacked-work", self.size, pairs=BATCH * min(5, self.steps), prompts=1)
        study = few.study("stacked", RANKS[:2], RATES, [0], precision="fp32")
        together, single = Store(self.out / "stacked-together"), Store(self.out / "stacked-single")
        runs = Study.load(study).plan(device="cpu").runs
        for group in stackable(runs):
            train_together(group, together)
        for spec in runs:
            run(spec, single)
        return stacked_gate(together.root, single.root)

    def in_bf16(self, seeds: int = 3) -> Gate:
        """One arm with some seeds, in bf16 and in fp32."""
        if not has_fast_bf16("cpu"):
            return Gate(BF16_LOSSES, None, "this CPU has no bf16")
        few = make_work(self.out / "bf16-work", self.size, pairs=BATCH * self.steps, prompts=1)
        found = {}
        for precision in ("fp32", "bf16"):
            study = few.study(precision, [RANK], [RATE], range(seeds), precision=precision)
            store = Store(self.out / precision)
            specs = Study.load(study).plan(device="cpu").runs
            for spec in specs:
                run(spec, store)
            found[precision] = [losses_in(store.root, spec.train_keys()[0]) for spec in specs]
        return precision_gate(found["fp32"], found["bf16"])
