"""A study: read the file, plan the grid, run what is missing side by side, write the report.

```python
Study.load("studies/dialogsum.yaml").run("runs/dialogsum").report()
```
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from luthier.core.environment import capture_environment, gpu_count, memory_bytes, usable_cores
from luthier.core.errors import LuthierError
from luthier.core.settings import override, read, read_yaml
from luthier.core.store import Store
from luthier.core.types import Listener, Progress, Result, ignore
from luthier.plan import Plan, plan
from luthier.run import run
from luthier.run_spec import RunSpec
from luthier.study_file import StudySpec, TaskSpec
from luthier.version import __version__
from luthier.workers import run_all


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
            skip_bad_rows: leave bad rows out, and name them.
            command: how it was called, for the report.
            planned: the plan, where it was made already.
            listener: told of every run's progress.

        Raises:
            LuthierError: a mistake in what was given, before anything is run or written.
        """
        from luthier.models.load import check_device

        device = check_device(resolve_device(device))
        planned = planned or self.plan(out, device=device, skip_bad_rows=skip_bad_rows)
        self.store = store = Store(out)
        with store.held():
            started = time.perf_counter()
            finished, missing = _divide(planned.runs, store)
            record = self._record(planned, command or f"luthier study {self.path or 'FILE'} --out {out}")
            earlier = store.study().get("seconds") or 0.0 if finished and store.has_study() else 0.0
            store.write_study(record)
            for folder, result in finished.items():
                listener(Progress(folder, "done", values=result.scores))
            workers = min(workers, len(missing))
            if workers > 1:
                threads = max(1, usable_cores() // workers)
                done = run_all(
                    missing, store, workers=workers, threads=threads, device=device, given=self.given, listener=listener
                )
            else:
                done = [run(spec, store, device=device, given=self.given, listener=listener) for spec in missing]
            by_folder = {**finished, **{spec.folder: result for spec, result in zip(missing, done, strict=True)}}
            self.results = [by_folder[spec.folder] for spec in planned.runs]
            store.write_study({**record, "seconds": earlier + (time.perf_counter() - started if missing else 0.0)})
        return self

    def report(self) -> Path:
        """Write `report.html` and its companions into the output folder; gives the page's path."""
        from luthier.report.files import write_report

        if self.store is None:
            raise LuthierError("the study has not run yet", mend="call .run(out) first")
        return write_report(self.store)

    def _record(self, planned: Plan, command: str) -> dict[str, Any]:
        """`study.json`: what the report needs to know beside the runs."""
        return {
            "name": self.spec.name,
            "version": __version__,
            "command": command,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "spec": self.spec.model_dump(mode="json"),
            "reference": self.spec.reference or self.spec.arms[0].name,
            "runs": [spec.folder for spec in planned.runs],
            "tasks": [_task_record(task, planned) for task in self.spec.tasks],
            "models": [
                {"name": name, "parameters": files.parameters, "context": files.context, "digest": files.digest}
                for name, files in planned.models.items()
            ],
            "environment": capture_environment(),
            "seconds": None,
        }


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


def _divide(runs: Sequence[RunSpec], store: Store) -> tuple[dict[str, Result], list[RunSpec]]:
    """The runs that are finished, and those that are missing (or failed, and are tried again)."""
    finished: dict[str, Result] = {}
    missing: list[RunSpec] = []
    for spec in runs:
        if result := _finished(spec, store):
            finished[spec.folder] = result
        else:
            missing.append(spec)
    return finished, missing


def _finished(spec: RunSpec, store: Store) -> Result | None:
    result = store.run(spec.folder).result()
    return result if result is not None and result.status == "finished" else None


def _task_record(settings: TaskSpec, planned: Plan) -> dict[str, Any]:
    task = planned.tasks[settings.task_name].without(
        {example for run in planned.runs if run.task == settings for example in run.left_out}
    )
    return {
        "name": task.name,
        "primary": settings.primary,
        "measures": list(settings.measures),
        "lower_is_better": [
            name for metric in settings.metrics if not metric.higher_is_better for name in metric.measures
        ],
        "rows": {split: len(examples) for split, examples in task.splits.items()},
        "duplicates": dict(task.duplicates),
        "skipped": [skipped.model_dump() for skipped in planned.skipped[task.name]],
        "examples": {
            example.id: {
                "prompt": "\n\n".join(message.content for message in example.messages),
                "reference": example.reference,
            }
            for example in task.splits["test"]
        },
    }
