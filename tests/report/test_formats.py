"""Numbers as a reader sees them."""

from __future__ import annotations

from luthier.report import formats


def test_scores() -> None:
    assert [formats.score(value) for value in (0.3124, 12.404, -0.0001, None)] == ["0.312", "12.40", "0.000", "–"]
    assert [formats.signed(value) for value in (0.1, -0.1, 0.0)] == ["+0.100", "-0.100", "+0.000"]


def test_counts_and_sizes() -> None:
    values = (0, 950, 12_345, 999_999, 5_800_000, 7.1e9)
    assert [formats.count(value) for value in values] == ["0", "950", "12.3K", "1M", "5.8M", "7.1B"]
    assert [formats.size(value) for value in (0, 999_999_999, 1.24e9, 31e9)] == ["0 B", "1.0 GB", "1.2 GB", "31 GB"]


def test_seconds() -> None:
    values = (0, 4.23, 9.96, 48, 204, 4320, None)
    said = ["0 s", "4.2 s", "10 s", "48 s", "3.4 min", "72.0 min", "–"]
    assert [formats.seconds(value) for value in values] == said
    assert formats.seconds(7200) == "2.0 h"


def test_p_values() -> None:
    assert [formats.p_value(value) for value in (0.0004, 0.0123, None)] == ["<0.001", "0.012", "–"]


def test_long_names_are_broken_where_they_can_be() -> None:
    assert formats.broken("lora", 20) == ["lora"]
    assert formats.broken("dora(rank=16, alpha=32)", 14) == ["dora(rank=16,", "alpha=32)"]
    assert formats.broken("prompt_tuning", 8) == ["prompt_", "tuning"]
    assert formats.broken("averylongname(x)", 5) == ["avery", "longn", "ame", "(x)"]


def test_a_visible_difference_that_rounds_to_nothing_is_not_printed() -> None:
    assert [formats.visible(value) for value in (0.0123, 0.0004, 0.0, None)] == ["0.012", "–", "–", "–"]


def test_units_and_counts() -> None:
    assert [formats.unit(name) for name in ("bits_per_byte", "exact_match")] == ["bits/byte", "exact match"]
    assert [formats.counted(1, "seed"), formats.counted(1600, "example")] == ["1 seed", "1,600 examples"]
