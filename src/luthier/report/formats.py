"""How numbers are written for a reader: scores, intervals, counts, seconds, bytes, p-values."""

from __future__ import annotations

import re

from luthier.report.findings import ArmSummary, Comparison, Estimate
from luthier.report.forgetting import worst

MISSING = "–"
"""What stands where there is no number: unscored is not zero."""
_ROUNDS_UP = 0.9995
"""From this part of a unit on, a number would be rounded to a thousand of the unit below."""


def score(value: float | None) -> str:
    """Three decimals; two from ten on: `0.312`, `12.40`."""
    if value is None:
        return MISSING
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text


def signed(value: float) -> str:
    """A score with its sign: `+0.112`."""
    text = score(value)
    return text if text.startswith("-") else f"+{text}"


def estimate(value: Estimate | None) -> str:
    """`0.312 [0.290, 0.334]`; the mean alone where there is no interval."""
    if value is None:
        return MISSING
    return f"{score(value.mean)} {bounds(value)}".strip()


def bounds(value: Estimate | None) -> str:
    """`[0.290, 0.334]`, or nothing where there is no interval."""
    if value is None or value.low is None or value.high is None:
        return ""
    return f"[{score(value.low)}, {score(value.high)}]"


def comparison(value: Comparison | None) -> str:
    """`+0.112 [+0.090, +0.134]`."""
    if value is None:
        return MISSING
    return change(value.difference, value.low, value.high)


def comparison_bounds(value: Comparison) -> str:
    """`[+0.090, +0.134]`, or nothing where there is no interval."""
    return _signed_bounds(value.low, value.high)


def change(difference: float, low: float | None, high: float | None) -> str:
    """`+0.112 [+0.090, +0.134]`; the difference alone where there is no interval."""
    return f"{signed(difference)} {_signed_bounds(low, high)}".strip()


def _signed_bounds(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{signed(low)}, {signed(high)}]"


def p_value(value: float | None) -> str:
    """Three decimals; `<0.001` below that."""
    if value is None:
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float) -> str:
    """`0`, `950`, `12.3K`, `5.8M`, `7.1B`."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= _ROUNDS_UP * unit:
            scaled = value / unit
            return f"{scaled:.3g}{name}" if scaled < 999.5 else f"{scaled:,.0f}{name}"
    return f"{value:.0f}"


def counted(number: int, word: str) -> str:
    """`1 seed`, `1,600 examples`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def seconds(value: float | None) -> str:
    """`0 s`, `4.2 s`, `48 s`, `3.4 min`, `1.2 h`."""
    if value is None:
        return MISSING
    if value < 9.95:
        return f"{value:.1f} s" if value >= 0.05 else "0 s"
    if value < 99.5:
        return f"{value:.0f} s"
    return f"{value / 60:.1f} min" if value < 5940 else f"{value / 3600:.1f} h"


def size(value: float) -> str:
    """Bytes, in powers of ten: `512 MB`, `1.2 GB`."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if value >= _ROUNDS_UP * unit:
            scaled = value / unit
            return f"{scaled:.1f} {name}" if scaled < 9.95 else f"{scaled:.0f} {name}"
    return f"{value:.0f} B"


def training_time(arm: ArmSummary) -> str:
    """`41 s`, or a dash where nothing was trained."""
    return seconds(arm.cost.train_seconds or None)


def peak_memory(arm: ArmSummary) -> str:
    """`720 MB`, or a dash where it was not measured, or was that of the process alone: a baseline asks no model."""
    return MISSING if arm.baseline or not arm.cost.peak_bytes else size(arm.cost.peak_bytes)


def visible(value: float | None) -> str:
    """The smallest difference that would have been seen; a dash where it is unknown, or rounds to nothing."""
    return MISSING if value is None or float(score(value)) == 0 else score(value)


def forgets(arm: ArmSummary) -> str:
    """The worst loss that is shown on a retention task (`+0.410 bits/byte`), or that none was seen."""
    if not arm.trained:
        return "nothing" if arm.finished else MISSING
    found = worst(arm.forgetting)
    if found is None:
        return MISSING
    if found.nothing_to_lose:
        return "nothing to lose"
    return f"{signed(found.difference)} {unit(found.measure)}" if found.lost else "none seen"


def unit(measure: str) -> str:
    """A measure's name behind a number: `bits/byte`."""
    return measure.replace("_per_", "/").replace("_", " ")


def broken(name: str, room: int) -> list[str]:
    """A name in lines of at most so many characters, broken before its settings or after a mark where that can be."""
    lines = [""]
    for part in re.split(r"(?=\()|(?<=[_\-/, ])", name) if len(name) > room else [name]:
        if lines[-1] and len((lines[-1] + part).rstrip()) > room:
            lines.append("")
        lines[-1] += part
        while len(lines[-1].rstrip()) > room:
            lines[-1:] = [lines[-1][:room], lines[-1][room:]]
    return [line.rstrip() for line in lines]
