"""How a picture is drawn: matplotlib to SVG that takes the page's colours and fonts, light or dark."""

from __future__ import annotations

import hashlib
import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.report.palette import BASELINE, LIGHT, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, LINE = "#0a0b0c", "#d0d1d2"
"""Stand for the page's text colour and its thin lines."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "luthier",
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": BASELINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True)
class Picture:
    """An SVG element with its title, which stands above it on the page."""

    title: str
    svg: str


def mark(look: Look) -> str:
    """An arm's marker alone, for a legend."""

    def draw(axes: Axes) -> None:
        axes.plot([0], [0], look.marker, color=look.colour, markersize=8, markeredgewidth=2)
        axes.set_axis_off()

    return render(draw, 0.2, 0.2, said="")


def render(draw: Callable[[Axes], None], width: float, height: float, *, said: str) -> str:
    """Draw on fresh axes (inches), and give the SVG with `said` as what a screen reader says."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained" if said else None)
        axes = figure.add_subplot() if said else figure.add_axes((0, 0, 1, 1))
        draw(axes)
        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    return _inline(file.getvalue(), said)


def _inline(svg: str, said: str) -> str:
    """A stand-alone SVG made ready to stand in a page: its size and colours are the page's, its ids are its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    box = svg.split('viewBox="', 1)[1].split('"', 1)[0]
    label = f'role="img" aria-label="{html.escape(said, quote=True)}"' if said else 'aria-hidden="true"'
    svg = re.sub(r"<svg[^>]*>", lambda _: f'<svg viewBox="{box}" {label}>', svg, count=1)
    own = "p" + hashlib.sha256(svg.encode()).hexdigest()[:10]
    svg = re.sub(r'\bid="', f'id="{own}-', svg)
    svg = svg.replace('href="#', f'href="#{own}-').replace("url(#", f"url(#{own}-")
    names = {INK: "currentColor", LINE: "var(--line)", BASELINE: "var(--muted)"}
    names |= {colour: f"var(--arm-{turn})" for turn, colour in enumerate(LIGHT)}
    return re.sub("|".join(names), lambda found: names[found.group()], svg)
