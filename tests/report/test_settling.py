"""What more examples or seeds would settle, and the commands that run a part again."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from luthier.core.statistics import seeds_or_items_needed
from luthier.core.store import Store
from luthier.report.again import commands
from luthier.report.settling import _rounded
from luthier.report.summary import summarise
from tests.report.made_up import make_study, shifted


def test_nothing_is_left_to_settle_where_all_are_told_apart(grown: Store) -> None:
    assert summarise(grown).groups[0].settles == ()


def test_an_undecided_arm_gets_a_number_of_examples(tmp_path: Path) -> None:
    group = summarise(shifted(make_study(tmp_path, failing=(), grown=True), "lora", 0.09, 0.06)).groups[0]
    undecided = [arm for arm in group.contenders if arm.against_best and arm.against_best.outcome == "undecided"]
    assert len(undecided) == 1 and undecided[0].tied_with_best
    (said,) = group.settles
    assert group.best is not None and said.startswith(f"Undecided between {undecided[0].arm} and {group.best.arm} (")
    assert said.endswith("would settle it, if the true difference is the one seen; more seeds alone would not.")
    number = int(said.partition("about ")[2].split()[0].replace(",", ""))
    assert number > 20 and number == round(number, 2 - len(str(number))), "two digits, and more than there are"


def test_one_seed_says_nothing_of_what_more_seeds_would_do(tmp_path: Path) -> None:
    one = make_study(tmp_path, seeds=1, failing=(), grown=True)
    group = summarise(shifted(one, "lora", 0.09, 0.06)).groups[0]
    (said,) = group.settles
    assert "test examples would settle it" in said and "more seeds" not in said


def test_the_size_to_be_settled_is_what_the_margin_leaves(tmp_path: Path) -> None:
    store = shifted(make_study(tmp_path, failing=(), grown=True), "lora", 0.094, 0.03)
    found = {}
    for margin in (0.02, 0.05):
        store.write_study({**store.study(), "margin": margin})
        group = summarise(store).groups[0]
        lora = group.arm("lora") if group.best and group.best.arm == "full" else group.arm("full")
        assert lora is not None and lora.against_best is not None and lora.against_best.found is not None
        seen = abs(lora.against_best.difference)
        size = max(seen, margin - seen)
        family = 2 if seen > margin - seen else 1
        need = seeds_or_items_needed(lora.against_best.found, size, comparisons=family).items
        found[margin] = (lora.against_best.outcome, need, group.settles)
    outcome, need, settles = found[0.02]
    assert outcome == "undecided" and need is not None and f"about {_rounded(need)} clusters" in settles[0]
    assert found[0.05][1] is not None and found[0.05][1] < need, "a wider margin takes fewer"


def test_the_commands_run_the_study_the_report_and_each_arm() -> None:
    study = {
        "command": "luthier study s.yaml --out runs/x --set 'seeds=[0]'",
        "spec": {"arms": [{"name": "lora (wide)", "stages": [{"method": {"lora": {"rank": 32}}}]}]},
    }
    whole, report, arm = commands(study, "runs/x")
    assert whole.command == study["command"] and report.command == "luthier report runs/x"
    words = shlex.split(arm.command)
    assert words[:5] == ["luthier", "study", "s.yaml", "--set", "seeds=[0]"]
    assert words[-2:] == ["--out", "runs/x-lora-wide"] and "--set reference=null" in arm.command
    assert yaml.safe_load(words[6].removeprefix("arms=")) == study["spec"]["arms"]  # type: ignore[index]


@pytest.mark.parametrize("given", ["--out=runs/x", "--out runs/x", ""])
def test_the_output_folder_is_replaced_however_it_was_given(given: str) -> None:
    study = {"command": f"luthier study s.yaml {given}", "spec": {"arms": ["lora"]}}
    assert commands(study, "runs/x")[-1].command.count("--out") == 1
