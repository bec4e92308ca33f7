"""A study in all its phases: trials, what they chose, runs, controls from random weights; none of them done twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import Progress
from luthier.run import _loaded, retained_examples
from luthier.study import Study
from tests.small_study import steps

MakeStudy = Callable[..., Study]


def test_trials_then_runs_then_controls(make_study: MakeStudy, tmp_path: Path):
    heard: list[Progress] = []
    study = make_study(
        arms=["zero_shot", "few_shot", "best_template", "lora"],
        seeds=[0, 1],
        trials=2,
        controls=True,
        forgetting=True,
        retain="generated/sentiment",
    )
    study.run(tmp_path, device="cpu", listener=heard.append)
    assert [(result.arm, result.seed, result.control_of) for result in study.results] == [
        ("zero_shot", 0, None),
        ("few_shot", 0, None),
        ("few_shot", 1, None),
        ("best_template", 0, None),
        ("lora", 0, None),
        ("lora", 1, None),
        ("nearest", 0, None),
        ("lora from random weights", 0, "lora"),
        ("lora from random weights", 1, "lora"),
    ]
    assert all(result.status == "finished" and result.split == "test" for result in study.results)

    store = Store(tmp_path)
    record = store.study()
    assert record["runs"] == [store.run(name).name for name in record["runs"]] and len(record["runs"]) == 9
    tried = {(choice["arm"], choice["seed"]): choice for choice in record["choices"]}
    assert [len(choice["tried"]) for choice in tried.values()] == [0, 2, 2, 2, 2, 0]
    assert tried["few_shot", 1]["what"] == "shots"
    assert tried["zero_shot", None]["why_fixed"] == "nothing to choose"
    for choice in record["choices"]:
        for one in choice["tried"]:
            result = store.run(one["run"]).result()
            assert result is not None and result.split == "validation"
            assert result.scores["rougeL"] == one["score"]
            assert len(store.run(one["run"]).scores()) == 3  # the validation set
            assert store.run(one["run"]).retained() == []
    # Two rates with the first seed, the chosen one with the second, and two controls: five trainings.
    assert len(steps(store, "train")) == 5

    trained = next(name for name in record["runs"] if name.startswith("lora-") and name.endswith("-s0"))
    assert {row["task"] for row in store.run(trained).retained()} == {"base samples", "generated prose", "sentiment"}
    control = next(name for name in record["runs"] if "random" in name)
    assert store.run(control).retained() == []
    wrong = store.run(trained).wrong_reference()
    assert len(wrong) == 4 and "rougeL" in wrong[0].values and "nll" not in wrong[0].values

    before = {kind: steps(store, kind) for kind in ("train", "predict", "sample")}
    study.run(tmp_path, device="cpu")
    assert {kind: steps(store, kind) for kind in ("train", "predict", "sample")} == before
    phases = {event.phase for event in heard}
    assert {"planned", "train", "retention", "done"} <= phases and "failed" not in phases


@pytest.mark.slow
def test_a_wider_search_repeats_nothing(make_study: MakeStudy, tmp_path: Path):
    make_study(arms=["lora"], trials=2).run(tmp_path, device="cpu")
    store = Store(tmp_path)
    before = steps(store, "train")
    make_study(arms=["lora"], trials=3).run(tmp_path, device="cpu")
    after = steps(store, "train")
    assert len(after) == len(before) + 1
    assert {key: after[key] for key in before} == before


def test_trials_want_validation_examples(make_study: MakeStudy, rows: Path):
    task = {"data": {"test": str(rows / "test.jsonl")}}
    with pytest.raises(LuthierError, match="no validation examples, and trials choose on them"):
        make_study(arms=["best_template"], trials=2, task=task).plan(device="cpu", check_lengths=False)
    make_study(arms=["zero_shot"], trials=2, task=task).plan(device="cpu", check_lengths=False)  # nothing to choose


def test_a_size_beyond_the_training_set_is_refused(make_study: MakeStudy):
    with pytest.raises(LuthierError, match="99 training examples are asked for, and task meetings has 12"):
        make_study(sizes=[4, 99]).plan(device="cpu", check_lengths=False)


def test_unknown_generated_task_to_retain(study_yaml: Callable[..., Path]):
    with pytest.raises(LuthierError, match=r"generated/sentimant: no such generated task.*generated/sentiment"):
        Study.load(study_yaml(retain=["generated/sentimant"]))


def test_leaks_stand_in_the_record(make_study: MakeStudy, rows: Path, tmp_path: Path):
    task = {"data": {"train": str(rows / "train.jsonl"), "test": str(rows / "train.jsonl")}}
    make_study(arms=["zero_shot"], task=task).run(tmp_path, device="cpu")
    (recorded,) = Store(tmp_path).study()["tasks"]
    pairs = recorded["leakage"]["pairs"]
    assert pairs and all(pair["exact"] and pair["id"] == pair["train_id"] for pair in pairs if pair["split"] == "test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": [{"name": "lora from random weights", "method": "lora"}]}, "a name that ends so is a control's"),
        ({"arms": [{"name": "nearest", "method": "lora"}]}, "that is a baseline's name"),
    ],
)
def test_names_that_controls_have(study_yaml: Callable[..., Path], changes: dict, message: str):
    with pytest.raises(LuthierError, match=message):
        Study.load(study_yaml(**changes))


def retained(rows: Path, **changes: object) -> dict:
    task = {"name": "kept", "data": {"test": str(rows / "test.jsonl")}, "prompt": "{{ dialogue }}", "metrics": ["nll"]}
    return {**task, "reference": "{{ summary }}", "primary": "nll", **changes}


def test_texts_have_their_names_to_themselves(study_yaml: Callable[..., Path], rows: Path):
    with pytest.raises(LuthierError, match="base samples is the name of texts"):
        Study.load(study_yaml(retain=[retained(rows, name="base samples")]))


def test_a_run_does_not_retain_its_own_task(make_study: MakeStudy, rows: Path):
    kept = [retained(rows, name="meetings"), retained(rows)]
    (run,) = make_study(arms=["lora"], retain=kept).plan(device="cpu", check_lengths=False).runs
    assert [task.task_name for task in run.retain] == ["kept"]


def test_a_retained_row_that_is_too_long_is_found_before_training(make_study: MakeStudy, long_rows: Path):
    with pytest.raises(LuthierError, match="1 rows of the retained task kept are longer") as raised:
        make_study(arms=["lora"], retain=[retained(long_rows)]).plan(device="cpu")
    assert "test.jsonl:5" in str(raised.value)


def test_a_retained_task_that_changed_since_the_plan_is_refused(make_study: MakeStudy, rows: Path, tmp_path: Path):
    path = tmp_path / "kept.jsonl"
    path.write_text((rows / "test.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    study = make_study(arms=["lora"], retain=[retained(rows, data={"test": str(path)})])
    (run,) = study.plan(device="cpu", check_lengths=False).runs
    assert len(retained_examples(run, run.retain[0])) == 4
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    _loaded.cache_clear()
    with pytest.raises(LuthierError, match="the data has changed since the study was planned"):
        retained_examples(run, run.retain[0])


def test_a_frame_takes_room_in_the_context(make_study: MakeStudy):
    frame = "{prompt} " + "and so on " * 60
    make_study(arms=["zero_shot"]).plan(device="cpu")
    with pytest.raises(LuthierError, match="longer than the context"):
        make_study(arms=[{"best_template": {"templates": ["{prompt}", frame]}}]).plan(device="cpu")


def test_leaks_are_those_of_the_largest_size(make_study: MakeStudy, rows: Path):
    task = {"data": {"train": str(rows / "train.jsonl"), "test": str(rows / "train.jsonl")}}
    study = make_study(arms=["zero_shot"], task=task, sizes=[2, 3])
    assert len(study.plan(device="cpu", check_lengths=False).leaks["meetings"].of("test")) == 3


def test_the_model_is_loaded_once_for_all_that_is_asked_of_it(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from luthier import workbench

    loaded: list[str] = []
    real = workbench.load_model

    def counting(files, **how):
        loaded.append(files.name)
        return real(files, **how)

    monkeypatch.setattr(workbench, "load_model", counting)
    make_study(arms=["lora"], forgetting=True, retain="generated/sentiment").run(tmp_path, device="cpu")
    assert len(loaded) == 2  # the arm's, and its base
