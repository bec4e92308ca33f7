"""How far arms have moved from their base: from `drift.json` and the training logs, where a store has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.report.drift import bits_lost, drift_of
from luthier.report.drift_view import drift_table, drift_view
from luthier.report.files import results
from luthier.report.picture_distance import weight_distance
from luthier.report.summary import summarise
from tests.report.made_up_sequence import LAYERS, TRAINED, make_sequence


def test_what_is_told_of_an_arm(tmp_path: Path) -> None:
    store = make_sequence(tmp_path, trained_on=TRAINED)
    group = summarise(store).groups[0]
    arm = group.arm("full A B")
    assert arm is not None
    found = drift_of(arm)
    assert found is not None and found.distance == pytest.approx(LAYERS)
    assert found.kl["base samples"].mean == pytest.approx(0.3) and found.kl["base samples"].n == 3
    assert found.kl["generated prose"].mean == pytest.approx(0.1)  # what is not a number is not counted
    curves = bits_lost(store, arm)
    assert len(curves) == 3
    assert [step for step, _ in curves[0]] == [0, 1, 2, 3, 4]  # the second stage goes on from the first
    assert [bits for _, bits in curves[0]] == pytest.approx([0, 0.1, 0.2, 0.4, 0.6])
    unfollowed, untrained = group.arm("full A B C"), group.arm("zero_shot")
    assert unfollowed is not None and untrained is not None
    assert bits_lost(store, unfollowed) == [] and bits_lost(store, untrained) == []
    assert drift_of(untrained) is None


def test_it_is_shown_where_it_was_measured(tmp_path: Path) -> None:
    store = make_sequence(tmp_path / "new", trained_on=TRAINED)
    summary = summarise(store)
    group = summary.groups[0]
    shown, table = drift_view(store, group), drift_table(group)
    assert shown is not None and shown["texts"] == ["base samples", "generated prose"]
    assert shown["followed"] == ["full A", "full A B"]  # the first stage is one training
    assert shown["lost"].title.startswith("Bits per byte lost")
    assert table is not None and table.rows[0][1].startswith("0.300 [")
    told = {entry["arm"]: entry["drift"] for entry in results(summary)["arms"] if entry["task"] == "A"}
    assert told["zero_shot"] is None and told["full A B"]["distance"] == pytest.approx(LAYERS)
    assert told["full A B C"]["distance"] is None
    old = make_sequence(tmp_path / "old")
    before = summarise(old).groups[0]
    assert drift_view(old, before) is None and drift_table(before) is None


def test_many_layers_have_no_numbers_in_their_cells() -> None:
    few = weight_distance({"full": {str(layer): 0.0123 for layer in range(1, 6)}})
    many = weight_distance({"full": {str(layer): 0.0123 for layer in range(1, 33)}})
    assert few is not None and many is not None
    assert few.svg.count(">1.2<") == 5 and many.svg.count(">1.2<") == 0
    assert weight_distance({"full": {}}) is None


def test_a_layer_that_a_model_has_not_is_no_layer_that_stayed() -> None:
    picture = weight_distance({"small": {"1": 0.02, "rest": 0.0}, "large": {"1": 0.02, "2": 0.03, "rest": 0.01}})
    assert picture is not None
    assert "small: 1 2, 2 –, rest 0; large: 1 2, 2 3, rest 1" in picture.svg.replace("&#8211;", "–")
    assert [picture.svg.count(f">{number}<") for number in ("3", "0")] == [1, 1]


def test_where_memory_ran_out_nothing_is_told(tmp_path: Path) -> None:
    full = {"full A B": {**TRAINED["full A B"], "kl": {}, "distance": None}}
    arm = summarise(make_sequence(tmp_path, trained_on=full)).groups[0].arm("full A B")
    assert arm is not None and drift_of(arm) is None
