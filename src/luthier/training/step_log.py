"""`train.jsonl`: a JSON line for every optimizer step and every validation."""

from __future__ import annotations

import json
from pathlib import Path

from luthier.core.durable import cannot_write, sync_file
from luthier.core.store import write_text


class StepLog:
    """The file, without the lines that a resumed training is about to write again.

    Args:
        path: the file; None writes nothing.
        step: what was done before: lines of later steps are dropped, and all where nothing was.
    """

    def __init__(self, path: Path | None, step: int):
        self.path = path
        if path is None:
            return
        kept = []
        if path.exists() and step:  # what was measured before the first step is measured again
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    if json.loads(line)["step"] <= step:
                        kept.append(line)
                except (json.JSONDecodeError, KeyError):
                    break
        write_text(path, "".join(line + "\n" for line in kept))  # whole or not at all: a kill may come here too

    def add(self, **values: float) -> None:
        """Add a line.

        Raises:
            LuthierError: the disk is full (exit code 1).
        """
        if self.path is None:
            return
        line = json.dumps(values) + "\n"
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise cannot_write(f"{len(line)} bytes", self.path, error) from None

    def flush(self) -> None:
        """To the disk: what a checkpoint takes for written must outlive a crash with it."""
        if self.path is not None:
            sync_file(self.path)
