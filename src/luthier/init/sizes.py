"""How many examples fit the time: the largest of a ladder of sizes whose study is done in so many minutes.

The figures are those of one core with a model of 4.7M parameters (docs/log.md, the first study on real dialogues), and
scale with the parameters: two passes of training read 1,600 tokens a second, likelihoods 5,000, and a generated token
takes as long as six that are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from luthier.core.types import SPLITS

_PARAMETERS = 4_738_304
_TRAINED = 1_600.0
_READ = 5_000.0
_WRITTEN = 800.0
"""Tokens a second of one core."""
_START_SECONDS = 8.0
"""Imports and loading, per run."""
_FORGETTING_TOKENS = 32 * 2 * 100.0
"""Texts of the base and of ours, on which every trained arm is measured."""
_SHARE = 0.7
"""Of the time asked for; the rest is for the report, the checks, and a machine that does other things too."""
_LADDER = (
    (16_000, 500, 2_000), (8_000, 400, 1_000), (4_000, 300, 800), (3_000, 250, 600), (2_000, 200, 500),
    (1_500, 150, 400), (1_000, 100, 300), (800, 80, 250), (600, 60, 200), (400, 50, 150), (300, 40, 120),
    (200, 30, 100), (100, 20, 60), (50, 16, 40), (24, 8, 24),
)  # fmt: skip
"""Training, validation and test examples, the largest first."""
_SOFT_PROMPT_NEEDS = 100
_FULL_NEEDS = 40
_SMALL = 500
EPOCHS = 2


@dataclass(frozen=True)
class Work:
    """What one example costs, in tokens.

    Attributes:
        prompt, answer: mean lengths.
        candidates: how many answers are scored per test example.
        written: tokens generated per test example; 0 where nothing is.
        parameters: of the model.
    """

    prompt: float
    answer: float
    candidates: int
    written: int
    parameters: int


@dataclass(frozen=True)
class Sizes:
    """The sizes chosen, what is run on them, and how long one seed takes.

    Attributes:
        train, validation, test: examples in use.
        limited: whether the data has more.
        arms: as the study file names them.
        batch_size: examples per optimizer step.
        minutes: for one seed, roughly, on this machine's cores.
        why_fewer: why arms are missing, where some are.
    """

    train: int
    validation: int
    test: int
    limited: bool
    arms: tuple[str, ...]
    batch_size: int
    minutes: float
    why_fewer: str = ""


def sizes_for(work: Work, there: dict[str, int], *, minutes: float, cores: int, context: int | None) -> Sizes:
    """The largest study that fits.

    Args:
        work: an example's cost.
        there: how many examples each split has.
        minutes: that one seed may take.
        cores: that work side by side.
        context: the model's, which bounds the shots.
    """
    shots = _shots(work, context)
    for rung in _LADDER:
        train, validation, test = (
            min(wanted, there[split]) for wanted, split in zip(rung, ("train", "validation", "test"), strict=True)
        )
        arms, why_fewer = _arms(train, shots)
        taken = _seconds(work, train, validation, test, arms, shots) / cores / 60
        if taken <= _SHARE * minutes:
            break
    limited = any(used < there.get(split, 0) for split, used in zip(SPLITS, (train, validation, test), strict=True))
    batch = 4 if train < _SMALL else 8
    return Sizes(train, validation, test, limited, arms, batch, taken, why_fewer)


def _arms(train: int, shots: int) -> tuple[tuple[str, ...], str]:
    arms = ["zero_shot", f"few_shot: {{shots: {min(shots, train)}}}"]
    if train < _FULL_NEEDS:
        why = f"{train} training examples: too few for soft prompts, and for moving every weight"
        return (*arms, "lora"), why
    if train < _SOFT_PROMPT_NEEDS:
        return (*arms, "lora", "full"), f"{train} training examples: too few for soft prompts, which want many steps"
    return (*arms, "prompt_tuning", "lora", "full"), ""


def _shots(work: Work, context: int | None) -> int:
    """Four worked examples, or as many as leave half of the context free."""
    room = (context or 4_096) / 2 / (work.prompt + work.answer) - 1
    return max(1, min(4, int(room)))


def _seconds(work: Work, train: int, validation: int, test: int, arms: tuple[str, ...], shots: int) -> float:
    """Of one core, for one seed: arms, and the control that trains the best of them from random weights."""
    whole = work.prompt + work.answer
    trained = len(arms) - 2 + 1
    training = trained * (EPOCHS * train * whole / _TRAINED + 2 * validation * whole / _READ)
    ask = (work.candidates * whole + (work.prompt if work.written else 0)) / _READ + work.written / _WRITTEN
    ask_shots = ask + shots * whole * (work.candidates + bool(work.written)) / _READ
    predicting = test * ((trained + 1) * ask + ask_shots)
    forgetting = (trained + 2) * _FORGETTING_TOKENS / _READ
    computing = (training + predicting + forgetting) * work.parameters / _PARAMETERS
    return computing + (len(arms) + 1) * _START_SECONDS
