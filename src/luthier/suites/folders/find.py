"""Where in a folder the files of a task lie: `<task>/` or `<data set>/`, at most two folders down, a file a split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from luthier.tasks.readers import is_data_file

_ALIASES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
_SHARED_NAMES = ("glue", "superglue")
"""Benchmarks with tasks of the same name and other columns (RTE): one's folder is not searched for the other's."""


def plain(name: str) -> str:
    """Letters and digits alone, in lower case: `super_glue` and `SuperGLUE` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def family_of(config: Mapping[str, Any]) -> str:
    """The data set's name on the hub, without its owner."""
    return str(config.get("dataset_path") or "").split("/")[-1]


def names_of(task: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """What the task's folder may be called."""
    subset = config.get("dataset_name")
    names = [task, str(subset) if subset and subset not in ("main", "default") else family_of(config)]
    return tuple(dict.fromkeys(name for name in names if name))


def find_splits(root: Path, task: str, config: Mapping[str, Any], *, alone: bool) -> dict[str, Path]:
    """The files of a task by split (`train`, `validation`, `test`, or as the definition calls one); none found: empty.

    Args:
        root: what the user gave.
        task, config: lm-eval's name and definition.
        alone: whether this is the only task asked; then the files may lie in `root` itself, whatever it is called.
    """
    for folder in candidates(root, task, config):
        if found := _splits(folder, config):
            return found
    return _splits(root, config) if alone else {}


def candidates(root: Path, task: str, config: Mapping[str, Any]) -> Iterator[Path]:
    """The folders that are named after the task, those below its data set's name first."""
    family, wanted = plain(family_of(config)), {plain(name) for name in names_of(task, config)}
    others = set(_SHARED_NAMES) - {family}
    folders = [root, *_below(root), *(inner for outer in _below(root) for inner in _below(outer))]
    named = [one for one in folders if plain(one.name) in wanted and plain(one.parent.name) not in others]
    yield from sorted(named, key=lambda one: (plain(one.parent.name) != family, len(one.parts), str(one)))


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _splits(folder: Path, config: Mapping[str, Any]) -> dict[str, Path]:
    """Files by split; of several for one, the one whose name is the split's own."""
    found: dict[str, Path] = {}
    own = {config.get(key) for key in ("training_split", "validation_split", "test_split", "fewshot_split")}
    stems = {
        **{alias: split for split, aliases in _ALIASES.items() for alias in reversed(aliases)},
        **{str(name): str(name) for name in own if name},
    }
    for path in sorted(folder.iterdir()):
        stem = path.name.split(".")[0]
        split = stems.get(stem)
        if split and path.is_file() and is_data_file(path.name) and (split not in found or stem == split):
            found[split] = path
    return found
