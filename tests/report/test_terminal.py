"""The final table on the terminal."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from luthier.core.store import Store
from luthier.report.summary import summarise
from luthier.report.terminal import print_table
from tests.report.made_up import make_study


def printed(store: Store, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    print_table(summarise(store), console)
    return console.export_text()


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_every_arm_stands_in_the_table(store: Store) -> None:
    text = printed(store)
    assert "dialogues on house/decoder" in text
    assert line(text, "zero_shot").split()[:5] == ["zero_shot", "0.188", "[0.167,", "0.209]", "3.036"]
    assert "reference" in line(text, "zero_shot")
    lora = line(text, "lora")
    assert "+0.155 [+0.14" in lora and "147K" in lora and "41 s" in lora and "720 MB" in lora and lora.endswith("3/3")
    assert line(text, "full").strip().endswith("2/3")
    assert "failed" in line(text, "broken") and line(text, "broken").strip().endswith("0/3")
    assert "-0.056" in line(text, "lead-3") and "–" in line(text, "lead-3")


def test_it_is_read_at_100_columns(store: Store) -> None:
    lines = printed(store).splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in "".join(lines)


def test_a_wide_terminal_shows_more_measures(store: Store) -> None:
    assert "rouge1" not in printed(store, 100).splitlines()[2]
    assert "rouge1" in printed(store, 140) and "bleu" in printed(store, 140)


def test_what_failed_and_why_and_the_headline(store: Store) -> None:
    text = printed(store)
    assert "failed: broken, seed 0, 1, 2 (dialogues, house/decoder)" in text
    assert "the loss is not finite at step 12" in text
    assert "full has the highest mean rougeL" in text
    assert "warning: the learning rate is at the edge of its range (lora)" in text


def test_lower_is_better_is_said(tmp_path: Path) -> None:
    text = printed(make_study(tmp_path, primary="nll"))
    assert "lower is better: nll" in text
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
