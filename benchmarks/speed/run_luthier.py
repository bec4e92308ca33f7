"""Luthier itself at an order: a whole run, held up after each step, or its answers; see `runner.py`.

Settings: `study` the file, `arm` its name, `out` a store, `prompts` how many of the test set to answer (0 trains).
Training goes through `luthier.run.run`, as in a study; it waits in its listener, for the first time after its first
step, which nobody times: the model is loaded in it. What is answered is answered with the
weights in the store.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from runner import Channel, peak_bytes


def main() -> None:
    """Train or answer until told to end."""
    channel = Channel()
    given = channel.settings
    import_module("luthier.preload")  # as in a worker, which holds no more than this before it works
    keep_peak(channel)
    from luthier.core.store import Store
    from luthier.study import Study

    plan = Study.load(given["study"]).plan(given["out"], device=given.get("device", "cpu"))
    spec = next(run for run in plan.runs if run.arm.name == given["arm"])
    work = answer if given["prompts"] else train
    work(channel, spec, Store(given["out"]))


def keep_peak(channel: Channel) -> None:
    """Let no memory be forgotten: a run counts its peak anew, yet memory that it held before was held too."""
    from luthier.core.environment import reset_peak_memory

    workbench: Any = import_module("luthier.workbench")

    def kept() -> None:
        channel.peak = max(channel.peak, peak_bytes())
        reset_peak_memory()

    workbench.reset_peak_memory = kept


def train(channel: Channel, spec: Any, store: Any) -> None:
    """The run, a step at an order."""
    from luthier.run import run

    log = store.step("train", spec.train_keys()[0]).log
    before = 0

    def listener(progress: Any) -> None:
        nonlocal before
        if progress.phase != "train":
            return
        line = json.loads(Path(log).read_text(encoding="utf-8").splitlines()[-1])
        if progress.step == 1:
            channel.say(ready=True, loss=line["loss"])
        else:
            channel.done(tokens=line["tokens"] - before, loss=line["loss"])
        before = line["tokens"]
        channel.wait()

    result = run(spec, store, device=channel.settings.get("device", "cpu"), listener=listener)
    raise SystemExit(f"the run is over: {result.status} {result.error or ''}")


def answer(channel: Channel, spec: Any, store: Any) -> None:
    """The first prompts of the test set, as the run would answer them."""
    from luthier.core.types import ignore
    from luthier.run import examples_of
    from luthier.workbench import Workbench

    task = examples_of(spec)
    bench = Workbench(spec, store, channel.settings.get("device", "cpu"), ignore)
    program = spec.arm.prompting.program(task.splits["train"], spec.seed)
    generator = bench.answerer()
    asked = task.splits["test"][: channel.settings["prompts"]]
    channel.say(ready=True)
    while True:
        channel.wait()
        with bench.autocast():
            predictions = program.predict(asked, generator, spec.task.generation, ["text"])
        channel.done(
            tokens=sum(prediction.generated_tokens for prediction in predictions),
            texts=[prediction.text for prediction in predictions],
        )


if __name__ == "__main__":
    main()
