"""A run, specified: everything resolved, and the keys under which its steps are stored.

A key is the digest of all that a step depends on. What raises a class's `version` (settings that come to mean something
else) or `RENDERING` (prompts that come to look different) changes the keys of what depends on it.
"""

from __future__ import annotations

import re
from typing import Literal

from luthier.core.settings import Settings, digest
from luthier.core.types import PredictionKind
from luthier.models.tokens import PLAIN_VERSION as RENDERING
from luthier.study_file import Arm, TaskSpec


class ModelRef(Settings):
    """A model as a run sees it: its name, and what identifies and sizes it."""

    name: str
    """A house model, a folder, or a hub id."""
    identity: str
    """The digest of its configuration, tokenizer and weights."""
    parameters: int
    """Weights in all."""
    context: int | None
    """The longest input, in tokens; none where there is no limit."""


class RunSpec(Settings):
    """One run: an arm on a model, a task and a seed, everything resolved."""

    arm: Arm
    """What is run."""
    model: ModelRef
    """On which model."""
    task: TaskSpec
    """On which task."""
    data: dict[str, str]
    """Digests of the task's splits, as they are used."""
    left_out: tuple[str, ...] = ()
    """Examples that are too long for the model, and were left out on request."""
    seed: int
    """Seeds initialisation, order, shots and sampling."""
    precision: Literal["fp32", "bf16"]
    """What it is computed in."""

    def train_keys(self) -> list[str]:
        """A key per trained stage: the digest of all that its weights depend on, the stage before included."""
        keys: list[str] = []
        for stage in self.arm.trained:
            keys.append(
                digest(
                    {
                        "stage": stage.fingerprint(),
                        "before": keys[-1] if keys else self.model.identity,
                        "train": self.data["train"],
                        "validation": self.data["validation"],
                        "seed": self.seed,
                        "precision": self.precision,
                        "rendering": RENDERING,
                    }
                )
            )
        return keys

    def predict_keys(self) -> dict[PredictionKind, str]:
        """A key per kind of prediction: a metric that wants another kind leaves those at hand alone."""
        return {kind: self._predict_key(kind) for kind in self.task.kinds}

    def _predict_key(self, kind: PredictionKind) -> str:
        """The digest of all that predictions of a kind depend on; the seed only where it changes them."""
        prompting, generation = self.arm.prompting, self.task.generation
        drawn = kind == "text" and generation.temperature > 0
        return digest(
            {
                "weights": [*self.train_keys(), self.model.identity if prompting.needs_model else None],
                "prompting": prompting.fingerprint(),
                "kind": kind,
                "generation": generation.fingerprint(),  # its length also decides how many shots fit
                "train": self.data["train"],
                "test": self.data["test"],
                "seed": self.seed if prompting.seeded or drawn else None,
                "precision": self.precision,
                "rendering": RENDERING,
            }
        )

    def predict_key(self) -> str:
        """The key of the predictions that a report shows: the texts, where the task has any."""
        return next(iter(self.predict_keys().values()))

    def step_keys(self) -> set[str]:
        """The keys of all its steps."""
        return {*self.train_keys(), *self.predict_keys().values()}

    def run_key(self) -> str:
        """The digest of all that the result depends on, and of the names that it stands under in a report."""
        names = [self.arm.name, self.model.name, self.model.identity, self.task.task_name]
        metrics = [metric.fingerprint() for metric in self.task.metrics]
        return digest([names, list(self.predict_keys().values()), metrics])

    @property
    def seeded(self) -> bool:
        """Whether another seed could give another result."""
        return bool(self.arm.trained) or self.arm.prompting.seeded or self.task.generation.temperature > 0

    @property
    def folder(self) -> str:
        """The run's folder: its arm, digest and seed."""
        word = re.sub(r"[^A-Za-z0-9.-]+", "_", self.arm.name).strip("_") or "arm"
        return f"{word}-{self.run_key()}-s{self.seed}"
