"""Suites by name, and the names of lm-eval's own tasks."""

from __future__ import annotations

import pytest

from luthier.core.errors import LuthierError
from luthier.suites.benchmarks import find_tasks


def test_the_suites_have_their_tasks():
    glue = {task.name for task in find_tasks("glue")}
    assert glue == {"cola", "mnli", "mnli_mismatch", "mrpc", "qnli", "qqp", "rte", "sst2", "wnli"}
    superglue = {task.name for task in find_tasks("superglue")}
    assert superglue == {"boolq", "cb", "copa", "multirc", "record", "sglue_rte", "wic", "wsc"}
    assert len(find_tasks("bbh")) == len(find_tasks("bbh_direct")) == 27
    assert len(find_tasks("bigbench")) > 50


def test_mmlu_is_asked_with_five_shots_by_subject():
    tasks = find_tasks("mmlu")
    assert len(tasks) == 57 and {task.shots for task in tasks} == {5}
    anatomy = next(task for task in tasks if task.name == "mmlu_anatomy")
    assert anatomy.groups == ("mmlu", "mmlu_stem") and not anatomy.named
    assert anatomy.config["description"].startswith("The following are multiple choice questions")


def test_a_subject_by_its_own_name_has_as_many():
    assert {task.shots for task in find_tasks("mmlu_anatomy,mmlu")} == {5}
    assert find_tasks("sst2")[0].shots is None


def test_several_names_each_task_once():
    found = find_tasks("sst2, glue,mmlu_anatomy")
    assert [task.name for task in found][:2] == ["sst2", "cola"]
    assert found[0].named and found[-1].name == "mmlu_anatomy" and len(found) == 10


def test_no_name_is_refused():
    with pytest.raises(LuthierError, match="no suite was named"):
        find_tasks(" , ")


@pytest.mark.slow
def test_an_unknown_name_is_refused_with_the_nearest_ones():
    said: list[str] = []
    with pytest.raises(LuthierError) as refused:
        find_tasks("helaswag", said.append)
    assert "hellaswag" in str(refused.value) and "helaswag: no such suite" in str(refused.value)
    assert said == ["looking through all tasks of lm-eval"]
