"""What a benchmark asked a model, and what came: an item, a folder of them, and the items that several models share.

```
<out>/<suite>/<model>-<key>/items.jsonl       one item a line
<out>/<suite>/<model>-<key>/evaluation.json   what was judged, how, and the figures; written last
<out>/<suite>/<model>-<key>/unfinished/      before that, the tasks that are done (`parts.py`)
```

An item is a `Prediction` with what judges it, so that another metric can judge it later without a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.store import read_lines, write_lines
from luthier.core.types import Example, Message, Prediction, prediction_from_json, prediction_to_json

FILE = "items.jsonl"


@dataclass(frozen=True)
class Item:
    """One question of a benchmark.

    Attributes:
        example: its id (the digest of the task's name and the document, the same for every model), its prompt as one
            message, its references and choices; `task` names the benchmark's task, `cluster` what items share.
        prediction: what the model answered.
        values: measure -> score, as the benchmark's own logic has it; a measure that could not be taken is absent, and
            so is one that the task does not take the mean of over its items.
        question: the prompt without worked examples and description; None where that is the prompt.
    """

    example: Example
    prediction: Prediction
    values: Mapping[str, float] = field(default_factory=dict)
    question: str | None = None

    @property
    def id(self) -> str:
        """The example's."""
        return self.example.id

    @property
    def task(self) -> str:
        """The task of the benchmark."""
        return self.example.task


def write_items(folder: Path, items: Iterable[Item]) -> None:
    """All items of a model on a suite, one a line."""
    write_lines(folder / FILE, (item_to_json(item) for item in items))


def read_items(folder: Path) -> list[Item]:
    """What `write_items` wrote.

    Raises:
        LuthierError: there is none, or it was damaged since.
    """
    path = folder / FILE
    if not path.is_file():
        raise LuthierError("no answers are stored here", where=str(path), mend="run luthier evaluate with --out first")
    return [item_from_json(line) for line in read_lines(path)]


def refuse_other_items(named: Mapping[str, Sequence[Item]]) -> None:
    """Refuse to set models side by side that were not asked the same.

    Args:
        named: model -> its items.

    Raises:
        LuthierError: the items of two of them differ; it lists ids that one has and the other has not.
    """
    if not named:
        return
    (first, items), *others = named.items()
    ids = {item.id for item in items}
    for name, other in others:
        theirs = {item.id for item in other}
        if ids != theirs:
            parts = [
                f"{len(only)} only of {owner} ({', '.join(sorted(only)[:5])}{', ...' if len(only) > 5 else ''})"
                for owner, only in ((first, ids - theirs), (name, theirs - ids))
                if only
            ]
            raise LuthierError(
                f"{first} and {name} were not asked the same items: {'; '.join(parts)}",
                where="item ids",
                mend="evaluate both on the same data with the same --limit and --shots",
            )


def item_to_json(item: Item) -> dict[str, Any]:
    """Plain data."""
    example = item.example
    return {
        "id": example.id,
        "task": example.task,
        "prompt": example.messages[-1].content,
        "references": list(example.references),
        "choices": list(example.choices),
        "cluster": example.cluster,
        "prediction": prediction_to_json(item.prediction),
        "values": dict(item.values),
        "question": item.question,
    }


def item_from_json(line: Mapping[str, Any]) -> Item:
    """What `item_to_json` made plain."""
    example = Example(
        id=line["id"],
        messages=(Message("user", line["prompt"]),),
        references=tuple(line["references"]),
        choices=tuple(line["choices"]),
        cluster=line["cluster"],
        task=line["task"],
    )
    return Item(example, prediction_from_json(line["prediction"]), line["values"], line.get("question"))
