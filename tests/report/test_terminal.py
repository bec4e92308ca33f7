"""The final table on the terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from luthier.core.store import Store
from luthier.core.types import Score
from luthier.report.summary import summarise
from luthier.report.terminal import print_table
from tests.report.made_up import make_study, run_name, shifted


def printed(store: Store, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    print_table(summarise(store), console)
    return console.export_text()


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def named(store: Store, old: str, new: str) -> Store:
    """The study with one arm called otherwise."""
    for folder in store.runs():
        result = folder.result()
        assert result is not None
        if result.arm == old:
            folder.finish(result.model_copy(update={"arm": new}))
    return store


def test_every_arm_stands_in_the_table(store: Store) -> None:
    text = printed(store)
    assert "dialogues on house/decoder" in text
    assert line(text, "zero_shot").split()[:5] == ["zero_shot", "0.188", "[0.167,", "0.209]", "3.036"]
    assert "reference" in line(text, "zero_shot")
    lora = line(text, "lora")
    assert "+0.155 [+0.146, +0.164]" in lora and "147K" in lora
    assert "better" in lora and lora.rstrip().endswith("41 s   3/3")
    assert line(text, "full").strip().endswith("2/3")
    assert "failed" in line(text, "broken") and line(text, "broken").strip().endswith("0/3")
    assert "-0.056" in line(text, "lead-3") and "–" in line(text, "lead-3")


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_nothing_is_cut_at_any_width(store: Store, width: int) -> None:
    lines = printed(store, width).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)


def test_at_80_columns_the_least_important_columns_are_left_out(store: Store) -> None:
    text = printed(store, 80)
    assert line(text, "arm").split() == ["arm", "rougeL", "difference", "outcome", "trained", "time"]
    assert line(text, "lora !").endswith("0.343 [0.323, 0.362]  +0.155 [+0.146, +0.164]  better      147K  41 s")


def test_a_long_name_is_broken_and_never_left_out(tmp_path: Path) -> None:
    store = named(make_study(tmp_path), "lora", "dora(rank=16, alpha=32, targets=all-linear)")
    text = printed(store, 80)
    assert line(text, "arm").split() == ["arm", "rougeL", "difference", "outcome", "trained"]
    assert line(text, "dora(rank=16, alpha=32, !").endswith("0.343 [0.323, 0.362]  +0.155      better      147K")
    assert "\ntargets=all-linear)" in text


def test_a_narrow_terminal_keeps_arm_score_and_difference(store: Store) -> None:
    assert line(printed(store, 60), "lora !").endswith("0.343 [0.323, 0.362]  +0.155      better ")
    assert line(printed(store, 32), "lora !").split() == ["lora", "!", "0.343", "+0.155"]
    assert line(printed(store, 18), "lora !").split() == ["lora", "!", "0.343"]


def test_a_wide_terminal_shows_more_measures_but_no_sides(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    folder = store.run(run_name("lora", 0))
    folder.write_scores(Score(one.example_id, {**one.values, "rougeL_precision": 0.5}) for one in folder.scores())
    assert "rouge1" not in printed(store, 90).splitlines()[2]
    wide = printed(store, 200)
    assert "rouge1" in wide and "bleu" in wide and "precision" not in wide


def test_what_a_run_warned_of_is_marked_and_said(store: Store) -> None:
    text = printed(store)
    assert line(text, "lora").startswith("lora !") and not line(text, "full").startswith("full !")
    assert line(text, "! lora") == "! lora (seeds 0, 1, 2): the learning rate is at the edge of its range"


def test_what_failed_and_why_and_the_headline(store: Store) -> None:
    text = printed(store)
    assert "failed: broken, seed 0, 1, 2 (dialogues, house/decoder)" in text
    assert "the loss is not finite at step 12" in text
    assert text.index("full has the highest mean rougeL") < text.index("\narm "), "the verdict comes first"


def test_lower_is_better_is_said(tmp_path: Path) -> None:
    text = printed(make_study(tmp_path, primary="nll"))
    assert "lower is better: nll" in " ".join(text.split())
    assert "-1.0" in line(text, "lora")


def test_markup_in_a_name_is_text(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    study = store.study()
    study["tasks"][0]["name"] = "[red]dialogues[/red]"
    store.write_study(study)
    for folder in store.runs():
        result = folder.result()
        assert result is not None
        folder.finish(result.model_copy(update={"task": "[red]dialogues[/red]", "arm": f"[bold]{result.arm}"}))
    text = printed(store, 140)
    assert "[red]dialogues[/red] on" in text and line(text, "[bold]lora")


def test_all_that_decides_fits_100_columns(grown: Store) -> None:
    text = printed(grown)
    titles = ["arm", "rougeL", "difference", "outcome", "trained", "forgets", "time"]
    assert line(text, "arm").split() == titles
    assert line(text, "full  ").split()[-5:] == ["better", "5.8M", "+0.202", "66", "s"]
    assert "forgets: the worst loss that is shown on a retention task, in bits/byte" in " ".join(text.split())
    assert line(text, "zero_shot").split()[-2] == "nothing"
    assert "control" in line(text, "full from random") and text.index("full from random") < text.index("lead-3 ")


def test_ties_with_the_best_are_marked(tmp_path: Path) -> None:
    text = printed(shifted(make_study(tmp_path, failing=(), grown=True), "lora", 0.097, 0.001))
    assert "] =" in line(text, "full  ") and "] =" in line(text, "lora !") and "] =" not in line(text, "zero_shot")
    assert "= tied with the best: not told apart from it, or within 0.010 of it" in " ".join(text.split())


@pytest.mark.parametrize("width", [60, 100])
def test_several_sizes_open_with_one_table_over_all(sized: Store, width: int) -> None:
    text = printed(sized, width)
    assert max(map(len, text.splitlines())) <= width
    assert line(text, "rougeL ").split() == [
        "rougeL",
        *["50", "examples", "200", "examples", "800", "examples"][: 2 * (width // 30)],
    ]
    row = line(text[text.index("rougeL  ") :], "full ")
    assert row.split()[:3] == ["full", "0.341", "0.437"]
    assert "dialogues on house/decoder, 50 training examples" in text
