"""Zero-shot: the task's prompt, as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from luthier.core.types import Example
from luthier.prompting.prompting import Conversation, Fits, Program, Prompting


class ZeroShot(Prompting):
    """Ask the question and nothing else."""

    name: ClassVar[str] = "zero_shot"

    def program(self, train: Sequence[Example], seed: int) -> Program:
        return _AsItIs()


class _AsItIs(Program):
    def conversation(self, example: Example, fits: Fits) -> Conversation:
        return example.messages
