"""The rows of a task by split, from files, from a generator of ours, or from the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from luthier.core.errors import LuthierError
from luthier.core.settings import suggest
from luthier.core.types import SPLITS
from luthier.tasks.generated import GENERATED
from luthier.tasks.instruction_tasks import POOL, instruction_names, instruction_task, is_instruction_task
from luthier.tasks.readers import BadRow, Row, read_rows
from luthier.tasks.task_settings import GENERATED_PREFIX, DataFiles, HubData, Limits

Part = Literal["train", "validation", "test", "all"]
Rows = Mapping[Part, Sequence[Row | BadRow]]
"""Rows by split; `all` alone where they are yet to be split."""


def rows_of(data: str | DataFiles | HubData, limit: Limits) -> Rows:
    """The rows that a task's `data` names; what is written without end, to what `limit` asks for.

    Raises:
        LuthierError: a file that cannot be read, an unknown generator, a hub id that cannot be had or that has no test
            split.
    """
    if isinstance(data, DataFiles):
        return _from_files(data)
    if isinstance(data, HubData):
        return _from_hub(data)
    if is_instruction_task(data):
        return _from_instructions(data, limit)
    if data.startswith(GENERATED_PREFIX):
        return _from_generator(data)
    return _from_hub(data)


def _from_files(files: DataFiles) -> Rows:
    parts: dict[Part, Sequence[str]] = (
        {"all": files.all} if files.all else {name: getattr(files, name) for name in SPLITS}
    )
    # Opened first, all of them, so that a missing file is found before a large one has been read.
    opened = {part: [read_rows(path) for path in paths] for part, paths in parts.items() if paths}
    return {part: [row for rows in readers for row in rows] for part, readers in opened.items()}


def _from_instructions(data: str, limit: Limits) -> Rows:
    task = instruction_task(data)
    counts = {split: max(count, getattr(limit, split) or 0) for split, count in POOL.items()}
    return {split: _numbered(task.rows(split, count, 0), f"{data}/{split}") for split, count in counts.items()}


def _from_generator(data: str) -> Rows:
    name = data.removeprefix(GENERATED_PREFIX)
    if name not in GENERATED:
        raise LuthierError(
            f"{data}: no such generated task{suggest(name, GENERATED)}",
            where="data",
            mend=f"there are {', '.join((*(GENERATED_PREFIX + known for known in GENERATED), *instruction_names()))}",
        )
    return {split: _numbered(rows, f"{data}/{split}") for split, rows in GENERATED[name](0).items()}


def _from_hub(data: str | HubData) -> Rows:
    if isinstance(data, str):
        found = _loaded(data, None)
        if len(found) == 1:
            ((name, rows),) = found.items()
            return {"all": _numbered(rows, f"{data}/{name}")}
        return _named_splits(data, found, {split: split for split in SPLITS if split in found or split == "test"})
    found = _loaded(data.hub, data.config)
    named: dict[Part, str] = {"train": data.train, "test": data.test}
    if data.validation is not None or ("validation" in found and "validation" not in (data.train, data.test)):
        named["validation"] = data.validation or "validation"
    return _named_splits("/".join(part for part in (data.hub, data.config) if part), found, named)


def _loaded(name: str, config: str | None) -> dict[str, Any]:
    import datasets

    try:
        return dict(datasets.load_dataset(name, config))
    except (
        Exception
    ) as error:  # offline, unknown, gated, no usable files, which of several: the library has no one class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LuthierError(
            f"the dataset {name} cannot be loaded: {reason}",
            where=f"data: {name}",
            mend="check the id and the connection, or give files: data: {train: FILE, validation: FILE, test: FILE}",
        ) from None


def _named_splits(name: str, found: Mapping[str, Any], named: Mapping[Part, str]) -> Rows:
    for split in named.values():
        if split not in found:
            raise LuthierError(
                f"the dataset {name} has no {split} split (it has {', '.join(found)})",
                where=f"data: {name}",
                mend="name another of its splits as {hub: ID, test: SPLIT}, or give files",
            )
    return {part: _numbered(found[split], f"{name}/{split}") for part, split in named.items()}


def _numbered(rows: Any, where: str) -> list[Row | BadRow]:
    return [Row(row, f"{where}:row {number}") for number, row in enumerate(rows, start=1)]
