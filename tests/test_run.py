"""One run: what it leaves on disk, what it shares, what it takes up again, and how it fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.core.store import Store
from luthier.core.types import ChoicePrediction, Progress, Result, TextPrediction
from luthier.outcome import answer_warnings
from luthier.run import run, training_flops
from luthier.run_spec import RunSpec
from luthier.study import Study
from tests.small_study import steps

MakeStudy = Callable[..., Study]


def only(make_study: MakeStudy, arm: Any, **changes: Any) -> RunSpec:
    """The one run of a study with this one arm."""
    (spec,) = make_study(arms=[arm], **changes).plan(device="cpu", check_lengths=False).runs
    return spec


def test_a_run_from_top_to_bottom(make_study: MakeStudy, tmp_path: Path):
    store, heard = Store(tmp_path / "out"), []
    spec = only(make_study, {"lora": {"rank": 2}})
    result = run(spec, store, given="arms: [lora]\n", listener=heard.append)

    assert result.status == "finished"
    assert (result.arm, result.method, result.objective, result.seed) == ("lora", "lora(rank=2)", "supervised", 0)
    assert result.digest == spec.run_key()
    folder = store.run(spec.folder)
    assert folder.result() == result
    assert {path.name for path in folder.folder.iterdir()} == {
        *("spec.json", "given.yaml", "environment.json", "scores.jsonl", "result.json"),
        *("wrong_reference.jsonl", "retained.jsonl"),
    }
    (key,) = spec.train_keys()
    assert result.train_key == key and result.predict_key == spec.predict_key()
    training = store.step("train", key)
    assert training.done and not training.checkpoint.exists()
    assert [line["step"] for line in training.training_log() if "loss" in line] == [1, 2]
    assert (training.weights / "adapter_model.safetensors").is_file()
    assert set(spec.predict_keys()) == {"text", "choices"}
    for kind, predict_key in spec.predict_keys().items():
        predictions = store.step("predict", predict_key).predictions()
        assert {prediction.kind for prediction in predictions} == {kind}
        assert len(predictions) == len(folder.scores()) == 4
    mean = sum(score.values["nll"] for score in folder.scores()) / 4
    assert result.scores["nll"] == pytest.approx(mean)
    assert result.effective["steps"] == 2
    assert result.effective["sampling"]["max_new_tokens"] == 8
    assert result.effective["learning_rate"] == spec.arm.stages[0].training.learning_rate
    assert [event.phase for event in heard if event.phase not in ("train", "validate", "generate", "likelihoods")] == [
        *("load", "score", "done")
    ]
    assert {event.run for event in heard} == {spec.folder}


def test_the_cost_of_a_run(make_study: MakeStudy, tmp_path: Path):
    store = Store(tmp_path / "out")
    full, zero = only(make_study, "full"), only(make_study, "zero_shot")
    cost, free = run(full, store).cost, run(zero, store).cost
    size = full.model.parameters
    assert cost.trainable_parameters == cost.total_parameters == size
    assert cost.flops == training_flops(size, size, cost.train_tokens) == 6 * size * cost.train_tokens
    assert cost.train_seconds > 0 and cost.predict_seconds > 0 and cost.peak_bytes > 10_000_000
    assert cost.tokens_per_second == pytest.approx(cost.train_tokens / cost.train_seconds)
    assert cost.adapter_bytes >= 4 * size
    assert (free.trainable_parameters, free.train_tokens, free.flops, free.adapter_bytes) == (0, 0, 0.0, 0)


def test_a_baseline_loads_no_model(make_study: MakeStudy, tmp_path: Path):
    heard: list[Progress] = []
    result = run(only(make_study, "lead"), Store(tmp_path / "out"), listener=heard.append)
    assert result.baseline and result.cost.total_parameters == 0
    assert [event.phase for event in heard] == ["score", "done"]
    assert result.scores["rougeL"] > 0 and "nll" not in result.scores  # unscored is not zero


def test_arms_with_one_training_share_it(make_study: MakeStudy, tmp_path: Path):
    store = Store(tmp_path / "out")
    first = run(only(make_study, {"lora": {"rank": 2}}), store)
    trained, predicted = steps(store, "train"), steps(store, "predict")
    second = run(only(make_study, {"name": "again", "method": {"lora": {"rank": 2}}}), store)
    assert steps(store, "train") == trained and steps(store, "predict") == predicted
    assert second.arm == "again"
    assert (second.scores, second.cost) == (first.scores, first.cost)


def test_a_run_is_the_same_each_time(make_study: MakeStudy, tmp_path: Path):
    spec = only(make_study, {"lora": {"dropout": 0.1}})
    results = [run(spec, Store(tmp_path / name)) for name in ("one", "two")]
    logs = [Store(tmp_path / name).step("train", spec.train_keys()[0]).training_log() for name in ("one", "two")]
    assert results[0].scores == results[1].scores
    assert [line.get("loss") for line in logs[0]] == [line.get("loss") for line in logs[1]]


def test_stages_follow_one_another(make_study: MakeStudy, tmp_path: Path):
    store = Store(tmp_path / "out")
    full = run(only(make_study, "full"), store)
    before = steps(store, "train")
    spec = only(make_study, {"name": "two", "stages": ["full", {"lora": {"rank": 2}}]})
    two = run(spec, store)
    assert two.status == "finished"
    assert two.method == "full then lora(rank=2)"
    assert two.scores["nll"] != full.scores["nll"]
    after = steps(store, "train")
    assert after.items() > before.items() and len(after) == 2  # the first stage was there already
    assert two.cost.train_tokens == 2 * full.cost.train_tokens
    assert two.cost.trainable_parameters < full.cost.trainable_parameters


def test_an_unfinished_run_is_taken_up_where_it_stopped(make_study: MakeStudy, tmp_path: Path):
    store, spec = Store(tmp_path / "out"), only(make_study, {"lora": {"rank": 2}})

    def interrupt(event: Progress) -> None:
        if event.phase == "generate":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(spec, store, listener=interrupt)
    assert store.run(spec.folder).result() is None
    trained = steps(store, "train")
    assert len(trained) == 1 and not steps(store, "predict")
    assert run(spec, store).status == "finished"
    assert steps(store, "train") == trained
    expected = run(spec, Store(tmp_path / "other"))
    assert store.run(spec.folder).result().scores == expected.scores  # type: ignore[union-attr]


def test_a_loss_that_is_not_finite_fails_the_run_and_names_the_batch(make_study: MakeStudy, tmp_path: Path):
    store = Store(tmp_path / "out")
    diverging = {"name": "diverging", "method": "full", "learning_rate": 1e30, "warmup": 0.0}
    spec = only(make_study, diverging)
    result = run(spec, store)
    assert result.status == "failed" and result.scores == {}
    assert result.error is not None and "not finite" in result.error and "at step 2" in result.error
    named = [word.strip(",") for word in result.error.split("examples ")[1].split("\n")[0].split()]
    task = make_study().plan(device="cpu", check_lengths=False).tasks["meetings"]
    assert len(named) == 4 and set(named) <= {example.where for example in task.splits["train"]}
    assert store.run(spec.folder).result() == result
    assert not steps(store, "train") and not steps(store, "predict")


def test_a_failed_run_is_tried_again(make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store, spec = Store(tmp_path / "out"), only(make_study, "zero_shot")

    def exhausted(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr("luthier.workbench.Workbench.prepare", exhausted)
        failed = run(spec, store)
    assert failed.status == "failed"
    assert failed.error is not None and failed.error.startswith("out of memory: lower training.micro_batch_tokens")
    assert run(spec, store).status == "finished"
    finished = store.run(spec.folder).result()
    assert isinstance(finished, Result) and finished.error is None


def test_a_method_that_does_not_learn_is_reported(make_study: MakeStudy, tmp_path: Path):
    idle = {"name": "idle", "method": "full", "learning_rate": 1e-12, "steps": 10, "batch_size": 12}
    result = run(only(make_study, idle), Store(tmp_path / "out"))
    assert [warning.partition(":")[0] for warning in result.warnings] == ["did not learn"]
    learning = {"name": "learning", "method": "full", "learning_rate": 1e-2, "steps": 10, "batch_size": 12}
    result = run(only(make_study, learning), Store(tmp_path / "out"))
    assert result.warnings == [] and math.isfinite(result.effective["loss"])


def test_no_library_writes_to_the_terminal(make_study: MakeStudy, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    for arm in ("full", {"prompt_tuning": {"virtual_tokens": 3}}):
        assert run(only(make_study, arm), Store(tmp_path / "out")).status == "finished"
    assert capfd.readouterr() == ("", "")


def test_one_answer_to_everything_is_told():
    texts = [TextPrediction(f"{number}", "positive") for number in range(10)]
    (warning,) = answer_warnings(texts)
    assert warning == "gave the same answer to all 10 examples: 'positive'"
    assert answer_warnings(texts[:9]) == [] and answer_warnings([*texts, TextPrediction("b", "no")]) == []
    chosen = [ChoicePrediction(f"{number}", ("yes", "no"), (-2.0, -1.0), (1, 1)) for number in range(12)]
    assert answer_warnings(chosen) == ["gave the same answer to all 12 examples: 'no'"]
    references = [ChoicePrediction(f"{number}", ("yes",), (-2.0,), (1,)) for number in range(12)]
    assert answer_warnings(references) == []


def test_a_listener_that_is_gone_is_no_fault_of_the_run(make_study: MakeStudy, tmp_path: Path):
    def gone(event: Progress) -> None:
        raise BrokenPipeError

    spec = only(make_study, "zero_shot")
    with pytest.raises(BrokenPipeError):
        run(spec, Store(tmp_path), listener=gone)
    assert Store(tmp_path).run(spec.folder).result() is None
