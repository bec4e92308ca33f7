"""The rows of one task out of a folder, with what its definition has to be told of the splits that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.suites.folders.bbh import find_bbh, is_bbh
from luthier.suites.folders.columns import columns_of
from luthier.suites.folders.find import find_splits, names_of
from luthier.suites.folders.mmlu import find_mmlu, is_mmlu, read_mmlu
from luthier.suites.folders.question_options import convert
from luthier.suites.folders.rows import SplitRows, checked, read_file

_FALLBACK = ("validation", "test", "train")


@dataclass(frozen=True)
class TaskRows:
    """What a folder has for a task.

    Attributes:
        splits: the split's name in lm-eval's definition -> rows in the hub's columns.
        overrides: what the definition is told: which split is asked, which ones are not there.
        shots_from: whether there are rows (or samples in the definition) that shots can be made of.
        notes: what a reader should know, a sentence each.
        places: the split's name -> where each of its rows stands.
        files: what was read.
    """

    splits: Mapping[str, tuple[Mapping[str, Any], ...]]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    shots_from: bool = True
    notes: tuple[str, ...] = ()
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def rows_of(task: str, config: Mapping[str, Any], root: Path, *, alone: bool) -> TaskRows | None:
    """The rows that a folder has for a task; None where it has none.

    Args:
        task, config: lm-eval's name and definition.
        root: the folder that the user gave.
        alone: whether this is the only task asked.

    Raises:
        LuthierError: the folder is not there; a file of the task cannot be read, has no rows, lacks a column or has a
            label out of range.
    """
    refuse_no_folder(root)
    files = _find(task, config, root, alone)
    asked = _asked(config, files)
    if asked is None:
        return None
    split, file_split = asked
    notes = []
    if file_split != split:
        notes.append(f"{task}: there are no {split} rows in the folder; its {file_split} rows are asked")
    pool = config.get("fewshot_split") or (config.get("fewshot_config") or {}).get("split")
    wanted = {file_split, *(name for name in (pool, config.get("training_split")) if name in files)}
    splits, places = {}, {}
    for name in sorted(wanted):
        read = _read(task, config, files[name])
        splits[name], places[name] = read.rows, read.places
        if name == file_split:
            notes += [f"{task}: {note}" for note in read.notes]
    there = set(splits)
    pool_there = there if file_split == split else there - {file_split}
    overrides = _overrides(config, split, file_split, there)
    read_from = tuple(str(files[name]) for name in sorted(wanted))
    return TaskRows(splits, overrides, _pool(config, pool_there), tuple(notes), places, read_from)


def refuse_no_folder(root: Path) -> None:
    """Refuse what is no folder to read from.

    Raises:
        LuthierError: it is a file, or not there.
    """
    if not root.is_dir():
        what = "this is a file, not a folder" if root.exists() else "no such folder"
        raise LuthierError(what, where=str(root), mend="give the folder of the benchmark's data to --data")


def looked_for(task: str, config: Mapping[str, Any]) -> str:
    """The files of a task that would have been read, for a message."""
    if is_mmlu(config):
        return f"mmlu/test/{config.get('dataset_name')}_test.csv"
    if is_bbh(config):
        return f"bbh/tasks/{config.get('dataset_name')}.json"
    return f"{names_of(task, config)[-1]}/{config.get('test_split') or config.get('validation_split')}.jsonl"


def _find(task: str, config: Mapping[str, Any], root: Path, alone: bool) -> dict[str, Path]:
    if is_mmlu(config):
        return find_mmlu(root, config)
    if is_bbh(config):
        return find_bbh(root, config)
    return find_splits(root, task, config, alone=alone)


def _asked(config: Mapping[str, Any], files: Mapping[str, Path]) -> tuple[str, str] | None:
    """The split that the definition asks, and the one of the folder that stands for it."""
    split = config.get("test_split") or config.get("validation_split")
    if split is not None and split in files:
        return split, split
    if is_mmlu(config):  # its dev rows are the shots
        return None
    other = next((name for name in _FALLBACK if name in files), None)
    return None if split is None or other is None else (split, other)


def _read(task: str, config: Mapping[str, Any], path: Path) -> SplitRows:
    if is_mmlu(config):
        return read_mmlu(path, str(config.get("dataset_name")))
    rows, columns = read_file(path), columns_of(task, config)
    if set(columns.names) <= set(rows[0].values) or (converted := convert(task, rows)) is None:
        return checked(rows, columns)
    read = checked(converted[0], columns)
    return SplitRows(read.rows, read.places, (*converted[1], *read.notes))


def _overrides(config: Mapping[str, Any], split: str, file_split: str, there: set[str]) -> dict[str, Any]:
    """The definition's keys of splits, where the folder has other ones."""
    changed: dict[str, Any] = {}
    if file_split != split:
        changed["test_split" if config.get("test_split") else "validation_split"] = file_split
    for key in ("training_split", "validation_split", "fewshot_split"):
        if key not in changed and config.get(key) is not None and config[key] not in there:
            changed[key] = None
    shots = config.get("fewshot_config")
    if isinstance(shots, Mapping) and shots.get("split") not in (None, *there):
        changed["fewshot_config"] = {key: value for key, value in shots.items() if key != "split"}
    return changed


def _pool(config: Mapping[str, Any], there: set[str]) -> bool:
    """Whether the definition's shots can be drawn: from samples of its own, the split it names, or the training set.

    Never from what is asked, unless that is what the definition names.
    """
    shots = config.get("fewshot_config") or {}
    split = config.get("fewshot_split") or shots.get("split")
    if split is None and shots.get("samples") is not None:
        return True
    return (split or config.get("training_split")) in there
