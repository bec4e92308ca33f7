"""Studies of encoder-decoders, from the file to the report: every arm, retention, resuming, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import ChoicePrediction
from luthier.models.generator import ModelGenerator
from luthier.models.load import find_model, load_model, load_tokenizer
from luthier.models.tokens import Renderer
from luthier.retention import halves, texts_measured
from luthier.study import Study
from tests.small_study import everything_in, scores, steps
from tests.tiny import ENCODER_DECODERS, tiny_model

MakeStudy = Callable[..., Study]
ARMS = ["zero_shot", "few_shot", {"prompt_tuning": {"virtual_tokens": 4}}, "lora", "adapter", "full"]


def first_alone(families: Sequence[str]) -> list[Any]:
    """The first of these families in the quick tests, all of them in the whole."""
    return [pytest.param(name, marks=[pytest.mark.slow] if place else []) for place, name in enumerate(families)]


@pytest.fixture(scope="module", params=first_alone(ENCODER_DECODERS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch.set_num_threads(1)
    return tiny_model(request.param, tmp_path_factory.mktemp("tiny") / request.param)


def finished(study: Study, out: Path) -> Store:
    study.run(out, device="cpu")
    assert all(result.status == "finished" for result in study.results), [r.error for r in study.results]
    return Store(out)


def test_every_arm_runs_to_the_report(make_study: MakeStudy, model: Path, tmp_path: Path):
    study = make_study(models=[str(model)], arms=ARMS, controls=True, forgetting=True)
    store = finished(study, tmp_path)
    by_arm = {result.arm: result for result in study.results}
    assert list(by_arm)[:6] == ["zero_shot", "few_shot", "prompt_tuning", "lora", "adapter", "full"]
    assert any(name.endswith("from random weights") for name in by_arm)
    assert all(math.isfinite(result.scores["nll"]) for name, result in by_arm.items() if name != "nearest")
    assert by_arm["full"].scores["nll"] < by_arm["zero_shot"].scores["nll"]  # two steps suffice to see it
    assert len({by_arm[name].scores["nll"] for name in list(by_arm)[:6]}) == 6
    (kept,) = store.study()["retain"]
    assert kept["name"] == "generated prose" and "its second half, given the first" in kept["what"]
    page = study.report().read_text(encoding="utf-8")
    assert "an encoder-decoder writes nothing from nothing" in page and "base samples" not in page


def test_what_is_done_is_not_done_again(make_study: MakeStudy, model: Path, tmp_path: Path):
    study = make_study(models=[str(model)], arms=["few_shot", "lora"])
    before = scores(finished(study, tmp_path))
    files = everything_in(tmp_path / "train") | everything_in(tmp_path / "predict")
    again = make_study(models=[str(model)], arms=["few_shot", "lora"])
    assert scores(finished(again, tmp_path)) == before
    assert everything_in(tmp_path / "train") | everything_in(tmp_path / "predict") == files


def test_an_interrupted_training_goes_on_to_the_same_weights(
    make_study: MakeStudy, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The process ends after the third of six steps, each of which leaves a checkpoint (T5's dropout draws go on)."""
    from luthier.training import loop

    training = {"steps": 6, "batch_size": 4, "validations": 1, "checkpoint_minutes": 1e-9}
    arms = ["lora"]
    whole = finished(make_study(models=[str(model)], arms=arms, training=training), tmp_path / "whole")

    class ProcessEndedError(BaseException):
        pass

    kept = loop.save_checkpoint

    def end_after(folder: Path, model: Any, optimizers: Any, state: dict[str, Any], **name: Any) -> None:
        kept(folder, model, optimizers, state, **name)
        if state["step"] == 3:
            raise ProcessEndedError

    monkeypatch.setattr(loop, "save_checkpoint", end_after)
    with pytest.raises(ProcessEndedError):
        make_study(models=[str(model)], arms=arms, training=training).run(tmp_path / "cut", device="cpu")
    monkeypatch.setattr(loop, "save_checkpoint", kept)
    cut = finished(make_study(models=[str(model)], arms=arms, training=training), tmp_path / "cut")
    weights = [next((store.root / "train").rglob("adapter_model.safetensors")).read_bytes() for store in (whole, cut)]
    assert weights[0] == weights[1]
    assert scores(whole) == scores(cut)


def test_retention_is_the_second_half_given_the_first(make_study: MakeStudy, model: Path, tmp_path: Path):
    study = make_study(models=[str(model)], arms=["full"], forgetting=True)
    store = finished(study, tmp_path)
    (run,) = (store.run(name) for name in store.study()["runs"])
    rows = run.retained()
    assert {row["task"] for row in rows} == {"generated prose"} and len(rows) == 32
    assert all(row["before"] != row["after"] and math.isfinite(row["after"]) for row in rows)
    assert not (store.root / "sample").exists()
    # Two kinds of prediction, and the texts before and after.
    assert len(steps(store, "predict")) == 2 + 2


def test_a_half_is_scored_without_an_end(model: Path):
    import torch

    files = find_model(str(model))
    network, tokenizer = load_model(files), load_tokenizer(files)
    renderer = Renderer(tokenizer, files.context, pairs=True)
    (given,) = ModelGenerator(network, renderer, flat=False).documents(["a"], ["at the wall."], ["The cats sleep"])
    assert isinstance(given, ChoicePrediction) and given.choices == ("at the wall.",)
    read, written = tokenizer("The cats sleep").input_ids, tokenizer("at the wall.").input_ids[:-1]
    start = network.config.decoder_start_token_id
    with torch.no_grad():
        logits = network(
            input_ids=torch.tensor([read]), decoder_input_ids=torch.tensor([[start, *written[:-1]]])
        ).logits
    expected = logits.log_softmax(-1)[0].gather(1, torch.tensor(written)[:, None]).sum()
    assert given.tokens == (len(written),)
    assert given.log_likelihoods[0] == pytest.approx(float(expected), abs=1e-4)


def test_halves():
    assert halves("one two three four") == ("one two", "three four")
    assert halves("alone") == ("", "alone")
    text = "It was late.\n\nNobody came to the door that evening."
    before, after = halves(text)
    assert (before + after).replace(" ", "").replace("\n", "") == text.replace(" ", "").replace("\n", "")
    assert abs(len(before) - len(after)) < 12


def test_what_is_measured_depends_on_the_kinds():
    assert [name for name, _ in texts_measured(["decoder"])] == ["base samples", "generated prose"]
    assert "encoder" not in " ".join(what for _, what in texts_measured(["decoder"]))
    both = dict(texts_measured(["decoder", "encoder-decoder"]))
    assert "no text is sampled from one" in both["base samples"] and "second half" in both["generated prose"]


@pytest.mark.slow
def test_a_decoder_beside_it(make_study: MakeStudy, model: Path, decoder: Path, tmp_path: Path):
    study = make_study(models=[str(decoder), str(model)], arms=["zero_shot", "lora"], forgetting=True)
    store = finished(study, tmp_path)
    kept = {
        (run.result().model, row["task"])
        for name in store.study()["runs"]
        for run in [store.run(name)]
        for row in run.retained()
    }  # type: ignore[union-attr]
    assert kept == {
        (str(decoder), "base samples"), (str(decoder), "generated prose"), (str(model), "generated prose"),
    }  # fmt: skip
    assert study.report().is_file()


class TestLengths:
    """A BART with 96 positions for its encoder and 96 for its decoder; a T5, which has no limit."""

    def test_rows_that_are_too_long_for_the_encoder_are_named(
        self, make_study: MakeStudy, long_rows: Path, tmp_path: Path
    ):
        files = {split: str(long_rows / f"{split}.jsonl") for split in ("train", "validation", "test")}
        short = tiny_model("bart", tmp_path / "bart", context=96)
        with pytest.raises(LuthierError, match="2 rows of task meetings are longer than the context"):
            make_study(models=[str(short)], task={"data": files}).plan(device="cpu")
        endless = tiny_model("t5", tmp_path / "t5")
        assert make_study(models=[str(endless)], task={"data": files}).plan(device="cpu").runs

    def test_virtual_tokens_count_on_the_encoders_side_alone(self, make_study: MakeStudy, tmp_path: Path):
        short = str(tiny_model("bart", tmp_path / "bart", context=96))
        reference = {"reference": "{{ dialogue }}"}  # as long as a prompt: together they would not fit

        def planned(virtual: int) -> Any:
            arms = [{"prompt_tuning": {"virtual_tokens": virtual}}]
            return make_study(models=[short], arms=arms, task=reference).plan(device="cpu")

        assert planned(1).runs
        with pytest.raises(LuthierError, match="longer than the context"):
            planned(40)
