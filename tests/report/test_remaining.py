"""What is left, from finished runs and from the fraction of the running ones."""

from __future__ import annotations

import pytest

from luthier.report.remaining import Track, seconds_left


def test_nothing_is_known_at_the_start() -> None:
    assert seconds_left([Track("a-s0", "a"), Track("b-s0", "b")], now=0, workers=2) is None


def test_a_finished_run_tells_how_long_its_arm_takes() -> None:
    tracks = [Track("a-s0", "a", started=0, ended=40), Track("a-s1", "a", started=40), Track("a-s2", "a")]
    assert seconds_left(tracks, now=50, workers=1) == pytest.approx(30 + 40)
    assert seconds_left(tracks, now=50, workers=2) == pytest.approx(40), "no less than the longest single run"


def test_a_running_run_tells_by_its_fraction() -> None:
    half = Track("a-s0", "a", started=0, trains=True, phase="train", step=50, total=100)
    assert half.fraction() == pytest.approx(0.03 + 0.34)
    assert seconds_left([half], now=37, workers=1) == pytest.approx(100 - 37)


def test_a_run_that_trains_nothing_has_no_share_of_training() -> None:
    track = Track("a-s0", "a", started=0, phase="generate", step=10, total=20)
    assert track.fraction() == pytest.approx((0.03 + 0.095) / 0.29)


def test_an_unknown_arm_takes_the_mean_of_the_known() -> None:
    tracks = [Track("a-s0", "a", started=0, ended=10), Track("b-s0", "b", started=0, ended=30), Track("c-s0", "c")]
    assert seconds_left(tracks, now=30, workers=1) == pytest.approx(20)


def test_failed_runs_and_reused_ones_tell_nothing() -> None:
    tracks = [Track("a-s0", "a", started=0, ended=1, failed=True), Track("a-s1", "a", ended=0), Track("a-s2", "a")]
    assert seconds_left(tracks, now=1, workers=1) is None


def test_all_done() -> None:
    assert seconds_left([Track("a-s0", "a", started=0, ended=10)], now=10, workers=1) == 0
