"""The null study, small: it runs, its figures are near their bounds, and it would notice a bound that is missed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import null_study
from benchmarks.null_study import SETTINGS, Setting, Study, simulate, table


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


def test_a_missed_bound_is_said(monkeypatch, tmp_path, capsys):
    findings = simulate(Setting("small", 20), studies=5, seed=0)
    kept = replace(findings, coverage=0.95, family_wise=0.05, found=0.8)
    assert kept.held and "missed" not in table([kept])
    for name, value in (("coverage", 0.92), ("coverage", 0.98), ("family_wise", 0.07), ("found", 0.6)):
        assert "missed" in table([replace(kept, **{name: value})])
    monkeypatch.setattr(null_study, "SETTINGS", (Setting("small", 20),))
    monkeypatch.setattr(null_study, "simulate", lambda setting, studies, seed: replace(kept, family_wise=0.2))
    assert null_study.main(["--json", str(tmp_path / "found.json")]) == 1
    assert json.loads((tmp_path / "found.json").read_text())[0]["held"] is False
    assert "small" in capsys.readouterr().out
