"""The store: the only owner of the disk layout.

```
<out>/train/<key>/      train.jsonl, weights/, checkpoint/ while unfinished, done.json last
<out>/predict/<key>/    predictions.jsonl, done.json last
<out>/runs/<name>/      spec.json given.yaml environment.json scores.jsonl, result.json last
```

Whatever is written is written beside its place and renamed; the marker (`done.json`, `result.json`) comes last, so a
folder without it is unfinished and is taken up again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from luthier.core.errors import LuthierError
from luthier.core.types import Prediction, Result, Score, prediction_from_json, prediction_to_json

StepKind = Literal["train", "predict"]


class Step:
    """One keyed step on disk (a training or a prediction), shared by all the runs that need it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.weights = folder / "weights"
        self.checkpoint = folder / "checkpoint"
        self.log = folder / "train.jsonl"
        self._predictions = folder / "predictions.jsonl"
        self._done = folder / "done.json"

    @property
    def done(self) -> bool:
        """Whether the step is finished."""
        return self._done.exists()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the step against other workers: the second waits, and then finds it done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            yield

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the marker, and drop what only an unfinished step needs."""
        write_json(self._done, record)
        shutil.rmtree(self.checkpoint, ignore_errors=True)

    def record(self) -> dict[str, Any]:
        """What `finish` was given."""
        data: dict[str, Any] = json.loads(self._done.read_text(encoding="utf-8"))
        return data

    def write_predictions(self, predictions: Iterable[Prediction]) -> None:
        """All predictions of the step, one a line."""
        write_lines(self._predictions, (prediction_to_json(prediction) for prediction in predictions))

    def predictions(self) -> list[Prediction]:
        """The predictions, in the order written."""
        return [prediction_from_json(line) for line in read_lines(self._predictions)]

    def training_log(self) -> list[dict[str, Any]]:
        """The lines of `train.jsonl`: one an optimizer step or validation."""
        return read_lines(self.log) if self.log.exists() else []


class RunFolder:
    """One run on disk."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._result = folder / "result.json"

    @property
    def name(self) -> str:
        """The folder's name: arm, digest and seed."""
        return self.folder.name

    def result(self) -> Result | None:
        """The run's result, or None where it is unfinished."""
        if not self._result.exists():
            return None
        return Result.model_validate_json(self._result.read_text(encoding="utf-8"))

    def describe(self, spec: Mapping[str, Any], given: str, environment: Mapping[str, Any]) -> None:
        """What is to be run: resolved, as given, and where."""
        write_json(self.folder / "spec.json", spec)
        write_text(self.folder / "given.yaml", given)
        write_json(self.folder / "environment.json", environment)

    def environment(self) -> dict[str, Any]:
        """What `describe` recorded of the machine."""
        data: dict[str, Any] = json.loads((self.folder / "environment.json").read_text(encoding="utf-8"))
        return data

    def write_scores(self, scores: Iterable[Score]) -> None:
        """Per-example scores, one a line."""
        write_lines(
            self.folder / "scores.jsonl",
            ({"example_id": score.example_id, "values": dict(score.values)} for score in scores),
        )

    def scores(self) -> list[Score]:
        """Per-example scores, in test-set order."""
        return [Score(line["example_id"], line["values"]) for line in read_lines(self.folder / "scores.jsonl")]

    def write_error(self, text: str) -> None:
        """The traceback of a failed run, for who wants to find the cause."""
        write_text(self.folder / "error.txt", text)

    def finish(self, result: Result) -> None:
        """Write `result.json`: last, and atomically."""
        write_text(self._result, result.model_dump_json(indent=1) + "\n")


class Store:
    """A study's output folder."""

    def __init__(self, root: Path | str):
        self.root = Path(root)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the whole folder against a second process; it is refused at once.

        Raises:
            LuthierError: another process works in the folder, or it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise LuthierError(
                "another process is working in this output folder",
                where=str(self.root),
                mend="wait for it, or give another folder with --out",
            ) from None
        except OSError as error:
            raise LuthierError(
                f"the output folder cannot be written: {error.strerror}",
                where=str(self.root),
                mend="give another folder with --out",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def step(self, kind: StepKind, key: str) -> Step:
        """The step of that key, existing or not."""
        return Step(self.root / kind / key)

    def run(self, name: str) -> RunFolder:
        """The run of that name, existing or not."""
        return RunFolder(self.root / "runs" / name)

    def runs(self) -> list[RunFolder]:
        """Every run folder, finished or not, by name."""
        folder = self.root / "runs"
        return [RunFolder(path) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.exists() else []

    def write_study(self, study: Mapping[str, Any]) -> None:
        """`study.json`: the resolved study, the names of its runs in order, examples' texts for the report."""
        write_json(self.root / "study.json", study)

    def has_study(self) -> bool:
        """Whether a study was run in this folder before."""
        return (self.root / "study.json").exists()

    def study(self) -> dict[str, Any]:
        """What `write_study` was given.

        Raises:
            LuthierError: no study was run in this folder.
        """
        path = self.root / "study.json"
        if not path.exists():
            raise LuthierError(
                "no study was run in this folder", where=str(self.root), mend="run `luthier study FILE --out FOLDER`"
            )
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            raise LuthierError(
                "study.json cannot be read", where=str(path), mend="run the study again: finished runs are kept"
            ) from None
        return data


def write_text(path: Path, text: str) -> None:
    """Write beside, flush to disk, rename.

    Raises:
        LuthierError: the disk is full (exit code 1); what stood at `path` is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise LuthierError(
            f"cannot write {len(text.encode())} bytes: {error.strerror}",
            where=str(path),
            mend="free some space and run the same command again: finished runs are kept",
            exit_code=1,
        ) from None


def write_json(path: Path, data: Any) -> None:
    """Plain data as indented JSON, atomically."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, default=str) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Plain data as JSON lines, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows that `write_lines` wrote; a last line cut short by a crash is left out."""
    rows = []
    # Not splitlines(): a text may hold U+2028 or U+0085, which stand as themselves in JSON and end no line of it.
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line:
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
