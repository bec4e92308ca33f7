"""A stored evaluation against the text that its model was pretrained on: `luthier leaks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.core.settings import read, read_yaml
from luthier.core.store import write_json
from luthier.core.types import Example, Message
from luthier.deploy.trained import trained_in, weights_of
from luthier.models.load import find_model
from luthier.pretrain_file import AnySource, PretrainSpec
from luthier.run_spec import RunSpec
from luthier.suites import evaluation, items
from luthier.suites.figures import recorded_figures
from luthier.suites.items import Item, read_items
from luthier.suites.leak_scores import Apart, scores_apart
from luthier.suites.pretraining_leaks import PretrainingLeaks, find_in_pretraining
from luthier.tasks.corpus import SourceSettings

FILE = "pretraining_leaks.json"
"""What is written beside an evaluation's items."""
_NAME_A_FILE = "--sources FILE.yaml: the pretraining file of the model, with its sources on this machine"


@dataclass(frozen=True)
class Leaks:
    """What was found.

    Attributes:
        model: as the evaluation has it; empty where it does not say.
        found: of every item.
        apart: the scores of dirty and clean items, a task and a rule.
        notes: what a reader should know, a sentence each.
    """

    model: str
    found: PretrainingLeaks
    apart: tuple[Apart, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        apart = [one.to_json() for one in self.apart]
        return {"model": self.model, "apart": apart, "notes": list(self.notes), **self.found.to_json()}


def find_leaks_of(folder: Path, sources: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Leaks:
    """Look for the items of an evaluation in a corpus, and write what was found beside them.

    Args:
        folder: of one model on one suite (`helm` too), as `luthier evaluate --out` leaves it.
        sources: a pretraining file; by default the texts that `figures.json` of the model names, or of the base below
            a run or an adapter.
        say: told what is being read.

    Raises:
        LuthierError: no such folder, no items there, no corpus known or at hand, or a source that cannot be read.
    """
    if not folder.is_dir():
        raise LuthierError("no such folder", where=str(folder), mend="name the folder of one model's evaluation")
    asked = _items_in(folder)
    record = read_object(folder / evaluation.FILE) or {}
    model = str(record.get("model", ""))
    corpus, notes = _corpus(model, sources, folder)
    found = find_in_pretraining([_without_shots(item) for item in asked], corpus, say)
    apart = scores_apart(asked, found.items, _main_measures(asked, record))
    leaks = Leaks(model, found, tuple(apart), tuple(notes))
    write_json(folder / FILE, leaks.to_json())
    return leaks


def _without_shots(item: Item) -> Example:
    """The item's example as it would stand in a text: worked examples before it are other items."""
    if item.question is None:
        return item.example
    return replace(item.example, messages=(Message("user", item.question),))


def _items_in(folder: Path) -> list[Item]:
    if not (folder / items.FILE).is_file():
        below = sorted(str(path.parent) for path in folder.glob(f"**/{items.FILE}"))
        if below:
            raise LuthierError(
                "this folder holds several evaluations" if len(below) > 1 else "the evaluation is further below",
                where=str(folder),
                mend=f"name one: {', '.join(below[:5])}{', ...' if len(below) > 5 else ''}",
            )
    found = read_items(folder)
    if not found:
        raise LuthierError("not one item is stored here", where=str(folder / items.FILE), mend="evaluate again")
    return found


def _main_measures(asked: Sequence[Item], record: Mapping[str, Any]) -> dict[str, str]:
    """Task -> the measure that stands for it: as the evaluation has it, or else (or where no item has that, which is
    so of a measure that is no mean) the first that an item has."""
    tasks = record.get("tasks", {})
    found: dict[str, str] = dict.fromkeys((item.task for item in asked), "")
    for task in found:
        measures = list(dict.fromkeys(name for item in asked if item.task == task for name in item.values))
        main = tasks.get(task, {}).get("main")
        found[task] = main if main in measures else next(iter(measures), "")
    return found


def _corpus(model: str, sources: Path | None, folder: Path) -> tuple[Mapping[str, AnySource], list[str]]:
    """The sources to look in, and what a reader should know of them."""
    if sources is not None:
        return read(PretrainSpec, read_yaml(str(sources)), str(sources)).sources, []
    if not model:
        raise LuthierError("the evaluation does not name its model", where=str(folder), mend=_NAME_A_FILE)
    base = _base_of(model)
    recorded = recorded_figures(find_model(base).folder)
    if recorded is None:
        raise LuthierError(
            f"{base} does not say what it was pretrained on", where=f"{base}: figures.json", mend=_NAME_A_FILE
        )
    texts: dict[str, SourceSettings] = recorded.texts
    missing = [path for one in texts.values() for path in one.data if not Path(path).exists()]
    if missing:
        raise LuthierError(
            f"the text that {base} was pretrained on is not on this machine", where=missing[0], mend=_NAME_A_FILE
        )
    notes = [
        f"Looked for in the texts that figures.json of {base} names. Conversations that it was trained on are not "
        "among them: --sources with its pretraining file reads these too."
    ]
    if base != model:
        notes.append(f"That is the base of {model}: what was trained on it later was not looked into.")
    return texts, notes


def _base_of(model: str) -> str:
    """The name of the model itself, or of the base below a run, a training or an adapter.

    Raises:
        LuthierError: the folder does not say.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir() or (folder / "config.json").is_file():
        return model
    if (spec := read_object(folder / "spec.json")) is not None:
        return read(RunSpec, spec, where=str(folder / "spec.json")).model.name
    base = None
    with suppress(LuthierError):  # it would ask for what this command does not take
        base = trained_in(weights_of(folder)).model
    if base is None:
        raise LuthierError("the model below these weights is not known", where=model, mend=_NAME_A_FILE)
    return base
