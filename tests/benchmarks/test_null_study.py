"""The null study, small: it runs, its figures are near their bounds, and it would notice a bound that is missed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import null_study
from benchmarks.null_study import LOSSES, SETTINGS, TWO_SEEDS, Claims, Loss, Setting, Study, claims, simulate, table


@pytest.mark.parametrize("setting", [SETTINGS[3], SETTINGS[13], SETTINGS[15]], ids=lambda setting: setting.name)
def test_a_few_studies(setting):
    findings = simulate(setting, studies=60, seed=1)
    assert 0.88 <= findings.coverage <= 1.0
    assert findings.family_wise <= 0.15
    assert 0.6 <= findings.found <= 0.95
    assert findings.visible > 0 and findings.stated > 0


def test_an_arm_is_better_by_what_is_said():
    setting = Setting("right or wrong", 20_000, binary=True, seed=0.0, seeds=1)
    study = Study(setting, np.random.default_rng(0))
    gained = study.compare(0, better_by=0.2).difference - study.compare(0).difference
    assert gained == pytest.approx(0.2, abs=0.01)


def test_two_seeds_have_bounds_of_their_own():
    findings = [
        replace(simulate(setting, studies=3, seed=0), coverage=0.981, family_wise=0.1, found=0.8)
        for setting in (SETTINGS[-1], SETTINGS[0])
    ]
    assert SETTINGS[-1].seeds == 2 and SETTINGS[-1].bounds == TWO_SEEDS
    assert [one.held for one in findings] == [True, False]


@pytest.mark.parametrize("loss", [LOSSES[0], LOSSES[4], LOSSES[8], LOSSES[10]], ids=lambda loss: loss.name)
def test_a_loss_of_the_margin_is_seldom_called_not_worse(loss):
    found = claims(loss, studies=50, seed=2)
    assert found.wrongly <= 0.07
    assert found.rightly >= 0.2 or loss is LOSSES[0]  # 300 items cannot show a margin of .01


def test_the_usual_interval_would_be_noticed(monkeypatch):
    usual = null_study.paired_difference
    monkeypatch.setattr(null_study, "paired_difference", lambda *arms: replace(usual(*arms), margin_low=None))
    assert not claims(LOSSES[0], studies=100, seed=0).held and not claims(LOSSES[5], studies=100, seed=0).held


def test_a_missed_bound_is_said(monkeypatch, tmp_path, capsys):
    findings = simulate(Setting("small", 20), studies=5, seed=0)
    kept = replace(findings, coverage=0.95, family_wise=0.05, found=0.8)
    assert kept.held and "missed" not in table([kept])
    for name, value in (("coverage", 0.92), ("coverage", 0.98), ("family_wise", 0.07), ("found", 0.6)):
        assert "missed" in table([replace(kept, **{name: value})])
    monkeypatch.setattr(null_study, "SETTINGS", (Setting("small", 20),))
    monkeypatch.setattr(null_study, "LOSSES", (Loss("rare", 0.1, 10),))
    for family_wise, wrongly in ((0.2, 0.01), (0.05, 0.2), (0.05, 0.01)):
        null = replace(kept, family_wise=family_wise)
        called = Claims("rare", wrongly, 0.5)
        monkeypatch.setattr(null_study, "simulate", lambda *_, null=null: null)
        monkeypatch.setattr(null_study, "claims", lambda *_, called=called: called)
        assert null_study.main(["--json", str(tmp_path / "found.json")]) == int(not (null.held and called.held))
        held = [one["held"] for one in json.loads((tmp_path / "found.json").read_text())]
        said = capsys.readouterr().out
        assert held == [family_wise < 0.1, wrongly < 0.1] and said.count("missed") == held.count(False)
        assert "small" in said and "rare" in said
