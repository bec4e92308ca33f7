"""Best of k templates: the task's prompt in several frames, of which trials on validation keep one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from luthier.core.types import Example, Message
from luthier.prompting.prompting import Conversation, Fits, Program, Prompting

PLACE = "{prompt}"
FRAMES = (
    PLACE,
    f"Instruction: {PLACE}\nResponse:",
    f"Question: {PLACE}\nAnswer:",
    f"{PLACE}\n\nThe answer is:",
    f"Read carefully, then answer in the form that is asked for.\n\n{PLACE}",
)
"""What the prompt is put into: as it is, the frames that instruction data and question answering use most, a lead-in
to the answer, and a line of advice before it."""


class BestTemplate(Prompting):
    """Ask in several frames around the prompt, and keep the one that does best on validation.

    A study's `trials` says how many of the templates are tried, from the first on: the same number of trials that a
    tuned arm gets for its learning rate. How much a frame matters: Zhao et al. 2021, arXiv 2102.09690; Sclar et al.
    2023, arXiv 2310.11324.
    """

    name: ClassVar[str] = "best_template"
    varies: ClassVar[str] = "template"

    templates: tuple[str, ...] = Field(default=FRAMES, min_length=1)
    """What to try; `{prompt}` in each stands for the last turn of the task's prompt."""
    choice: int = Field(default=0, ge=0)
    """Which of them is used, counted from 0; trials try it first, and then the others."""

    @model_validator(mode="after")
    def _templates_hold_the_prompt(self) -> BestTemplate:
        for template in self.templates:
            if PLACE not in template:
                raise ValueError(f"templates: {template!r} has no {PLACE}: the question would not be asked")
        if self.choice >= len(self.templates):
            raise ValueError(f"choice: {self.choice}, and there are {len(self.templates)} templates (the first is 0)")
        return self

    def label(self) -> str:
        return f"{self.name}({self.templates[self.choice]!r})" if self.choice else self.name

    def program(self, train: Sequence[Example], seed: int) -> Program:
        return _Framed(self.templates[self.choice])

    def candidates(self, count: int) -> list[tuple[str, Prompting]]:
        places = [self.choice, *(place for place in range(len(self.templates)) if place != self.choice)][:count]
        return [(self.templates[place], self.model_copy(update={"choice": place})) for place in places]

    @property
    def frame(self) -> str:
        return max((template.replace(PLACE, "") for template in self.templates), key=len)


class _Framed(Program):
    def __init__(self, template: str):
        self.template = template

    def conversation(self, example: Example, fits: Fits) -> Conversation:
        *before, last = example.messages
        return (*before, Message(last.role, self.template.replace(PLACE, last.content)))

    def record(self) -> dict[str, object]:
        return {"template": self.template}
