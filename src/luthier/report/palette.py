"""One colour and one marker per arm, the same in every picture and table.

The colours follow Okabe and Ito ("Color Universal Design", 2008), darkened so that they are seen on white; the page has
a lighter one of each for a dark ground. The markers tell arms apart where colours do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from luthier.report.findings import Group

LIGHT = ("#0072b2", "#d55e00", "#00875f", "#b5518f", "#a87400", "#2a94c9", "#4b3fa3", "#7a4a2b")
DARK = ("#58b0e6", "#ff8f4d", "#35c79e", "#e69ac8", "#f0b935", "#8bd0f7", "#a49bf2", "#cf9f80")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
BASELINE = "#808182"
"""Stands for the page's muted colour in pictures."""


@dataclass(frozen=True)
class Look:
    """How an arm is drawn: `colour` in matplotlib, `css` on the page, and a marker of matplotlib's."""

    colour: str
    css: str
    marker: str


def looks(group: Group) -> dict[str, Look]:
    """By arm, in the study's order; random-weights controls and trivial baselines are grey."""
    drawn = {}
    for index, arm in enumerate(group.contenders):
        turn = index % len(LIGHT)
        marker = MARKERS[(index + index // len(LIGHT)) % len(MARKERS)]
        drawn[arm.arm] = Look(LIGHT[turn], f"var(--arm-{turn})", marker)
    for arm in group.controls:
        drawn[arm.arm] = Look(BASELINE, "var(--muted)", "x")
    for arm in group.baselines:
        drawn[arm.arm] = Look(BASELINE, "var(--muted)", "_")
    return drawn
