"""A run, specified: everything resolved, and the keys under which its steps are stored.

A key is the digest of all that a step depends on. What raises a class's `version` (settings that come to mean something
else) or `RENDERING` (prompts that come to look different) changes the keys of what depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from luthier.core.settings import Settings, digest
from luthier.core.types import PredictionKind
from luthier.metrics.bits_per_byte import BitsPerByte
from luthier.models.encoder_tokens import ENCODER_VERSION
from luthier.models.kinds import Kind
from luthier.models.load import find_model
from luthier.models.names import local_folder
from luthier.models.sampling import Sampling
from luthier.models.tokens import PLAIN_VERSION as RENDERING
from luthier.study_file import Arm, Stage, TaskSpec
from luthier.tasks.generated.prose import documents

DOCUMENTS = 32
"""Texts of each sort, sampled from the base and generated, on which forgetting is measured."""
COMPARED = 16
"""Of these texts of each sort, so many are read by the base and the trained model side by side. Their divergence counts
every word of the vocabulary at every token, and so varies less than bits do."""
PROBED = 8
"""Of the generated texts, so many are followed through a training. On a house model that takes 0.27 s of one core each
time, where an optimizer step of eight short rows takes 0.20 s: 5% of 76 steps with two validations."""
SAMPLES = Sampling(temperature=1.0, max_new_tokens=96)
"""How texts are sampled from the untouched base: from its own distribution, and short enough to take seconds."""


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
    kind: Kind = "decoder"
    """What its attention allows."""
    random: bool = False
    """Whether it starts from random weights, drawn by the run's seed: a control of what pretraining earned."""

    beside: str | None = None
    """The study's model whose arms it is compared with, where the arm has a model of its own."""

    @property
    def column(self) -> str:
        """The study's model under which results stand."""
        return self.beside or self.name

    @property
    def pairs(self) -> bool:
        """Whether an encoder reads the prompts and a decoder writes the answers."""
        return self.kind == "encoder-decoder"


class Source(Settings):
    """A task that a run's trainings read beside the one that the run is judged on."""

    task: TaskSpec
    """Its settings."""
    data: dict[str, str]
    """Digests of its splits, as they are used."""
    left_out: tuple[str, ...] = ()
    """Examples that are too long for the model, and were left out on request."""
    retained: bool = False
    """Whether it stands under `retain`: regularisers read it in every stage."""


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
    sources: tuple[Source, ...] = ()
    """Other tasks that its trainings read."""
    size: int | None = None
    """How many training examples, where the study varies them."""
    split: Literal["validation", "test"] = "test"
    """What is predicted: the validation set in a trial."""
    control_of: str | None = None
    """The arm that is repeated here from random weights."""
    documents: bool = False
    """Whether texts are measured before and after training, to see what was forgotten."""
    probed: bool = False
    """Whether some of these texts are also measured while it trains; no key depends on it."""
    retain: tuple[TaskSpec, ...] = ()
    """Tasks that are measured before and after training."""
    retain_data: dict[str, str] = {}
    """Digests of their test sets."""
    seed: int
    """Seeds initialisation, order, shots and sampling."""
    precision: Literal["fp32", "bf16"]
    """What it is computed in."""

    def train_keys(self) -> list[str]:
        """A key per trained stage: the digest of all that its weights depend on, the stage before included."""
        keys: list[str] = []
        start = f"{self.model.identity} from random weights {self.seed}" if self.model.random else self.model.identity
        for position, stage in enumerate(self.arm.trained):
            data = self.data_of(self.trained_on(stage))
            retained = {"retained": [self.data_of(name)["train"] for name in self.retained_by(position)]}
            keys.append(
                digest(
                    {
                        "stage": stage.fingerprint(),
                        "before": keys[-1] if keys else start,
                        "train": data["train"],
                        "validation": data["validation"],
                        "seed": self.seed,
                        "precision": self.precision,
                        "rendering": self._rendering,
                        **(retained if stage.regulariser.retains else {}),
                    }
                )
            )
        return keys

    def trained_on(self, stage: Stage) -> str:
        """The name of the task that a stage is trained on."""
        return stage.task or self.task.task_name

    def retained_by(self, position: int) -> list[str]:
        """The tasks that the regulariser of that trained stage keeps from being forgotten: those of the stages before
        it, and those that the study retains; none where it reads no data."""
        stage = self.arm.trained[position]
        if not stage.regulariser.retains:
            return []
        before = [self.trained_on(other) for other in self.arm.trained[:position]]
        kept = [source.task.task_name for source in self.sources if source.retained]
        return [name for name in dict.fromkeys([*before, *kept]) if name != self.trained_on(stage)]

    def data_of(self, task: str) -> dict[str, str]:
        """The digests of a task that its trainings read."""
        if task == self.task.task_name:
            return self.data
        return next(source.data for source in self.sources if source.task.task_name == task)

    @property
    def kinds(self) -> tuple[PredictionKind, ...]:
        """The kinds of prediction that it makes, text first."""
        return self.task.kinds_on(self.model.kind)

    @property
    def _rendering(self) -> Any:
        """Which version of the rendering its prompts depend on; of an encoder also what its head has an output for."""
        return ["encoder", ENCODER_VERSION, *self.kinds] if self.model.kind == "encoder" else RENDERING

    def predict_keys(self) -> dict[PredictionKind, str]:
        """A key per kind of prediction: a metric that wants another kind leaves those at hand alone."""
        return {kind: self._predict_key(kind) for kind in self.kinds}

    def _predict_key(self, kind: PredictionKind) -> str:
        """The digest of all that predictions of a kind depend on; seed and training set only where they change them."""
        prompting, generation = self.arm.prompting, self.task.generation
        drawn = kind == "text" and generation.temperature > 0
        return digest(
            {
                "weights": [*self.train_keys(), self.model.identity if prompting.needs_model else None],
                "prompting": prompting.fingerprint(),
                "kind": kind,
                "generation": generation.fingerprint(),  # its length also decides how many shots fit
                "train": self.data["train"] if prompting.reads_training_set else None,
                "asked": self.data[self.split],
                "seed": self.seed if prompting.seeded or drawn else None,
                "precision": self.precision,
                "rendering": self._rendering,
            }
        )

    def predict_key(self) -> str:
        """The key of the predictions that a report shows: the texts, where the task has any."""
        return next(iter(self.predict_keys().values()))

    def step_keys(self) -> set[str]:
        """The keys of all its trainings and of its predictions for its own task."""
        return {*self.train_keys(), *self.predict_keys().values()}

    def run_key(self) -> str:
        """The digest of all that the result depends on, and of the names that it stands under in a report."""
        names = [self.arm.name, self.model.column, self.model.identity, self.task.task_name, self.size, self.split]
        metrics = [metric.fingerprint() for metric in self.task.metrics]
        encoders = [_digest_of(metric.encoder.model) for metric in self.task.metrics if metric.encoder is not None]
        kept = [[task.fingerprint(), self.retain_data[task.task_name]] for task in self.retain]
        documents = [_how_sampled(), _prose_digest(), BitsPerByte().fingerprint(), "drift"] if self.documents else None
        answers = list(self.predict_keys().values())
        return digest([names, answers, metrics, kept, documents, self.control_of, *encoders])

    @property
    def weights(self) -> list[str]:
        """What the finished model is made of: its base, and every training after it."""
        return [self.model.identity, *self.train_keys()]

    def untouched(self) -> RunSpec:
        """The base of this run: before anything was trained."""
        return self.model_copy(update={"arm": Arm(name="base", stages=(Stage(),)), "seed": 0})

    def sample_key(self) -> str:
        """The key of the texts sampled from its base."""
        return digest({"base": self.model.identity, "how": _how_sampled(), "precision": self.precision})

    def documents_key(self, texts: Sequence[str]) -> str:
        """The key of the likelihoods that its finished model gives to these texts."""
        return digest({"documents": list(texts), "weights": self.weights, "precision": self.precision})

    def drift_key(self, texts: Sequence[str]) -> str:
        """The key of how far its finished model is from its base, on these texts and in its weights."""
        return digest({"drift": list(texts), "weights": self.weights, "precision": self.precision})

    def retained_key(self, task: TaskSpec) -> str:
        """The key of its finished model's answers to a retained task, asked as that is written, seed 0."""
        return digest(
            {
                "weights": self.weights,
                "asked": self.retain_data[task.task_name],
                "kinds": [task.kind_for(metric) for metric in task.judges],
                "generation": task.generation.fingerprint(),
                "precision": self.precision,
                "rendering": RENDERING,
            }
        )

    @property
    def seeded(self) -> bool:
        """Whether another seed could give another result."""
        return bool(self.arm.trained) or self.arm.prompting.seeded or self.task.generation.temperature > 0

    @property
    def folder(self) -> str:
        """The run's folder: its arm, whether it is a trial, its digest and seed."""
        word = re.sub(r"[^A-Za-z0-9.-]+", "_", self.arm.name).strip("_") or "arm"
        trial = "-trial" if self.split == "validation" else ""
        return f"{word}{trial}-{self.run_key()}-s{self.seed}"


def _digest_of(encoder: str) -> str:
    """What identifies the encoder that a metric compares texts by: read anew where a folder's files change, while the
    hub is asked once."""
    return find_model(encoder).digest if local_folder(encoder) is not None else _digest_on_hub(encoder)


@cache
def _digest_on_hub(encoder: str) -> str:
    return find_model(encoder).digest


def _how_sampled() -> list[Any]:
    return [DOCUMENTS, SAMPLES.fingerprint()]


@cache
def _prose_digest() -> str:
    return digest(documents(DOCUMENTS))
