"""The store: the only owner of the disk layout.

```
<out>/train/<key>/      kernels.json train.jsonl, weights/, checkpoint/ while unfinished, done.json last
<out>/sample/<key>/     predictions.jsonl: text sampled from an untouched base, done.json last
<out>/predict/<key>/    predictions.jsonl, done.json last
<out>/drift/<key>/      done.json: how far a trained model has moved from its base
<out>/runs/<name>/      spec.json given.yaml environment.json scores.jsonl wrong_reference.jsonl retained.jsonl
                        drift.json, result.json last
```

Whatever is written is written beside its place, flushed and renamed (`durable.py`); the marker (`done.json`,
`result.json`) comes last, so a folder without it, or with one that cannot be read, is unfinished and is taken up again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from luthier.core.durable import cannot_write, read_object, replace_file, sync_tree, tidy
from luthier.core.errors import LuthierError
from luthier.core.types import Prediction, Result, Score, prediction_from_json, prediction_to_json

StepKind = Literal["train", "sample", "predict", "drift"]


class Step:
    """One keyed step on disk (a training, a sampling, a prediction), shared by all the runs that need it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.weights = folder / "weights"
        self.checkpoint = folder / "checkpoint"
        self.log = folder / "train.jsonl"
        self._predictions = folder / "predictions.jsonl"
        self._kernels = folder / "kernels.json"
        self._done = folder / "done.json"

    @property
    def done(self) -> bool:
        """Whether the step is finished."""
        return read_object(self._done) is not None

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the step against other workers: the second waits, and then finds it done.

        Raises:
            LuthierError: the folder cannot be written (exit code 1).
        """
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise cannot_write("a step's folder", self.folder, error) from None
        try:
            tidy(self.folder)
            if self.done:
                shutil.rmtree(self.checkpoint, ignore_errors=True)  # a kill came between the marker and this
            yield
        finally:
            lock.release()

    def kernels(self, choose: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """By which ways the step is computed: as was chosen when it was begun, or as is chosen now."""
        if (before := read_object(self._kernels)) is not None:
            return before
        chosen = choose()
        write_json(self._kernels, chosen)
        return chosen

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the marker, once all that it stands for is on the disk, and drop what only an unfinished step needs."""
        sync_tree(self.folder)
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
        """The predictions, in the order written.

        Raises:
            LuthierError: the file was damaged since (exit code 1): a part of them would be scored as if it were all.
        """
        return [prediction_from_json(line) for line in read_lines(self._predictions)]

    def training_log(self) -> list[dict[str, Any]]:
        """The lines of `train.jsonl`: one an optimizer step or validation."""
        return read_lines(self.log, cut_short=True) if self.log.exists() else []


class RunFolder:
    """One run on disk."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._result = folder / "result.json"
        self._wrong_reference = folder / "wrong_reference.jsonl"
        self._retained = folder / "retained.jsonl"
        self._drift = folder / "drift.json"

    @property
    def name(self) -> str:
        """The folder's name: arm, digest and seed."""
        return self.folder.name

    def result(self) -> Result | None:
        """The run's result, or None where it is unfinished."""
        found = read_object(self._result)
        return None if found is None else Result.model_validate(found)

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
        _write_scores(self.folder / "scores.jsonl", scores)

    def scores(self) -> list[Score]:
        """Per-example scores, in test-set order."""
        return _scores(self.folder / "scores.jsonl")

    def write_wrong_reference(self, scores: Iterable[Score]) -> None:
        """Per-example scores against another example's reference."""
        _write_scores(self._wrong_reference, scores)

    def wrong_reference(self) -> list[Score]:
        """What `write_wrong_reference` was given; empty where the run made no text."""
        return _scores(self._wrong_reference) if self._wrong_reference.exists() else []

    def write_retained(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """What the run kept of the base: a row (task, example_id, before, after) a retention example."""
        write_lines(self._retained, rows)

    def retained(self) -> list[dict[str, Any]]:
        """What `write_retained` was given; empty where nothing was trained."""
        return read_lines(self._retained) if self._retained.exists() else []

    def write_drift(self, record: Mapping[str, Any]) -> None:
        """How far the run has moved from its base: `kl` (text -> example_id -> nats per token), `distance` (layer ->
        that of its weights; None where it cannot be told) and `warnings`."""
        write_json(self._drift, record)

    def drift(self) -> dict[str, Any]:
        """What `write_drift` was given; empty where it was not measured."""
        return read_object(self._drift) or {}

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
        lock = FileLock(self.root / ".lock")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
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
            for folder in (self.root, *(run.folder for run in self.runs())):
                tidy(folder)
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
        return [RunFolder(path) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []

    def write_study(self, study: Mapping[str, Any]) -> None:
        """`study.json`: the resolved study, the names of its runs in order, examples' texts for the report."""
        write_json(self.root / "study.json", study)

    def has_study(self) -> bool:
        """Whether a study was run in this folder before."""
        return read_object(self.root / "study.json") is not None

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
        data = read_object(path)
        if data is None:
            raise LuthierError(
                "study.json cannot be read", where=str(path), mend="run the study again: finished runs are kept"
            )
        return data


def write_text(path: Path, text: str) -> None:
    """Write beside, flush to disk, rename.

    Raises:
        LuthierError: the disk is full (exit code 1); what stood at `path` is untouched.
    """
    data = text.encode()
    try:
        replace_file(path, data)
    except OSError as error:
        raise cannot_write(f"{len(data)} bytes", path, error) from None


def write_json(path: Path, data: Any) -> None:
    """Plain data as indented JSON, atomically."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, default=str) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Plain data as JSON lines, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_lines(path: Path, *, cut_short: bool = False) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file.

    Args:
        path: the file.
        cut_short: whether lines are added to it one by one, so that a crash may have cut the last one short: the rows
            end there. What `write_lines` wrote is there whole or not at all.

    Raises:
        LuthierError: a line is not JSON (exit code 1).
    """
    rows = []
    # Not splitlines(): a text may hold U+2028 or U+0085, which stand as themselves in JSON and end no line of it.
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line:
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            if cut_short:
                break
            raise LuthierError(
                "this file was damaged after it was written",
                where=f"{path}:{number}",
                mend=f"remove {path.parent} and run the same command again",
                exit_code=1,
            ) from None
    return rows


def _write_scores(path: Path, scores: Iterable[Score]) -> None:
    write_lines(path, ({"example_id": score.example_id, "values": dict(score.values)} for score in scores))


def _scores(path: Path) -> list[Score]:
    return [Score(line["example_id"], line["values"]) for line in read_lines(path)]
