"""How far each layer's weights have moved: a heat map with a row an arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from luthier.report import formats
from luthier.report.drawing import INK, Picture, render
from luthier.report.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FAINTEST, _FULLEST = 0.04, 0.58
_LONG_NAME = 16
_NUMBERED = 9
"""With more columns than this there is no room for numbers in the cells."""
_WIDEST = 3.6
"""Inches that all columns together may take: a wider picture is not read on a phone."""
_SHORT = {"embeddings": "emb.", "encoder": "enc.", "decoder": "dec."}


def weight_distance(arms: Mapping[str, Mapping[str, float]]) -> Picture | None:
    """The relative distance of each layer's weights from the base's, by arm; None where no arm's is known.

    A layer that an arm's model has not, as it has fewer, has no cell.

    Args:
        arms: arm -> layer -> distance.
    """
    rows = {arm: found for arm, found in arms.items() if found}
    deepest_first = sorted(rows.values(), key=len, reverse=True)
    layers = list(dict.fromkeys(layer for found in deepest_first for layer in found))
    if not rows:
        return None
    most = max(value for found in rows.values() for value in found.values())

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        for place, found in enumerate(rows.values()):
            for column, layer in enumerate(layers):
                value = found.get(layer)
                if value is None:
                    continue
                fullness = _FAINTEST + (_FULLEST - _FAINTEST) * (value / most if most else 0.0)
                axes.add_patch(Rectangle((column, place), 0.96, 0.9, facecolor=LIGHT[0], alpha=fullness, lw=0))
                if len(layers) <= _NUMBERED:
                    axes.text(column + 0.48, place + 0.45, _short(value), ha="center", va="center", color=INK)
        axes.set_xlim(0, len(layers))
        axes.set_ylim(len(rows), 0)
        step = 1 if len(layers) <= _NUMBERED else 4
        named = {column for column, layer in enumerate(layers) if not layer[-1].isdigit()}
        shown = [
            column
            for column in range(len(layers))
            if column in named or (column % step == 0 and (step == 1 or column + 1 not in named))
        ]
        axes.set_xticks([column + 0.48 for column in shown], [_label(layers[column]) for column in shown])
        if len(layers) > _NUMBERED:
            axes.tick_params(axis="x", rotation=90)
        names = ["\n".join(formats.broken(arm, _LONG_NAME)) for arm in rows]
        axes.set_yticks([place + 0.45 for place in range(len(rows))], names)
        axes.tick_params(length=0)
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    said = "; ".join(
        f"{arm}: {', '.join(f'{layer} {_short(found.get(layer))}' for layer in layers)}" for arm, found in rows.items()
    )
    title = "How far the weights have moved, by layer, in %"
    width = 1.2 + min(0.45 * len(layers), _WIDEST)
    return Picture(title, render(draw, width, 0.5 + 0.34 * len(rows), said=f"{title}: {said}"))


def _label(layer: str) -> str:
    return "\n".join(_SHORT.get(word, word) for word in layer.split())


def _short(value: float | None) -> str:
    """A share in percent, to two figures: `12`, `0.34`, `0`; `–` where there is none."""
    if value is None:
        return formats.MISSING
    return f"{100 * value:.0f}" if value >= 0.0995 else f"{100 * value:.2g}" if value >= 5e-6 else "0"
