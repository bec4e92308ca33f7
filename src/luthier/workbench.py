"""The model of one run: loaded only when a step needs it, with the stages trained so far on it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from luthier.core.store import Store
from luthier.core.types import Example, Listener, Message, Progress
from luthier.models.flat import use_flat_attention
from luthier.models.generator import ModelGenerator
from luthier.models.load import find_model, load_model, load_tokenizer
from luthier.models.tokens import Encoded, Renderer
from luthier.objectives.supervised import SupervisedData
from luthier.prompting.prompting import Program
from luthier.study_file import RunSpec, Stage
from luthier.tasks.task import Task


class Workbench:
    """What a run computes with.

    Attributes:
        adapted: the model with the current stage's method attached (or loaded).
        device: where it computes.
    """

    def __init__(self, spec: RunSpec, store: Store, device: str, listener: Listener):
        self.spec, self.store, self.device, self.listener = spec, store, device, listener
        self.adapted: Any = None
        self._stages = -1

    def prepare(self, stages: int) -> None:
        """Make `adapted` the base with the first `stages` trained stages on it, and the next one's method attached.

        After the last stage there is nothing to attach: the model is ready to answer.
        """
        import torch

        trained, keys = self.spec.arm.trained, self.spec.train_keys()
        if self.adapted is not None and self._stages == stages - 1 and stages == len(trained):
            return  # just trained here
        silence_libraries()
        self.listener(Progress(self.spec.folder, "load"))
        torch.manual_seed(self.spec.seed)
        model = self._base()
        for position, (stage, key) in enumerate(zip(trained[:stages], keys, strict=False)):
            model = stage.method.load(model, self.store.step("train", key).weights)
            if position < len(trained) - 1:
                model = stage.method.merge(model)
        if stages < len(trained):
            # Seeded anew: what a method draws must not depend on what was loaded before it.
            torch.manual_seed(self.spec.seed)
            model = trained[stages].method.attach(model, self.tokenizer)
        self.adapted, self._stages = model.to(self.device), stages

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return load_tokenizer(find_model(self.spec.model.name))

    @cached_property
    def renderer(self) -> Renderer:
        """What turns conversations into tokens."""
        return Renderer(self.tokenizer, self.spec.model.context)

    @property
    def flat(self) -> bool:
        """Whether sequences may share a row: the architecture and the current method must both allow it."""
        return self._flat_attention and all(stage.method.flat for stage in self.spec.arm.trained[: self._stages + 1])

    @property
    def generator(self) -> ModelGenerator:
        """The model as prompting programs see it."""
        return ModelGenerator(self.adapted, self.renderer, flat=self.flat, run=self.spec.folder, listener=self.listener)

    def training_data(self, stage: Stage, task: Task) -> SupervisedData:
        """The stage's examples, rendered by its prompting and encoded."""
        program = stage.prompting.program(task.splits["train"], self.spec.seed)
        return SupervisedData(
            encode(program, self.renderer, task.splits["train"]),
            encode(program, self.renderer, task.splits["validation"]),
            batch_size=stage.training.batch_size,
            seed=self.spec.seed,
            flat=self.flat,
            most_tokens=stage.training.micro_batch_tokens,
            pad_id=self.renderer.pad_id,
        )

    def notify(self, phase: str, step: int, total: int, values: Any) -> None:
        """The training loop's progress, under the run's name."""
        self.listener(Progress(self.spec.folder, phase, step, total, values))

    def autocast(self) -> Any:
        """The run's precision, for predictions."""
        import torch

        kind = self.device.partition(":")[0]
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.spec.precision == "bf16")

    def _base(self) -> Any:
        files = find_model(self.spec.model.name)
        model = load_model(files)
        self._flat_attention = use_flat_attention(model)
        return model


def silence_libraries() -> None:
    """Keep the progress bars and deprecation notes of the libraries off the terminal: it shows the study."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    for category in (FutureWarning, UserWarning):
        warnings.filterwarnings("ignore", category=category, module=r"(transformers|peft|lightning)\b")


def encode(program: Program, renderer: Renderer, examples: Sequence[Example]) -> list[Encoded]:
    """Examples as token sequences, each asked as the program asks it and answered by its first reference."""
    encoded = []
    for example in examples:

        def fits(conversation: tuple[Message, ...], example: Example = example) -> bool:
            return renderer.fits(conversation, len(renderer.completion(conversation, example.reference)))

        encoded.append(renderer.encode(example.id, program.conversation(example, fits), example.reference))
    return encoded
