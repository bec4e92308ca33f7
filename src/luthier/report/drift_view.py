"""How far the arms have moved from their base: on the page, in the Markdown report and in `results.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from luthier.core.store import Store
from luthier.report import formats, pictures
from luthier.report.drift import bits_lost, drift_of
from luthier.report.findings import ArmSummary, Group
from luthier.report.markdown_tables import Table
from luthier.report.picture_distance import weight_distance


def drift_view(store: Store, group: Group) -> dict[str, Any] | None:
    """The table of divergences and the pictures; None where nothing was measured."""
    arms = {arm.arm: found for arm in group.contenders if (found := drift_of(arm)) is not None}
    lost = {arm.arm: curves for arm in group.contenders if (curves := bits_lost(store, arm))}
    if not arms and not lost:
        return None
    return {
        "arms": arms,
        "texts": list(dict.fromkeys(text for found in arms.values() for text in found.kl)),
        "distance": weight_distance({arm: found.distance for arm, found in arms.items()}),
        "lost": pictures.training_curve(group, lost, "Bits per byte lost on generated prose") if lost else None,
        "followed": list(lost),
    }


def drift_table(group: Group) -> Table | None:
    """Every arm's divergence from the base, and how far each layer has moved."""
    arms = {arm.arm: found for arm in group.contenders if (found := drift_of(arm)) is not None}
    if not arms:
        return None
    texts = list(dict.fromkeys(text for found in arms.values() for text in found.kl))
    rows = [
        [
            name,
            *(formats.estimate(found.kl.get(text)) for text in texts),
            ", ".join(f"{layer} {formats.score(value)}" for layer, value in found.distance.items()) or formats.MISSING,
        ]
        for name, found in arms.items()
    ]
    titles = ["arm", *(f"KL from the base on {text}" for text in texts), "weights moved, by layer"]
    note = "KL(base || tuned) in nats per token, over the whole vocabulary. Weights moved: ||W' - W|| / ||W||."
    return Table("How far it moved", titles, rows, note)


def drift_entry(arm: ArmSummary) -> dict[str, Any] | None:
    """What stands in `results.json`."""
    found = drift_of(arm)
    if found is None:
        return None
    return {"kl": {text: asdict(one) for text, one in found.kl.items()}, "distance": dict(found.distance) or None}
