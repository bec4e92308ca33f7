"""The model of one run: loaded only when a step needs it, with the stages trained so far on it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

from luthier.core.environment import peak_memory_bytes, reset_peak_memory
from luthier.core.errors import LuthierError
from luthier.core.settings import digest
from luthier.core.store import Store
from luthier.core.types import Listener, Progress, Split
from luthier.encoding import encode, label
from luthier.methods.merging import merge_checked
from luthier.models.classifier import ModelClassifier
from luthier.models.encoder_decoder import start_id
from luthier.models.encoder_tokens import EncoderRenderer
from luthier.models.families import family_of
from luthier.models.flat import use_flat_attention
from luthier.models.generator import ModelGenerator
from luthier.models.head import Head, head_weights, train_head
from luthier.models.kernels import Kernels, kernels_for
from luthier.models.labelled import Labelled
from luthier.models.load import ModelFiles, find_model, load_model, load_tokenizer
from luthier.models.narrow import narrow
from luthier.models.on_demand import OnDemand, kept
from luthier.models.shells import shell_of
from luthier.models.tokens import Encoded, Renderer
from luthier.objectives.objective import TrainingData
from luthier.prompting.prompting import Prompting
from luthier.prompting.zero_shot import ZeroShot
from luthier.run_spec import RunSpec
from luthier.study_file import Stage
from luthier.tasks.task import Task


class Workbench:
    """What a run computes with.

    Args:
        spec: the run.
        store: where its trained stages are.
        device: where it computes.
        listener: told of progress.
        labels: of the task, for the head of an encoder; see `tasks/labels.py`.

    Attributes:
        adapted: the model with the current stage's method attached (or loaded).
        device: where it computes.
        kernels: by which ways it computes.
    """

    def __init__(self, spec: RunSpec, store: Store, device: str, listener: Listener, labels: tuple[str, ...] = ()):
        self.spec, self.store, self.device, self.listener = spec, store, device, listener
        self.head = Head("class" if "class" in spec.kinds else "tags", labels) if spec.model.kind == "encoder" else None
        self.adapted: Any = None
        self.kernels = Kernels()
        self._stages, self._merging_tried = -1, False
        reset_peak_memory()

    def prepare(self, stages: int) -> None:
        """Make `adapted` the base with the first `stages` trained stages on it, and the next one's method attached.

        After the last stage there is nothing to attach: the model is ready to answer.
        """
        import torch

        trained, keys = self.spec.arm.trained, self.spec.train_keys()
        if self.adapted is not None and stages == len(trained) and self._stages in (stages - 1, stages):
            return  # just trained here, or loaded before
        silence_libraries()
        self.listener(Progress(self.spec.folder, "load"))
        torch.manual_seed(self.spec.seed)
        model = self._base()
        of_base = _frozen_by_most(model) if self._base_in_bf16 else []
        for position, (stage, key) in enumerate(zip(trained[:stages], keys, strict=False)):
            weights = self.store.step("train", key).weights
            model = stage.method.load(model, weights)
            if position < len(trained) - 1:
                model = stage.method.settle(model, weights)
        if stages < len(trained):
            # Seeded anew: what a method draws must not depend on what was loaded before it.
            torch.manual_seed(self.spec.seed)
            model = train_head(trained[stages].method.attach(model, self.tokenizer))
        else:
            model.requires_grad_(False)
        narrow(model, of_base)
        self.adapted, self._stages = model.to(self.device), stages

    def share(self, others: Sequence[Workbench]) -> Any:
        """Load the model once for this run and others like it, whose first trained stages stand beside the base.

        Their `adapted` becomes a shell of it (`models/shells.py`), with that stage's method attached as `prepare`
        attaches it; gives the model itself, still on the CPU.
        """
        import torch

        silence_libraries()
        self.listener(Progress(self.spec.folder, "load"))
        base = self._base()
        for bench in (self, *others):
            torch.manual_seed(bench.spec.seed)
            attached = bench.spec.arm.trained[0].method.attach(shell_of(base), self.tokenizer)
            bench.adapted, bench._stages, bench._flat_attention = train_head(attached), 0, self._flat_attention
        if self._base_in_bf16:
            narrow(base, base.parameters())
        return base

    @property
    def _base_in_bf16(self) -> bool:
        """Whether the base's matrices stay as they are for good: one trained stage at most, beside them."""
        beside = [stage.method.belongs_to not in ("full", "selective") for stage in self.spec.arm.trained]
        return self.spec.precision == "bf16" and len(beside) <= 1 and all(beside)

    @cached_property
    def files(self) -> ModelFiles:
        """The model's files.

        Raises:
            LuthierError: they are not those that the run was planned with.
        """
        files = find_model(self.spec.model.name)
        if files.digest != self.spec.model.identity:
            raise LuthierError(
                "the model has changed since the study was planned",
                where=str(files.folder),
                mend="run the same command again",
                exit_code=1,
            )
        return files

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return load_tokenizer(self.files)

    @cached_property
    def renderer(self) -> Renderer:
        """What turns conversations into tokens."""
        return Renderer(self.tokenizer, self.spec.model.context, pairs=self.spec.model.pairs)

    @cached_property
    def encoder_renderer(self) -> EncoderRenderer:
        """What turns texts, words and labels into numbers for an encoder."""
        return EncoderRenderer(self.tokenizer, self.spec.model.context, self.head)

    @property
    def flat(self) -> bool:
        """Whether sequences may share a row: the architecture and the current method must both allow it."""
        methods = [stage.method for stage in self.spec.arm.trained[: self._stages + 1]]
        return self._flat_attention and all(method.flat_on(self.spec.model.kind) for method in methods)

    def answerer(self) -> ModelGenerator | ModelClassifier:
        """The finished model as prompting programs see it, whichever its kind."""
        if self.head is None:
            return self.generator()
        self._make_ready()
        return ModelClassifier(
            self.adapted,
            self.encoder_renderer,
            self.head,
            flat=self.flat,
            run=self.spec.folder,
            listener=self.listener,
        )

    def generator(self, listener: Listener | None = None) -> ModelGenerator:
        """The finished model as prompting programs see it; `listener` hears its progress in place of the run's own."""
        self._make_ready()
        heard = listener or self.listener
        return ModelGenerator(self.adapted, self.renderer, flat=self.flat, run=self.spec.folder, listener=heard)

    def merged(self) -> Any:
        """The finished model with what was trained folded in, unchecked, to look at its weights; as it is where nothing
        of it is for the base's own weights, and None where something is that cannot be folded in. It is used up:
        whoever asks for the model afterwards has it loaded anew."""
        from peft import PeftModel

        self._make_ready()
        model, self.adapted = self.adapted, None
        method = self.spec.arm.trained[-1].method
        family = family_of(model.config.get_text_config(decoder=True).model_type)
        if not isinstance(model, PeftModel):
            return model
        if method.merge_refusal(self.spec.model.kind, family):
            return None if method.belongs_to == "reparameterised" else model
        return method.merge(model.float())  # in a narrower type the update would be rounded away

    def compute_by(self, kernels: Kernels) -> None:
        """Compute in these ways from now on."""
        self.kernels = kernels
        kernels.use()

    def quickest(self) -> Kernels:
        """The ways that are quickest for the model that was prepared."""
        return kernels_for(self.adapted, self.device)

    def training_data(self, stage: Stage, task: Task) -> TrainingData:
        """The stage's examples, rendered by its prompting, encoded, and batched as its objective wants them."""
        train, validation = (self._encoded(stage, stage.prompting, task, split) for split in ("train", "validation"))
        return self._batched(stage, train, validation, stage.training.batch_size)

    def retained_data(self, stage: Stage, kept: Sequence[tuple[Prompting, Task]]) -> TrainingData:
        """What the stage is not to forget: the training sets of tasks, each asked in its own way, shuffled together."""
        together = [row for prompting, task in kept for row in self._encoded(stage, prompting, task, "train")]
        return self._batched(stage, together, (), stage.regulariser.retained_rows(stage.training.batch_size))

    def asked_by(self, position: int, task: str) -> Prompting:
        """How a retained task was asked by the stage before that one which was trained on it; else as it is written."""
        before = [stage for stage in self.spec.arm.trained[:position] if self.spec.trained_on(stage) == task]
        return before[-1].prompting if before else ZeroShot()

    def _encoded(self, stage: Stage, prompting: Prompting, task: Task, split: Split) -> Sequence[Encoded | Labelled]:
        added, seed = stage.method.added_positions, self.spec.seed
        key = digest(
            {
                "task": [task.name, task.digests["train"], task.digests[split], split],
                "prompting": [prompting.fingerprint(), seed if prompting.seeded else None],
                "model": [self.spec.model.identity, self.spec.model.context, self.spec.model.kind],
                "head": [self.head.kind, *self.head.labels] if self.head else None,
                "added": added,
            }
        )

        def rows() -> OnDemand[Encoded | Labelled]:
            program = prompting.program(task.splits["train"], seed)
            if self.head is not None:
                return label(program, self.encoder_renderer, task.splits[split], added)
            return encode(program, self.renderer, task.splits[split], added)

        return kept(key, rows)

    def _batched(
        self,
        stage: Stage,
        train: Sequence[Encoded | Labelled],
        validation: Sequence[Encoded | Labelled],
        batch_size: int,
    ) -> TrainingData:
        return stage.objective.data(
            train,
            validation,
            batch_size=batch_size,
            seed=self.spec.seed,
            flat=self.flat,
            most_tokens=stage.training.micro_batch_tokens or self.kernels.tokens,
            pad_id=(self.encoder_renderer if self.head else self.renderer).pad_id,
            start_id=start_id(self.adapted),
        )

    def peak_bytes(self) -> int:
        """The most memory that the run has held so far: the device's where that has its own, else the process's."""
        if self.device.startswith("cuda"):
            import torch

            return int(torch.cuda.max_memory_allocated())
        return peak_memory_bytes()

    def threads(self) -> int:
        """How many threads it computes with."""
        import torch

        return torch.get_num_threads()

    def notify(self, phase: str, step: int, total: int, values: Any) -> None:
        """The training loop's progress, under the run's name."""
        self.listener(Progress(self.spec.folder, phase, step, total, values))

    def autocast(self) -> Any:
        """The run's precision, for predictions; a baseline in fp32 need not import torch for it."""
        if self.spec.precision == "fp32":
            return nullcontext()
        import torch

        return torch.autocast(self.device.partition(":")[0], dtype=torch.bfloat16)

    def _make_ready(self) -> None:
        """Every stage on the model, the last one merged where it answers the same so, and sooner.

        In float32 alone: a narrower base would round the update away.
        """
        trained = self.spec.arm.trained
        self.prepare(len(trained))
        self.compute_by(self.quickest())
        if self._merging_tried or not trained or self.spec.precision != "fp32":
            return
        self._merging_tried = True
        if trained[-1].method.answers_merged:
            try:
                self.adapted = merge_checked(trained[-1].method, self.adapted)
            except LuthierError:  # it would answer otherwise; what merging has left of the model is of no use
                self.adapted = None
                self.prepare(len(trained))

    def _base(self) -> Any:
        if self.spec.model.random:
            import torch

            torch.manual_seed(self.spec.seed)
        from luthier.models.quick_layers import quicken

        model = load_model(self.files, random_init=self.spec.model.random, head=self.head)
        self._flat_attention = use_flat_attention(model)
        quicken(model)
        return model


def _frozen_by_most(model: Any) -> list[Any]:
    """The parameters of a base that no method beside it trains: all but a head's."""
    head = head_weights(model)
    return [weights for name, weights in model.named_parameters() if name not in head]


def silence_libraries() -> None:
    """Keep the progress bars and deprecation notes of the libraries off the terminal: it shows the study."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    for category in (FutureWarning, UserWarning):
        warnings.filterwarnings("ignore", category=category, module=r"(transformers|peft|lightning)\b")
