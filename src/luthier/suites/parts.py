"""The finished tasks of an evaluation that has been stopped, so that it goes on without asking them again.

```
<out>/<suite>/<model>-<key>/unfinished/<task>.json     gone once evaluation.json is there
```
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from luthier.core.durable import read_object
from luthier.core.store import write_json
from luthier.suites.evaluation import TaskResult, task_from_json, without_nan
from luthier.suites.items import Item, item_from_json, item_to_json

FOLDER = "unfinished"


@dataclass(frozen=True)
class Part:
    """One task of an evaluation.

    Attributes:
        result: its figures.
        items: what was asked and answered.
        seconds: wall-clock, of asking and scoring.
    """

    result: TaskResult
    items: tuple[Item, ...]
    seconds: float


def write_part(folder: Path, key: str, part: Part) -> None:
    """Keep a task in the folder of its evaluation, whose key is given."""
    data = {
        "key": key,
        "result": without_nan(asdict(part.result)),
        "items": [item_to_json(item) for item in part.items],
        "seconds": part.seconds,
    }
    write_json(folder / FOLDER / f"{part.result.name}.json", data)


def read_part(folder: Path, key: str, task: str) -> Part | None:
    """What `write_part` kept; None where there is nothing of this task with this key."""
    data = read_object(folder / FOLDER / f"{task}.json")
    if data is None or data.get("key") != key:
        return None
    items = tuple(item_from_json(one) for one in data["items"])
    return Part(task_from_json(data["result"]), items, data["seconds"])


def drop_parts(folder: Path) -> None:
    """Take them away: the whole evaluation is there."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
