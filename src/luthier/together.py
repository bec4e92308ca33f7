"""Trainings of several runs in one loop, where that is quicker: arms that differ in rank, scale and rate alone.

    done_together(specs, store, device="cuda")      # results of all, as `run` gives them one by one

A group of runs that read the same batches is trained over one pass of the base (`training/stacked.py`); what each of
them trained is put into the store under its own key, where `run` finds it. Weights equal those of single trainings to
rounding, so that keys are the same; `done.json` says with how many others a training was `stacked`, and its seconds are
its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from luthier.core.interruption import put_off
from luthier.core.settings import digest
from luthier.core.store import Store
from luthier.core.types import Listener, Result, ignore
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.families import FAMILIES, family_of
from luthier.models.kernels import Kernels
from luthier.objectives.next_token import NextToken
from luthier.regularisers.regulariser import NoRegulariser
from luthier.run import examples_of, keep_training, run, task_named
from luthier.run_spec import RunSpec
from luthier.study_file import Stage
from luthier.workbench import Workbench

MOST_ARMS = 16
"""In one stack: by then a small model's kernels are full, and memory for activations grows with every arm."""
LARGEST = 1_500_000_000
"""Parameters up to which a GPU waits for its next kernel longer than it computes (estimated): to start the kernels of a
step takes 20 to 30 ms; a step of 1,600 tokens on 1.5B parameters is 1e13 floating-point operations, forward and
backward, which an H100 in bf16 does in about that time."""


def done_together(
    specs: Sequence[RunSpec], store: Store, *, device: str = "cpu", given: str = "", listener: Listener = ignore
) -> list[Result]:
    """Do what is missing of several runs; their results, in order. Arguments are those of `run`."""
    for group in stackable(specs):
        if pays(group[0].model.parameters, device):
            try:
                train_together(group, store, device=device, listener=listener)
            except BrokenPipeError:  # whoever listens is gone: no fault of the runs'
                raise
            except Exception:  # each run meets it by itself, if it does, and says so under its own name
                continue
    return [run(spec, store, device=device, given=given, listener=listener) for spec in specs]


def pays(parameters: int, device: str) -> bool:
    """Whether a stack of such models is quicker than one training after the other.

    On a CPU it is not: it saves nothing but starting kernels, and works through thin matrix products that single
    trainings do without (`methods/reparameterised/fused_lora.py`). Single trainings took 0.97 (4 arms) and 0.87 (8) of
    a stack's CPU time with 0.6M parameters, 1.05 and 0.93 with 9M (one thread, 1,600 tokens a step, rank 8).
    """
    return device.startswith("cuda") and parameters <= LARGEST


def stackable(specs: Sequence[RunSpec], most: int = MOST_ARMS) -> list[list[RunSpec]]:
    """The runs whose trainings could go together, in groups of two to `most`; each training once.

    They have all in common that a training's key is made of but LoRA's rank, scale and learning rate: model, examples,
    seed, batches, budget, optimizer (AdamW), precision. Dropout, early stopping, regularisers, PiSSA and LoRA+ have no
    place in a stack, nor has a second stage, an encoder, or torch.compile.
    """
    alike: dict[str, dict[str, RunSpec]] = {}
    for spec in specs:
        if _can_be_stacked(spec):
            alike.setdefault(_batches_of(spec), {}).setdefault(spec.train_keys()[0], spec)
    groups = [list(group.values()) for group in alike.values()]
    parts = [group[start : start + most] for group in groups for start in range(0, len(group), most)]
    return [part for part in parts if len(part) > 1]


def train_together(
    specs: Sequence[RunSpec], store: Store, *, device: str = "cpu", listener: Listener = ignore
) -> list[str]:
    """Train what is missing of a group that `stackable` gave; the keys of the trainings that are finished now.

    A training stays unfinished where its loss is not finite, where a dropout in the base would have drawn other numbers
    for it, or where fewer than two are missing. A stack that the device's memory does not hold is halved.

    Raises:
        LuthierError: model or data are not those that were planned with, or the disk is full (exit code 1).
        Interrupted: SIGTERM or Ctrl-C has come; what is needed to go on is saved.
    """
    import torch

    by_key = {spec.train_keys()[0]: spec for spec in specs}
    try:
        with ExitStack() as claims:
            # In the order of their keys: two workers that claim several never wait for each other.
            steps = [store.step("train", key) for key in sorted(by_key)]
            for step in steps:
                claims.enter_context(step.claimed())
            missing = {key: by_key[key] for key, step in zip(sorted(by_key), steps, strict=True) if not step.done}
            return _trained(missing, store, device, listener) if len(missing) > 1 else []
    except torch.OutOfMemoryError:
        pass  # and on below, where nothing of the stack is held any more
    middle = len(specs) // 2
    halves = [half for half in (specs[:middle], specs[middle:]) if len(half) > 1]
    return [key for half in halves for key in train_together(half, store, device=device, listener=listener)]


def _trained(specs: dict[str, RunSpec], store: Store, device: str, listener: Listener) -> list[str]:
    """Train these, by their keys, over one base; the keys of those that did not leave the stack."""
    from luthier.models.shells import drops_out
    from luthier.training.stacked import StackedArm, train_stacked

    benches = {key: Workbench(spec, store, device, listener) for key, spec in specs.items()}
    steps = {key: store.step("train", key) for key in specs}
    bench, *others = benches.values()
    if family_of(bench.files.model_type) not in FAMILIES:
        return []
    base = bench.share(others)
    if drops_out(base):
        return []
    arms: dict[str, StackedArm] = {}
    kernels = Kernels.of(next(iter(steps.values())).kernels(lambda: bench.quickest().record()), bench.quickest)
    for key, step in steps.items():
        stage, own = _stage_of(specs[key]), benches[key]
        step.kernels(kernels.record)
        own.compute_by(kernels)
        assert isinstance(stage.method, LoRA) and stage.training.learning_rate is not None
        rate = stage.training.learning_rate
        arms[key] = StackedArm(own.adapted, stage.method, rate, step.checkpoint, step.log, own.notify)
    stage, task = _stage_of(bench.spec), examples_of(bench.spec)
    data = bench.training_data(stage, task_named(bench.spec, task, bench.spec.trained_on(stage)))
    assert isinstance(stage.objective, NextToken)
    budget, precision = stage.training, bench.spec.precision
    with put_off():  # a signal waits for the end of a step, or for all weights to be kept
        train_stacked(
            base, [*arms.values()], data, objective=stage.objective, settings=budget, device=device, precision=precision
        )
        finished = {key: arm.trained for key, arm in arms.items() if arm.trained is not None}
        for key, trained in finished.items():
            keep_training(specs[key], _stage_of(specs[key]), trained, benches[key], steps[key], stacked=len(finished))
    return list(finished)


def _stage_of(spec: RunSpec) -> Stage:
    """The one that trains."""
    (stage,) = spec.arm.trained
    return stage


def _can_be_stacked(spec: RunSpec) -> bool:
    if spec.model.kind != "decoder" or len(spec.arm.trained) != 1:
        return False
    stage = _stage_of(spec)
    method, training = stage.method, stage.training
    if type(method) is not LoRA or method.dropout or method.plus != 1 or method.initialise != "default":
        return False
    if training.optimizer != "adamw" or training.patience or training.compile or training.learning_rate is None:
        return False
    return type(stage.regulariser) is NoRegulariser and isinstance(stage.objective, NextToken)


def _batches_of(spec: RunSpec) -> str:
    """What trainings in one stack have in common: the key of a training, without what they may differ in."""
    stage = _stage_of(spec)
    common = stage.model_copy(
        update={
            "method": stage.method.model_copy(update={"rank": 1, "alpha": None, "rslora": False}),
            "training": stage.training.model_copy(update={"learning_rate": None}),
        }
    )
    alike = spec.model_copy(update={"arm": spec.arm.model_copy(update={"stages": (common,)})})
    return digest([alike.train_keys()[0], stage.training.micro_batch_tokens])
