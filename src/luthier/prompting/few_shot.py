"""Few-shot: worked examples before the question (Brown et al., arXiv 2005.14165)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from luthier.core.types import Example, Message
from luthier.prompting.prompting import Conversation, Fits, Program, Prompting


class FewShot(Prompting):
    """Put `shots` training examples, with their references, before the question.

    The shots are drawn once per seed and are the same for every example; with several trials, each seed draws so often
    and keeps the draw that does best on validation (Liu et al., arXiv 2101.06804, on how much the choice matters).
    Where they do not fit into the context, the longest are left out, one by one; how often that happened stands in the
    result.
    """

    name: ClassVar[str] = "few_shot"
    seeded: ClassVar[bool] = True
    reads_training_set: ClassVar[bool] = True
    varies: ClassVar[str] = "shots"
    shots: int = Field(default=2, ge=1)
    """How many worked examples (2 fits a dialogue task into 2,048 tokens)."""
    draw: int = Field(default=0, ge=0)
    """Which draw of a seed; trials on validation choose among several."""

    def program(self, train: Sequence[Example], seed: int) -> Program:
        name = f"few_shot:{seed}" if self.draw == 0 else f"few_shot:{seed}:{self.draw}"
        drawn = random.Random(name).sample(list(train), min(self.shots, len(train)))
        return _Shots(drawn)

    def candidates(self, count: int) -> list[tuple[str, Prompting]]:
        draws = [self.draw, *(draw for draw in range(count) if draw != self.draw)][:count]
        return [(f"draw {draw + 1}", self.model_copy(update={"draw": draw})) for draw in draws]


class _Shots(Program):
    def __init__(self, shots: Sequence[Example]):
        self.shots = list(shots)
        self.shortened = 0

    def conversation(self, example: Example, fits: Fits) -> Conversation:
        kept = [shot for shot in self.shots if shot.id != example.id]
        while kept and not fits(self._with(kept, example)):
            longest = max(kept, key=lambda shot: sum(len(message.content) for message in shot.messages))
            kept.remove(longest)
        if len(kept) < len(self.shots):
            self.shortened += 1
        return self._with(kept, example)

    def _with(self, shots: Sequence[Example], example: Example) -> Conversation:
        conversation: list[Message] = []
        for shot in shots:
            conversation += [*shot.messages, Message("assistant", shot.reference)]
        conversation += example.messages
        system = [message for message in conversation if message.role == "system"][:1]
        return (*system, *(message for message in conversation if message.role != "system"))

    def record(self) -> dict[str, object]:
        return {"shots": [shot.id for shot in self.shots], "prompts_with_fewer_shots": self.shortened}
