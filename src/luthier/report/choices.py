"""What each arm was allowed to choose on validation: its trials, their scores, and the choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One setting tried on validation.

    Attributes:
        label: the setting (`0.001`).
        run: its run folder.
        score: of the primary measure on validation; None where the trial failed or is unfinished.
        status: `finished`, `failed` or `unfinished`.
    """

    label: str
    run: str
    score: float | None
    status: str


@dataclass(frozen=True)
class Choice:
    """The trials of one arm on one model, task and size (and seed, where shots are drawn anew for each).

    Attributes:
        what: `learning rate`, `shots`, `template`; None where there was nothing to choose.
        chosen: position in `tried`; None where nothing was tried.
        edge: whether the choice lies at the edge of what was tried, so that a better one may lie beyond.
        why_fixed: why there was nothing to choose; None where there was.
    """

    arm: str
    model: str
    task: str
    size: int | None
    seed: int | None
    what: str | None
    tried: tuple[Trial, ...]
    chosen: int | None
    edge: bool
    why_fixed: str | None

    @property
    def label(self) -> str | None:
        """The setting chosen; None where nothing was tried."""
        return self.tried[self.chosen].label if self.chosen is not None else None


def choices(study: Mapping[str, Any], task: str, model: str, size: int | None) -> tuple[Choice, ...]:
    """What `study.json` says was tried in one group; nothing where the study is older than that.

    A choice without a size holds for every size.
    """
    entries = [
        entry
        for entry in study.get("choices", ())
        if (entry["task"], entry["model"]) == (task, model) and entry.get("size") in (size, None)
    ]
    return tuple(map(_choice, entries))


def _choice(entry: Mapping[str, Any]) -> Choice:
    tried = tuple(
        Trial(one["label"], one["run"], one["score"], one["status"] or "unfinished") for one in entry["tried"]
    )
    return Choice(
        arm=entry["arm"],
        model=entry["model"],
        task=entry["task"],
        size=entry.get("size"),
        seed=entry.get("seed"),
        what=entry["what"],
        tried=tried,
        chosen=entry["chosen"] if tried else None,
        edge=bool(entry["edge"]),
        why_fixed=entry["why_fixed"],
    )


def budget_notes(found: Sequence[Choice], trials: int) -> tuple[str, ...]:
    """Sentences on the trials: how many, for whom not, choices at an edge, trials that failed."""
    if trials <= 1:
        return ("Nothing was searched (trials: 1): learning rates, shots and templates are the defaults or as given.",)
    notes = [f"Each arm had {trials} trials, judged on the validation set."]
    for why in dict.fromkeys(one.why_fixed for one in found if one.why_fixed):
        notes.append(f"Not searched ({why}): {_arms(one for one in found if one.why_fixed == why)}.")
    searched = [one for one in found if one.why_fixed is None]
    for count in sorted({len(one.tried) for one in searched} - {trials}):
        fewer = _arms(one for one in searched if len(one.tried) == count)
        notes.append(f"Unequal budgets: {fewer} had {count} of the {trials} trials.")
    for one in searched:
        if one.edge and one.label is not None:
            seed = "" if one.seed is None else f", seed {one.seed}"
            notes.append(f"{one.arm}{seed}: its {one.what}, {one.label}, is at the edge of what was tried.")
    failed = [one for one in searched if any(trial.score is None for trial in one.tried)]
    if failed:
        notes.append(f"Some trials failed: {_arms(failed)}.")
    return tuple(notes)


def _arms(found: Iterable[Choice]) -> str:
    return ", ".join(dict.fromkeys(one.arm for one in found))
