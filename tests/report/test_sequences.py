"""Sequences of tasks, from the store alone: the matrix R, what is forgotten, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from luthier.core.forgetting import average_forgetting, backward_transfer, forward_transfer
from luthier.core.store import Store
from luthier.report.files import results, write_report
from luthier.report.picture_sequence import heat_map, over_stages
from luthier.report.sequence_tables import sequence_tables
from luthier.report.sequence_trainings import mixed
from luthier.report.sequence_view import sequence_views
from luthier.report.summary import summarise
from tests.report.made_up_sequence import BEFORE, TASKS, TRAINED, R, make_sequence


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_sequence(tmp_path_factory.mktemp("sequence"))


def test_the_matrix_is_that_of_the_arms(sequence: Store) -> None:
    full, replay = summarise(sequence).sequences
    assert (full.name, replay.name) == ("full", "replay")
    assert full.arms == ("full A", "full A B", "full A B C")
    assert replay.arms == ("full A", "replay A B", "replay A B C")  # its first stage is the other way's
    assert (full.tasks, full.seeds, full.turned) == (TASKS, (0, 1, 2), frozenset())
    for way in (full, replay):
        assert np.array([[cell.mean for cell in row] for row in way.matrix]) == pytest.approx(np.array(R[way.name]))
        assert way.before is not None
        assert [cell.mean for cell in way.before] == pytest.approx(BEFORE)
    assert full.rows[0][0] == "before" and full.rows[3][0] == "after C"


def test_what_follows_is_what_the_formulas_say(sequence: Store) -> None:
    for way in summarise(sequence).sequences:
        back, lost, forward = way.backward_transfer, way.average_forgetting, way.forward_transfer
        assert back.mean and lost.mean and forward and forward.mean
        assert back.mean.mean == pytest.approx(backward_transfer(R[way.name]))
        assert lost.mean.mean == pytest.approx(average_forgetting(R[way.name]))
        assert forward.mean.mean == pytest.approx(forward_transfer(R[way.name], BEFORE))
    full = summarise(sequence).sequences[0]
    assert full.backward_transfer.mean is not None and full.backward_transfer.mean.mean == pytest.approx(-0.225)
    assert {task: one.mean for task, one in full.backward_transfer.by_task.items()} == pytest.approx(
        {"A": -0.3, "B": -0.15}
    )
    assert full.peaks == {"A": "full A", "B": "full A B"}
    # Items and seeds of this study differ by the same in every arm: nothing varies in their differences.
    assert full.backward_transfer.mean.low == pytest.approx(-0.225)


def test_a_loss_has_its_sign_turned(tmp_path: Path) -> None:
    full = summarise(make_sequence(tmp_path, measures=("nll", "nll", "nll"))).sequences[0]
    assert full.turned == set(TASKS)
    assert full.matrix[0][0].mean == pytest.approx(0.9)
    assert full.matrix[0][0].low is not None and full.matrix[0][0].low < 0.9
    assert full.backward_transfer.mean is not None and full.backward_transfer.mean.mean == pytest.approx(-0.225)


def test_different_measures_have_no_mean(tmp_path: Path) -> None:
    summary = summarise(make_sequence(tmp_path, measures=("accuracy", "nll", "accuracy")))
    full = summary.sequences[0]
    assert not full.one_measure
    assert full.backward_transfer.mean is None
    assert full.backward_transfer.by_task["B"].mean == pytest.approx(-0.15)
    (first, _) = results(summary)["sequences"]
    assert first["backward_transfer"]["mean"] is None and first["turned"] == ["B"]
    (_, transfers) = sequence_tables(summary.sequences[:1])
    assert transfers.rows[0][1] == "A -0.300 [-0.300, -0.300]; B -0.150 [-0.150, -0.150]"


def test_a_seed_or_an_arm_that_failed(tmp_path: Path) -> None:
    failed = ("full A B C/B/1", *(f"replay A B/{task}/{seed}" for task in TASKS for seed in range(3)))
    (full,) = summarise(make_sequence(tmp_path, without=failed)).sequences
    assert (full.name, full.seeds) == ("full", (0, 2))


def test_runs_that_were_not_trained_alike_make_no_matrix(tmp_path: Path) -> None:
    places = tuple(f"full A B/C/{seed}" for seed in range(3))
    store = make_sequence(tmp_path / "all", apart=places)
    summary = summarise(store)
    assert [way.name for way in summary.sequences] == ["replay"]
    (sentence,) = summary.no_sequences
    reason = "No matrix of full A B C on house/decoder, for full A B is not the same model judged on A and on C."
    assert sentence.startswith(reason)
    write_report(store)
    for name in ("report.html", "report.md", "results.json"):
        assert reason in (store.root / name).read_text(), name
    one = summarise(make_sequence(tmp_path / "one", apart=places[:1]))
    assert one.sequences[0].seeds == (1, 2) and one.no_sequences == ()
    every = tuple(f"full A B/{task}/0" for task in TASKS)
    assert mixed(["full A", "full A B"], ["A"], [[["a"]], [["b", "c"]]]) == (
        "full A B does not go on from what full A came to"
    )
    assert summarise(make_sequence(tmp_path / "alike", without=every)).sequences[0].seeds == (1, 2)


def test_a_way_that_was_not_judged_before_begins_at_its_first_stage(sequence: Store) -> None:
    full, replay = summarise(sequence).sequences
    for ways in ((replace(full, before=None), replay), (replay, replace(full, before=None))):
        line = over_stages(ways, "B")
        assert "full –, 0.200, 0.850, 0.700" in line.svg and "before then A then B then C" in line.svg


def test_names_without_their_tasks(tmp_path: Path) -> None:
    for number, (last, expected) in enumerate(
        [
            ({"full A B C": "all, then B then C", "replay A B C": "rehearsed"}, ["all", "rehearsed"]),
            ({"full A B C": "first 1 2 3", "replay A B C": "second 1 2 3"}, ["first", "second"]),
            ({"full A B C": "A B C", "replay A B C": "A then B then C"}, ["A B C", "A then B then C"]),
        ]
    ):
        store = make_sequence(tmp_path / str(number), last=last)
        assert [way.name for way in summarise(store).sequences] == expected


def test_a_study_without_sequences_shows_none(store: Store) -> None:
    summary = summarise(store)
    assert summary.sequences == () and sequence_tables(summary.sequences) == []
    assert results(summary)["sequences"] == [] and sequence_views(summary) == []


def test_the_pictures_say_what_they_show(sequence: Store) -> None:
    ways = summarise(sequence).sequences
    picture = heat_map(ways[0], ways)
    assert picture.title == "full"
    assert "after B: 0.800, 0.850, 0.150" in picture.svg
    assert "var(--arm-0)" in picture.svg and "#0072b2" not in picture.svg
    line = over_stages(ways, "B")
    assert line.title == "B: accuracy" and "full 0.200, 0.200, 0.850, 0.700" in line.svg


def test_the_reports_hold_them(tmp_path: Path) -> None:
    store = make_sequence(tmp_path, trained_on=TRAINED)
    write_report(store)
    page = (tmp_path / "report.html").read_text()
    assert "A, then B, then C on house/decoder" in page
    assert page.count("How far the weights have moved, by layer, in %</p>") == 3  # one a task
    assert "Bits per byte lost on generated prose over the steps" in page
    text = (tmp_path / "report.md").read_text()
    assert "### How far it moved" in text
    assert "| full | after C | 0.600" in text
    assert r"| full | -0.225 \[-0.225, -0.225\] | +0.225" in text
    (full, _) = json.loads((tmp_path / "results.json").read_text())["sequences"]
    assert full["name"] == "full" and full["matrix"][2][0]["mean"] == pytest.approx(0.6)
    assert set(full["backward_transfer"]) == {"mean", "low", "high", "n", "by_task"}
    assert full["average_forgetting"]["best_after"] == {"A": "full A", "B": "full A B"}
