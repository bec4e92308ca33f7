"""A study: read the file, plan the grid, run what is missing side by side, write the report.

```python
Study.load("studies/dialogsum.yaml").run("runs/dialogsum").report()
```
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from luthier.choices import Choice, choose, random_controls
from luthier.core import children
from luthier.core.environment import gpu_count, memory_bytes, usable_cores
from luthier.core.errors import LuthierError
from luthier.core.interruption import answered
from luthier.core.settings import override, read, read_yaml
from luthier.core.store import Store
from luthier.core.types import Listener, Progress, Result, ignore
from luthier.estimate import longest_first
from luthier.plan import Plan, plan
from luthier.run_spec import RunSpec
from luthier.study_file import StudySpec
from luthier.study_record import study_record
from luthier.together import done_together
from luthier.workers import Do, crew


class Study:
    """A study and the folder that it works in.

    Attributes:
        spec: the study file, resolved.
        given: as the user gave it, with what `--set` changed.
        path: of the study file, where there is one.
        store: the output folder, once it has run.
        results: of every run, in the plan's order, once it has run.
    """

    def __init__(self, spec: StudySpec, given: str = "", path: str | Path = ""):
        self.spec = spec
        self.given = given
        self.path = path
        self.store: Store | None = None
        self.results: list[Result] = []
        self._clock: _Clock

    @classmethod
    def load(cls, path: str | Path, assignments: Sequence[str] = ()) -> Study:
        """Read a study file; `assignments` are those of `--set`.

        Raises:
            LuthierError: the file is missing, is not YAML, or has a key or value that cannot be.
        """
        data = read_yaml(str(path))
        if not isinstance(data, dict):
            raise LuthierError("not a study: it has no keys", where=str(path), mend="give models, tasks and arms")
        data = {"name": Path(path).stem, **override(data, assignments)}
        return cls(read(StudySpec, data, str(path)), yaml.safe_dump(data, sort_keys=False, allow_unicode=True), path)

    def plan(
        self,
        out: str | Path | None = None,
        *,
        device: str = "auto",
        skip_bad_rows: bool = False,
        check_lengths: bool = True,
    ) -> Plan:
        """Everything that it would run, with all that can be checked checked; see `luthier.plan`.

        Args:
            out: the output folder; where every run is finished in it, there is less to check.
            device, skip_bad_rows, check_lengths: as for `luthier.plan.plan`.
        """
        return plan(
            self.spec,
            device=resolve_device(device),
            skip_bad_rows=skip_bad_rows,
            check_lengths=check_lengths,
            finished=lambda run: out is not None and _finished(run, Store(out)) is not None,
        )

    def run(
        self,
        out: str | Path,
        *,
        device: str = "auto",
        workers: int = 1,
        skip_bad_rows: bool = False,
        command: str = "",
        planned: Plan | None = None,
        listener: Listener = ignore,
    ) -> Study:
        """Run what is missing.

        Args:
            out: the output folder; runs that are finished in it are kept and not done again.
            device: `cpu`, `cuda`, or `auto`.
            workers: processes at once, each with its share of the cores; 1 works in this process, with all of them.
                More are quicker (the command line takes one per core), and a script that has them must keep its own
                work under `if __name__ == "__main__"`: they import it.
            skip_bad_rows: leave bad rows out, and name them.
            command: how it was called, for the report.
            planned: the plan, where it was made already.
            listener: told of every run's progress.

        Raises:
            LuthierError: a mistake in what was given, before anything is run or written.
        """
        from luthier.models.load import check_device

        device = check_device(resolve_device(device))
        if planned is None:
            self._get_ready(out, device, workers)
        grid = planned or self.plan(out, device=device, skip_bad_rows=skip_bad_rows)
        self.store = store = Store(out)
        command = command or f"luthier study {self.path or 'FILE'} --out {out}"
        workers = min(workers, len(grid.runs))  # of the whole study: a resumed one computes with the same threads
        with store.held(), _hands(store, grid, workers, device, self.given, listener) as do:
            self._clock = _Clock(store)
            try:
                phases = self._phases(grid, command)
                runs = next(phases)
                with suppress(StopIteration):
                    while True:
                        results = _done(runs, store, do, listener, self._clock)
                        runs = phases.send(results)
            finally:  # an interrupted sitting counts too
                if store.has_study():
                    store.write_study({**store.study(), "seconds": self._clock.seconds()})
        return self

    def _get_ready(self, out: str | Path, device: str, workers: int) -> None:
        """Let libraries be imported from now on, beside the planning, where there will be workers to use them."""
        runs = len(self.spec.arms) * len(self.spec.models) * len(self.spec.tasks) * len(self.spec.seeds)
        if min(workers, runs) > 1 and not Store(out).has_study():
            children.get_ready(device)

    def _phases(self, grid: Plan, command: str) -> Generator[Sequence[RunSpec], list[Result], None]:
        """What is to be run next, until there is no more: trials, then what they chose, then the random controls.

        It is sent the results of what it gave, and notes in `study.json` how far the study is.
        """
        assert self.store is not None
        store = self.store
        planned, choices = choose(grid, lambda run: store.run(run.folder).result())
        store.write_study(self._record(planned, choices, command))
        if grid.trials:
            tried = yield grid.trials
            by_folder = {run.folder: result for run, result in zip(grid.trials, tried, strict=True)}
            planned, choices = choose(grid, lambda run: by_folder.get(run.folder))
            store.write_study(self._record(planned, choices, command))
        self.results = yield planned.runs
        controls = random_controls(planned, self.results) if self.spec.controls else ()
        if controls:
            store.write_study(self._record(replace(planned, runs=(*planned.runs, *controls)), choices, command))
            self.results = [*self.results, *(yield controls)]

    def _record(self, planned: Plan, choices: Sequence[Choice], command: str) -> dict[str, Any]:
        return study_record(self.spec, planned, choices, command=command, seconds=self._clock.seconds())

    def report(self) -> Path:
        """Write `report.html` and its companions into the output folder; gives the page's path."""
        from luthier.report.files import write_report

        if self.store is None:
            raise LuthierError("the study has not run yet", mend="call .run(out) first")
        return write_report(self.store)


def resolve_device(device: str) -> str:
    """`auto` as what this machine has."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise LuthierError(f"{device}: no such device", where="--device", mend="say cpu, cuda, cuda:1, or auto")
    return ("cuda" if gpu_count() else "cpu") if device == "auto" else device


def default_workers(device: str, parameters: int) -> int:
    """One run per GPU; or one per core, as far as memory holds that many models in full fine-tuning.

    Args:
        device: `cpu` or `cuda`.
        parameters: of the largest model: 16 bytes each (fp32 weights, gradients, two moments), a gigabyte beside.
    """
    if device.startswith("cuda"):
        return max(1, gpu_count())
    memory = memory_bytes()
    fitting = int(0.8 * memory / (16 * parameters + 1e9)) if memory else usable_cores()
    return max(1, min(usable_cores(), fitting))


@contextmanager
def _hands(store: Store, grid: Plan, workers: int, device: str, given: str, listener: Listener) -> Iterator[Do]:
    """What does the runs that are missing: this process, which stacks trainings where that pays, or a crew of workers,
    which takes the longest first."""
    if workers > 1:
        threads = max(1, usable_cores() // workers)
        with crew(store, workers=workers, threads=threads, device=device, given=given, listener=listener) as do:

            def in_their_order(runs: Sequence[RunSpec]) -> list[Result]:
                ordered = longest_first(runs, grid)
                results = {run.folder: result for run, result in zip(ordered, do(ordered), strict=True)}
                return [results[run.folder] for run in runs]

            yield in_their_order
    else:
        with answered():
            yield lambda runs: done_together(runs, store, device=device, given=given, listener=listener)


class _Clock:
    """How long a study took in all its sittings; one that finds nothing to do takes no time."""

    def __init__(self, store: Store):
        self.earlier = (store.study().get("seconds") or 0.0) if store.has_study() else 0.0
        self.started: float | None = None

    def start(self) -> None:
        """There is something to do."""
        self.started = self.started or time.perf_counter()

    def seconds(self) -> float:
        """So far."""
        return self.earlier + (time.perf_counter() - self.started if self.started else 0.0)


def _done(runs: Sequence[RunSpec], store: Store, do: Do, listener: Listener, clock: _Clock) -> list[Result]:
    """The results of these runs, in order; what is missing, or failed before, is done now."""
    finished = {run.folder: result for run in runs if (result := _finished(run, store))}
    missing = [run for run in runs if run.folder not in finished]
    for spec in runs:
        known = finished.get(spec.folder)
        listener(Progress(spec.folder, "done", values=known.scores) if known else Progress(spec.folder, "planned"))
    if missing:
        clock.start()
    by_folder = finished | {spec.folder: result for spec, result in zip(missing, do(missing), strict=True)}
    return [by_folder[spec.folder] for spec in runs]


def _finished(spec: RunSpec, store: Store) -> Result | None:
    result = store.run(spec.folder).result()
    return result if result is not None and result.status == "finished" else None
