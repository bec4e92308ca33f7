"""How many examples fit the time."""

from __future__ import annotations

from dataclasses import replace

from luthier.init.sizes import Sizes, Work, sizes_for

MANY = {"train": 50_000, "validation": 5_000, "test": 5_000}
SUMMARIES = Work(prompt=240, answer=42, candidates=1, written=60, parameters=4_738_304)


def sizes(work: Work = SUMMARIES, there: dict[str, int] = MANY, minutes: float = 10, cores: int = 2) -> Sizes:
    return sizes_for(work, there, minutes=minutes, cores=cores, context=2_048)


def test_it_takes_less_than_the_time_and_the_more_the_larger():
    found = [sizes(minutes=minutes) for minutes in (4, 10, 30, 120)]
    assert all(one.minutes < minutes and one.limited for one, minutes in zip(found, (4, 10, 30, 120), strict=True))
    trained = [one.train for one in found]
    assert trained == sorted(trained) and len(set(trained)) == 4
    assert sizes(cores=8).train > sizes(cores=2).train


def test_what_costs_more_gets_less():
    base = sizes().train
    assert sizes(replace(SUMMARIES, parameters=10 * SUMMARIES.parameters)).train < base
    assert sizes(replace(SUMMARIES, written=600)).train < base
    assert sizes(replace(SUMMARIES, candidates=30)).train < base
    assert sizes(replace(SUMMARIES, prompt=20, answer=3, written=0, candidates=2)).train > base


def test_the_first_study_on_dialogues_took_what_this_says():
    """docs/log.md: 600 dialogues, one epoch, three seeds in 789 s, so two epochs of one seed in about 430 s, without
    the control from random weights."""
    assert 4 < sizes(there={"train": 600, "validation": 60, "test": 150}, minutes=60).minutes < 14


def test_no_more_than_there_is():
    found = sizes(there={"train": 70, "validation": 10, "test": 30})
    assert (found.train, found.validation, found.test, found.limited) == (70, 10, 30, False)
    assert found.arms == ("zero_shot", "few_shot: {shots: 2}", "lora", "full") and "soft prompts" in found.why_fewer
    assert found.batch_size == 4


def test_shots_leave_room_in_the_context():
    assert "few_shot: {shots: 4}" in sizes(replace(SUMMARIES, prompt=50)).arms
    assert "few_shot: {shots: 1}" in sizes(replace(SUMMARIES, prompt=1_500)).arms


def test_the_smallest_is_taken_where_nothing_fits():
    found = sizes(replace(SUMMARIES, parameters=7_000_000_000))
    assert found.train == 24 and found.minutes > 10
