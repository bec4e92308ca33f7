"""What a training kept of its base: measured twice, as served, and shared between runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.core.store import Store
from luthier.core.types import ChoicePrediction, ignore
from luthier.models.generator import ModelGenerator
from luthier.models.load import find_model, load_model, load_tokenizer
from luthier.models.tokens import Renderer
from luthier.retention import prose_probe
from luthier.run import examples_of
from luthier.study import Study
from luthier.workbench import Workbench
from tests.small_study import steps

MakeStudy = Callable[..., Study]
RETAINED = {
    "name": "colours",
    "data": "rows",
    "prompt": "Is {{ dialogue }} long?",
    "reference": "yes",
    "choices": ["yes", "no"],
    "metrics": ["accuracy"],
    "primary": "accuracy",
}


def ran(make_study: MakeStudy, out: Path, **changes: object) -> tuple[Study, dict[str, list[dict]]]:
    """The study, run, and what its runs retained by arm and seed."""
    study = make_study(forgetting=True, **changes)
    study.run(out, device="cpu")
    assert all(result.status == "finished" for result in study.results), study.results
    store = Store(out)
    runs = {name: store.run(name) for name in store.study()["runs"]}
    return study, {f"{run.result().arm} {run.result().seed}": run.retained() for run in runs.values()}  # type: ignore[union-attr]


def test_texts_and_tasks_before_and_after(make_study: MakeStudy, rows: Path, tmp_path: Path):
    retained = {**RETAINED, "data": {"test": str(rows / "test.jsonl")}}
    training = {"steps": 4, "batch_size": 4, "validations": 1, "learning_rate": 0.05}
    _, kept = ran(make_study, tmp_path / "out", arms=["zero_shot", "full"], retain=[retained], training=training)
    assert kept["zero_shot 0"] == []  # nothing was trained, nothing can be lost
    by_task: dict[str, list[dict]] = {}
    for row in kept["full 0"]:
        by_task.setdefault(row["task"], []).append(row)
    assert list(by_task) == ["base samples", "generated prose", "colours"]
    assert len(by_task["generated prose"]) == 32 and len(by_task["colours"]) == 4
    assert all(row["before"] != row["after"] for row in by_task["generated prose"])
    assert all(math.isfinite(row["after"]) for row in kept["full 0"])
    assert {row["before"] for row in by_task["colours"]} <= {0.0, 1.0}
    (run,) = (run for run in Store(tmp_path / "out").runs() if run.retained())
    moved = run.drift()
    names = {name: [row["example_id"] for row in rows] for name, rows in by_task.items() if name != "colours"}
    assert {name: list(found) for name, found in moved["kl"].items()} == {name: ids[:16] for name, ids in names.items()}
    assert all(nats > 0 for found in moved["kl"].values() for nats in found.values())
    assert all(distance > 0 for distance in moved["distance"].values())
    record = Store(tmp_path / "out").study()["retain"]
    assert [(task["name"], task["primary"], task["lower_is_better"]) for task in record] == [
        ("base samples", "bits_per_byte", True),
        ("generated prose", "bits_per_byte", True),
        ("colours", "accuracy", False),
    ]


def test_the_base_is_measured_once(make_study: MakeStudy, tmp_path: Path):
    _, kept = ran(make_study, tmp_path, arms=["lora"], seeds=[0, 1])
    store = Store(tmp_path)
    assert [row["before"] for row in kept["lora 0"]] == [row["before"] for row in kept["lora 1"]]
    assert len(steps(store, "sample")) == 1
    assert len(steps(store, "drift")) == 2
    distances = [run.drift()["distance"] for run in store.runs() if run.drift()]
    assert [distance["embeddings"] for distance in distances] == [0, 0]  # the adapter was merged, into the layers alone
    assert all(distance["1"] > 0 and distance["2"] > 0 for distance in distances)
    # Two kinds of prediction for each of two runs; two texts before, and two after each run.
    assert len(steps(store, "predict")) == 2 * 2 + 2 + 2 * 2


def test_soft_prompts_are_measured_in_place(make_study: MakeStudy, tmp_path: Path):
    arms = [{"prompt_tuning": {"virtual_tokens": 4}, "learning_rate": 3.0}]
    _, kept = ran(make_study, tmp_path, arms=arms)
    assert any(abs(row["before"] - row["after"]) > 1e-3 for row in kept["prompt_tuning 0"])
    (moved,) = (run.drift() for run in Store(tmp_path).runs())
    assert set(moved["distance"].values()) == {0.0}  # none of the base's weights
    assert max(moved["kl"]["generated prose"].values()) > 1e-4


def test_memory_that_runs_out_costs_no_run_its_scores(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import torch

    def full(*models: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("luthier.retention.weight_distances", full)
    study = make_study(forgetting=True, arms=["lora"])
    study.run(tmp_path, device="cpu", workers=1)
    (result,) = study.results
    assert result.status == "finished" and result.scores["nll"] > 0
    assert [warning for warning in result.warnings if warning.startswith("drift not measured: memory ran out")]
    (run,) = (run for run in Store(tmp_path).runs() if run.drift())
    assert run.drift()["distance"] is None and list(run.drift()["kl"]) == ["base samples", "generated prose"]
    assert len(steps(Store(tmp_path), "drift")) == 0  # another run of the same training tries again


def test_a_probe_of_a_model_that_diverged_gives_nothing(make_study: MakeStudy, tmp_path: Path):
    import torch

    spec = make_study(forgetting=True, arms=["lora"]).plan(device="cpu", check_lengths=False).runs[0]
    bench = Workbench(spec, Store(tmp_path), "cpu", ignore)
    bench.prepare(0)
    probe = prose_probe(bench)
    assert probe is not None and probe()["prose_bits_per_byte"] > 0
    with torch.no_grad():
        next(bench.adapted.parameters()).fill_(math.nan)
    assert probe() == {}


def test_a_training_that_is_followed_comes_to_the_same_weights(make_study: MakeStudy, tmp_path: Path):
    training = {"steps": 2, "batch_size": 4, "validations": 1}
    arms, task = [{"lora": {"dropout": 0.1}}], {"metrics": ["nll"], "primary": "nll"}
    weights, logs = [], []
    for forgetting in (True, False):
        out = tmp_path / str(forgetting)
        study = make_study(forgetting=forgetting, arms=arms, training=training, task=task)
        study.run(out, device="cpu", workers=1)
        trained = sorted((out / "train").iterdir())
        weights.append({path.name: [file.read_bytes() for file in path.rglob("*.safetensors")] for path in trained})
        logs += [Store(out).step("train", path.name).training_log() for path in trained]
    assert len(weights[0]) == 1 and weights[0] == weights[1]  # the keys too
    followed = [[line["step"] for line in log if "prose_bits_per_byte" in line] for log in logs]
    assert followed == [[0, 2], []]


def test_a_retained_task_enters_the_run_and_not_its_training(make_study: MakeStudy, rows: Path):
    retained = {**RETAINED, "data": {"test": str(rows / "test.jsonl")}}
    plain, more = (
        make_study(arms=["lora"], **extra).plan(device="cpu", check_lengths=False).runs[0]
        for extra in ({}, {"retain": [retained]})
    )
    assert plain.run_key() != more.run_key()
    assert plain.train_keys() == more.train_keys() and plain.predict_keys() == more.predict_keys()


@pytest.fixture
def generator(decoder: Path) -> ModelGenerator:
    files = find_model(str(decoder))
    return ModelGenerator(load_model(files), Renderer(load_tokenizer(files), files.context), flat=False)


def test_a_document_is_scored_token_by_token_without_an_end(generator: ModelGenerator):
    import torch

    text = "Anna meets Ben at nine."
    (given,) = generator.documents(["a"], [text])
    assert isinstance(given, ChoicePrediction) and given.choices == (text,)
    ids = torch.tensor([[*generator.renderer.start, *generator.renderer._ids(text)]])
    with torch.no_grad():
        likelihoods = generator.model(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])
    assert given.tokens == (ids.shape[1] - 1,)
    assert given.log_likelihoods[0] == pytest.approx(float(likelihoods.sum()), abs=1e-4)


def test_a_long_document_leaves_a_quarter_of_the_context(generator: ModelGenerator):
    (given,) = generator.documents(["a"], ["no, and no again. " * 400])
    assert given.tokens == (192 - len(generator.renderer.start),)


def test_samples_are_the_same_each_time_and_differ_by_name(generator: ModelGenerator):
    from luthier.models.sampling import Sampling

    sampling = Sampling(temperature=1.0, max_new_tokens=12)
    first = generator.samples(["a", "b"], sampling)
    assert first == generator.samples(["a", "b"], sampling)
    assert first[0] != first[1]
    assert generator.samples(["b"], sampling) == first[1:]


@pytest.mark.slow
def test_sizes_take_parts_of_the_training_set(make_study: MakeStudy, tmp_path: Path):
    study = make_study(arms=["zero_shot", "lora"], sizes=[4, 8])
    planned = study.plan(device="cpu", check_lengths=False)
    assert [(run.arm.name, run.size) for run in planned.runs] == [
        ("zero_shot", 4), ("lora", 4), ("zero_shot", 8), ("lora", 8),
    ]  # fmt: skip
    small, large = (examples_of(planned.runs[place]).splits["train"] for place in (1, 3))
    assert len(small) == 4 and len(large) == 8
    assert {example.id for example in small} < {example.id for example in large}
    # Whoever does not look at the training set answers once for all sizes.
    assert planned.runs[0].predict_keys() == planned.runs[2].predict_keys()
    assert planned.runs[0].folder != planned.runs[2].folder
    study.run(tmp_path, device="cpu")
    assert [result.size for result in study.results] == [4, 4, 8, 8]
