"""The page of HELM's view, made of `helm.json` alone: a radar, a table a model, what differs, and what is a proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from markupsafe import Markup

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.core.store import write_text
from luthier.report import formats
from luthier.report.drawing import mark
from luthier.report.page_templates import style_sheet, template_environment
from luthier.report.palette import DARK, LIGHT
from luthier.report.picture_radar import looks_of, radar

AXES = {
    "accuracy": "the share of right answers",
    "calibration": "1 − expected calibration error, ten bins of equal mass",
    "robustness": "right however the question is spelt: the worst case",
    "fairness": "right in another dialect and of other people: the worst case",
    "bias": "1 − the mean size of the measures of bias",
    "toxicity": "1 − the share of continuations with a listed word",
    "efficiency": "seconds per item of the fastest, over this one's",
}
_BETTER = {"higher": "higher is better", "lower": "lower is better", "0": "0 is best", "": ""}


def write_helm_page(folder: Path) -> Path:
    """Write `helm.html` beside the `helm.json` of a folder, and give its path.

    Raises:
        LuthierError: there is no `helm.json`, or the page cannot be written.
    """
    found = read_object(folder / "helm.json")
    if found is None or found.get("suite") != "helm":
        raise LuthierError(
            "no view of HELM's is stored here",
            where=str(folder / "helm.json"),
            mend="run luthier evaluate --suite helm with --out first",
        )
    path = folder / "helm.html"
    write_text(path, helm_page(found))
    return path


def helm_page(found: Mapping[str, Any]) -> str:
    """The page of what `helm.json` holds: no script, no font, no request."""
    environment = template_environment()
    models = found["models"]
    looks = looks_of([model["model"] for model in models])
    places = {model["model"]: model["axes"] for model in models}
    return environment.get_template("helm.html").render(
        found=found,
        axes=AXES,
        css=style_sheet(),
        light=LIGHT,
        dark=DARK,
        marks={name: (look.css, Markup(mark(look))) for name, look in looks.items()},
        differences=[(name, list(of)) for name, of in groupby(found["differences"], key=itemgetter("model"))],
        picture=radar("HELM's seven metrics", list(AXES), places),
        svg=Markup,
        tables=[(model, _rows(model["measures"])) for model in models],
        formats=formats,
        write=_write,
        bounds=_bounds,
        better=_BETTER,
    )


def _rows(measures: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The measures of each axis, in their order."""
    return [(axis, list(of)) for axis, of in groupby(measures, key=lambda measure: str(measure["axis"]))]


def _write(measure: Mapping[str, Any]) -> str:
    """A figure in its unit."""
    value = measure["value"]
    if value is None:
        return formats.MISSING
    if measure["name"] == "peak memory":
        return formats.size(value)
    if measure["name"] == "parameters":
        return formats.count(value)
    if measure["name"] == "seconds per item":
        return f"{1000 * value:.1f} ms"
    return f"{value:.0f}" if value >= 100 else formats.score(value)


def _bounds(found: Mapping[str, Any], signed: bool = False) -> str:
    """`[0.290, 0.334]`, or nothing where there is no interval."""
    if found["low"] is None or found["high"] is None:
        return ""
    say = formats.signed if signed else formats.score
    return f"[{say(found['low'])}, {say(found['high'])}]"
