"""The table of what a study file can name."""

from __future__ import annotations

from luthier.catalogue import as_markdown, as_text, entries
from luthier.registry import registry


def test_every_class_is_listed_once():
    listed = [(row["kind"], row["name"]) for row in entries()]
    assert listed == [(kind, cls.name) for kind, classes in registry().items() for cls in classes]
    assert all(row["does"] for row in entries())


def test_a_row_says_what_it_does_with_which_defaults():
    (lora,) = [row for row in entries() if row["name"] == "lora"]
    assert lora["kind"] == "method"
    assert lora["does"].startswith("Train a low-rank update")
    assert "rank: 8" in lora["settings"] and "alpha: none" in lora["settings"]
    assert lora["paper"] == "Hu et al. 2021, arXiv 2106.09685"


def test_as_markdown_every_row_has_its_cells():
    lines = as_markdown(entries()).splitlines()
    assert len(lines) == len(entries()) + 2
    assert {line.count("|") for line in lines} == {5}


def test_as_text_the_kinds_are_headings():
    lines = as_text(entries()).splitlines()
    assert [line[:-1] for line in lines if not line.startswith(" ")] == list(registry())
    assert any(line.startswith("  few_shot ") and "(shots: 2, draw: 0)" in line for line in lines)
