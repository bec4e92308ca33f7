"""What the pictures say to who cannot see them, and when there is none."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from luthier.report.findings import Group, Summary
from luthier.report.picture_forgetting import learning_against_forgetting
from luthier.report.picture_sizes import learning_curve
from luthier.report.picture_sure import against_best, forest
from luthier.report.summary import summarise
from tests.report.made_up import make_study


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("sizes")
    return summarise(make_study(folder, grown=True, failing=(), sizes=(50, 200)))


@pytest.fixture(scope="module")
def group(summary: Summary) -> Group:
    return summary.groups[-1]


def said(svg: str) -> str:
    found = re.search(r'aria-label="(.*?)"', svg)
    assert found
    return found.group(1)


def test_a_forest_has_a_ring_for_every_seed(group: Group) -> None:
    drawn = forest(group, "rougeL")
    lora = group.arm("lora")
    assert lora is not None
    seeds = ", ".join(f"{lora.by_seed[seed]:.3f}" for seed in (0, 1, 2))
    assert f"(seeds {seeds})" in said(drawn.svg)
    assert "zero_shot 0.188 [0.166, 0.210];" in said(drawn.svg), "its seeds are all the same: no ring"


def test_every_arm_but_the_best_stands_against_it(group: Group) -> None:
    drawn = against_best(group)
    assert drawn is not None and drawn.title == "rougeL: difference to the best, full"
    assert re.findall(r"(lora|full|zero_shot) -0", said(drawn.svg)) == ["lora", "zero_shot"]
    full = group.arm("full")
    assert full is not None and against_best(replace(group, arms=(full,))) is None


def test_learning_against_forgetting(group: Group) -> None:
    drawn = learning_against_forgetting(group)
    assert drawn is not None and "full gained +0.2" in said(drawn.svg) and "lost +0.20" in said(drawn.svg)
    assert "zero_shot gained +0.000 [0.000, 0.000], lost +0.000" in said(drawn.svg)
    assert learning_against_forgetting(replace(group, retain=())) is None


def test_what_trains_nothing_is_a_level_line(summary: Summary, group: Group) -> None:
    drawn = learning_curve(summary.curves[0], group)
    assert "zero_shot 0.188 at every size" in said(drawn.svg)
    assert re.search(r"full 0\.3\d\d at 50, 0\.4\d\d at 200", said(drawn.svg))
    ticks = re.findall(r">([\d,]+)</text>", drawn.svg)
    assert "50" in ticks and "200" in ticks
