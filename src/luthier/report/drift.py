"""How far an arm has moved from its base: what it answers on the base's own texts, its weights, and as it trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from luthier.core.store import Store
from luthier.report.findings import ArmSummary
from luthier.report.measured import Estimate, Run
from luthier.report.pairing import Terms, estimate_of
from luthier.report.pictures import Curve, curves_of

PROBED = "prose_bits_per_byte"
"""What `train.jsonl` calls the bits of a few texts of generated prose."""


@dataclass(frozen=True)
class Drift:
    """One arm, over its finished runs.

    Attributes:
        kl: text -> KL(base || tuned) in nats per token, over seeds and texts.
        distance: layer -> ||W' - W|| / ||W||, the mean over seeds; empty where it could not be told.
    """

    kl: Mapping[str, Estimate]
    distance: Mapping[str, float]


def drift_of(arm: ArmSummary) -> Drift | None:
    """None where it was not measured: nothing was trained, memory ran out, or the study is older than that."""
    measured = [run.drift for run in arm.finished if run.drift and (run.drift["kl"] or run.drift["distance"])]
    if not measured:
        return None
    kl = {}
    for text in dict.fromkeys(name for one in measured for name in one["kl"]):
        columns = [
            {
                item: value
                for item, value in one["kl"].get(text, {}).items()
                if value is not None and math.isfinite(value)
            }
            for one in measured
        ]
        found = estimate_of([column for column in columns if column], Terms("kl", frozenset()))
        if found is not None:
            # No divergence lies below zero, whatever a t interval says.
            kl[text] = replace(found, low=None if found.low is None else max(0.0, found.low))
    told = [one["distance"] for one in measured if one["distance"]]
    layers = list(told[0]) if told else []
    return Drift(kl, {layer: float(np.mean([one[layer] for one in told if layer in one])) for layer in layers})


def bits_lost(store: Store, arm: ArmSummary) -> list[Curve]:
    """(optimizer step, bits per byte of generated prose above the base's) of each seed, through all of its stages; a
    run whose trainings were not followed from their first step on is left out."""
    return [curve for run in arm.finished if len(curve := _lost(store, run)) > 1]


def _lost(store: Store, run: Run) -> Curve:
    curve: Curve = []
    for key in run.result.train_keys:
        log = store.step("train", key).training_log()
        taken = curves_of([log], PROBED)
        if not taken or taken[0][0][0] != 0:
            return []
        begun = curve[-1][0] if curve else 0.0
        # What a stage starts from is what the one before has ended with.
        curve += [(begun + step, bits) for step, bits in taken[0][1 if curve else 0 :]]
    return [(step, bits - curve[0][1]) for step, bits in curve]
