"""The page of HELM's view from plain data, and its radar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.report.helm_page import AXES, helm_page, write_helm_page
from luthier.report.picture_radar import radar


def measure(axis: str, name: str, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "axis": axis, "name": name, "value": value, "low": None, "high": None, "n": None, "better": "higher",
        "said": "", **more,
    }  # fmt: skip


def made_up(*names: str) -> dict[str, Any]:
    measures = [
        measure("accuracy", "accuracy", 0.75, low=0.61, high=0.86, n=40),
        measure("bias", "representation of races", None, n=12, better="lower", said="nobody <was> counted"),
        measure("efficiency", "seconds per item", 0.0123, better="lower"),
        measure("efficiency", "peak memory", 680e6, better="lower"),
        measure("efficiency", "parameters", 4.74e6, better="lower"),
    ]
    axes = {**dict.fromkeys(AXES, 0.5), "bias": None}
    difference = {
        "against": names[0], "measure": "accuracy", "difference": -0.1, "low": -0.2, "high": 0.0, "p": 0.04,
        "p_holm": 0.08, "n": 40,
    }  # fmt: skip
    return {
        "suite": "helm", "version": "1", "task": "sentiment", "lexicon": None, "notes": ["Words are a proxy."],
        "models": [{"model": name, "measures": measures, "axes": axes, "notes": ["too <long>"]} for name in names],
        "differences": [{"model": name, **difference} for name in names[1:]],
    }  # fmt: skip


def test_the_page_has_every_figure_and_stands_alone():
    page = helm_page(made_up("house/instruct", "lora"))
    for text in ("0.750", "[0.610, 0.860]", "12.3 ms", "680 MB", "4.74M", "-0.100", "[-0.200, 0.000]", "0.080"):
        assert text.replace(" 0.000]", " +0.000]") in page or text in page, text
    assert page.count("<h2>") == 4, "differences, two models, what it is worth"
    assert "nobody &lt;was&gt; counted" in page and "too &lt;long&gt;" in page and "Words are a proxy." in page
    for outside in ("<script", "http://", "https://", "@import", "src="):
        assert outside not in page.replace("http://www.w3.org", "")


def test_differences_stand_in_the_models_order():
    page = helm_page(made_up("z", "y", "a"))
    part = page[page.index("What differs") : page.index("Item by item")]
    assert part.index("</span>y<") < part.index("</span>a<")


def test_one_model_has_no_differences_and_no_legend():
    page = helm_page(made_up("lora"))
    assert "What differs" not in page and 'class="legend"' not in page


def test_the_page_is_written_from_a_folder(tmp_path: Path):
    (tmp_path / "helm.json").write_text(json.dumps(made_up("lora")), encoding="utf-8")
    assert write_helm_page(tmp_path).read_text(encoding="utf-8") == helm_page(made_up("lora"))
    with pytest.raises(LuthierError, match="no view of HELM's"):
        write_helm_page(tmp_path / "nothing")


def test_the_radar_says_its_figures_and_leaves_out_what_was_not_measured():
    names = ["top", "right", "left"]
    whole = radar("r", names, {"a": dict.fromkeys(names, 1.0)}).svg
    gap = radar("r", names, {"a": {"top": 1.0, "right": 0.25, "left": None}}).svg
    assert 'aria-label="r: a: top 1.000, right 0.250, left –"' in gap
    assert "(unscored)" in gap and "(unscored)" not in whole
    assert whole.count("var(--arm-0)") > gap.count("var(--arm-0)") > 0
