"""Whether a score means something: each arm above its controls, and measures that a control nearly reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ControlKind = Literal["baseline", "wrong reference", "random weights"]


@dataclass(frozen=True)
class AboveControl:
    """One arm against one control on one measure: arm minus control, paired by example.

    Attributes:
        control: `lead-3`, `nearest`, `wrong reference`, `full from random weights`.
        arm_mean, control_mean: over the examples that both were scored on.
        difference, low, high: in the measure's own sign, with the 95% interval; the bounds are None where untold.
        above: True where the whole interval lies on the better side of zero, False where it lies on the worse side,
            None where it holds zero.
        share: what part of the arm's score the control reaches, control / arm; None where lower is better (a loss has
            no natural whole) and where a score is not positive.
    """

    control: str
    kind: ControlKind
    measure: str
    arm_mean: float
    control_mean: float
    difference: float
    low: float | None
    high: float | None
    above: bool | None
    share: float | None


@dataclass(frozen=True)
class Flag:
    """A measure on which a control nearly reaches the best arm.

    Attributes:
        arm: the best arm on that measure.
        found: that arm against the control.
        words: what follows, in a sentence.
        why: `not above` (the interval of the difference does not leave the margin behind; on measures other than the
            primary one, zero) or `share` (the control has at least 90% of the score, where higher is better).
    """

    measure: str
    arm: str
    found: AboveControl
    why: Literal["not above", "share"]
    words: str
