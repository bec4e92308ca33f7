"""The exact commands that run any part of a study again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """What a command does, and the command, ready for a shell."""

    what: str
    command: str


def commands(study: Mapping[str, Any], root: str) -> tuple[Command, ...]:
    """The whole study, the report alone, and every arm alone (with its settings resolved, so that nothing can differ).

    Args:
        study: `study.json`.
        root: the study's folder.
    """
    whole = study["command"]
    found = [
        Command("the whole study: finished runs are kept, what failed or is missing is run", whole),
        Command("the report alone, from what is stored", shlex.join(["luthier", "report", root])),
    ]
    plain = _without_out(shlex.split(whole))
    for name, arm in _arms(study):
        folder = f"{root.rstrip('/')}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', name).strip('-')}"
        changes = ["--set", f"arms={json.dumps([arm], ensure_ascii=False)}", "--set", "reference=null"]
        found.append(Command(f"{name} alone, anew", shlex.join([*plain, *changes, "--out", folder])))
    return tuple(found)


def _without_out(words: list[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if not skip and word != "--out" and not word.startswith("--out="):
            kept.append(word)
        skip = word == "--out"
    return kept


def _arms(study: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every arm's name, and what to write under `arms` for it alone."""
    arms = study.get("spec", {}).get("arms", [])
    return [(arm["name"] if isinstance(arm, Mapping) else str(arm), arm) for arm in arms]
