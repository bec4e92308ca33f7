"""A toy pretraining, whole: two sources of some kilobytes, a few dozen steps, and what it leaves behind."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.models.load import find_model, load_model
from luthier.pretrain import bits_per_byte, pretrain
from luthier.pretrain_file import PretrainSpec
from luthier.tasks.corpus import read_source
from tests.tiny import SENTENCES
from tests.training.small import ALWAYS, InterruptionError

WORDS = [word for sentence in SENTENCES for word in sentence.split()]
STEPS = 40


def documents(kind: str, count: int) -> list[str]:
    stream = random.Random(kind)
    return [
        f"{kind} {index}. " + " ".join(stream.choice(WORDS) for _ in range(stream.randrange(20, 60)))
        for index in range(count)
    ]


def study(folder: Path, **changes: Any) -> PretrainSpec:
    sources = {}
    for kind, weight in (("letters", 1.0), ("reports", 2.0)):
        path = folder / f"{kind}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents(kind, 30)), encoding="utf-8")
        sources[kind] = {
            "data": str(path), "text": "{{ text }}", "weight": weight, "licence": "none", "held_out_bytes": 700
        }  # fmt: skip
    data = {
        "name": "toy",
        "sources": sources,
        "tokens": STEPS * 4 * 32,
        "architecture": {
            "d_model": 32, "layers": 2, "heads": 2, "key_value_heads": 1, "d_feed_forward": 48,
            "vocabulary": 420, "context": 32,
        },
        "short_context": 8,
        "short_share": 0.5,
        "training": {
            "batch_size": 4, "micro_batch_tokens": 64, "optimizer": "muon", "learning_rate": 0.01,
            "schedule": "warmup_stable_decay", "warmup": 0.05, "validations": 2, "precision": "fp32",
            "checkpoint_minutes": ALWAYS,
        },
    } | changes  # fmt: skip
    return read(PretrainSpec, data, where="toy.yaml")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> PretrainSpec:
    return study(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def out(spec: PretrainSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("toy")
    assert pretrain(spec, folder, threads=1) == folder / "model"
    return folder


@pytest.fixture(scope="module")
def evaluation(out: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((out / "evaluation.json").read_text())
    return read


def log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]


def test_the_loss_falls(out: Path) -> None:
    losses = [line["loss"] for line in log(out) if "loss" in line]
    assert len(losses) == STEPS
    assert losses[0] == pytest.approx(math.log(420), abs=0.5)
    assert sum(losses[-5:]) / 5 < losses[0] - 1.5
    validations = [line["validation_loss"] for line in log(out) if "validation_loss" in line]
    assert len(validations) == 2 and validations[1] < validations[0] < losses[0]


def test_what_it_leaves_is_a_model_like_any_other(out: Path) -> None:
    files = find_model(str(out / "model"))
    model, tokenizer = load_model(files), AutoTokenizer.from_pretrained(out / "model")
    assert files.context == 32 and files.kind == "decoder"
    assert model.config.tie_word_embeddings
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (1, 2, 0)
    ids = tokenizer("letters 3. The dog", return_tensors="pt")["input_ids"]
    assert torch.isfinite(model(input_ids=ids).logits).all()
    assert {value.dtype for value in load_file(out / "model" / "model.safetensors").values()} == {torch.bfloat16}


def test_what_it_says_of_itself(out: Path, spec: PretrainSpec, evaluation: dict[str, Any]) -> None:
    model = AutoModelForCausalLM.from_pretrained(out / "model")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert evaluation["parameters"] == parameters
    assert evaluation["steps"] == STEPS
    assert evaluation["tokens"] == spec.tokens
    assert evaluation["flops"] == 6 * parameters * spec.tokens
    assert evaluation["validation_loss"] == log(out)[-1]["validation_loss"]
    assert read(PretrainSpec, evaluation["spec"], where="evaluation.json") == spec
    assert set(evaluation["bits_per_byte"]) == {"letters", "reports"}


def test_held_out_documents_are_not_in_the_training_tokens(out: Path, spec: PretrainSpec) -> None:
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    for name, settings in spec.sources.items():
        source = read_source(name, settings)
        trained = tokenizer.decode(np.load(out / "tokens" / f"{name}.train.npy"), clean_up_tokenization_spaces=False)
        held_out = tokenizer.decode(
            np.load(out / "tokens" / f"{name}.held-out.npy"), clean_up_tokenization_spaces=False
        )
        assert trained == "".join(f"<|bos|>{text}<|eos|>" for text in source.train)
        assert held_out == "".join(f"<|bos|>{text}<|eos|>" for text in source.held_out)
        assert len(source.held_out) > 2
        assert not any(text in trained for text in source.held_out)
        assert (out / "tokens" / f"{name}.held-out.txt").read_text() == "\n".join(source.held_out)


def test_a_finished_pretraining_is_not_done_again(out: Path, spec: PretrainSpec) -> None:
    told: list[str] = []
    assert pretrain(spec, out, threads=1, notify=lambda phase, *_: told.append(phase)) == out / "model"
    assert told == []


def test_resuming_gives_the_same_model(out: Path, spec: PretrainSpec, tmp_path: Path) -> None:
    def interrupt_at(step: int) -> Any:
        def notify(phase: str, at: int, total: int, values: Any) -> None:
            if phase == "train" and at == step:
                raise InterruptionError

        return notify

    for step in (3, 23):  # among the short rows, and among the long ones after half of the steps
        with pytest.raises(InterruptionError):
            pretrain(spec, tmp_path, threads=1, notify=interrupt_at(step))
    pretrain(spec, tmp_path, threads=1)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (out / "model" / "model.safetensors").read_bytes()
    assert [line.get("loss") for line in log(tmp_path)] == [line.get("loss") for line in log(out)]


@pytest.fixture(scope="module")
def loaded(out: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(out / "model", dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(out / "model")


class TestBitsPerByte:
    def plain(self, loaded: tuple[Any, Any], texts: list[str], context: int) -> float:
        """Token by token: each is foretold from the window that the docstring says it stands in."""
        model, tokenizer = loaded
        bits = size = 0.0
        for text in texts:
            ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
            size += len(text.encode())
            for at in range(1, len(ids)):
                half = context // 2
                start = 0 if at < context else (at - context) // (context - half) * (context - half) + (context - half)
                with torch.no_grad():
                    logits = model(input_ids=torch.tensor([ids[start:at]])).logits[0, -1]
                bits -= float(logits.log_softmax(-1)[ids[at]]) / math.log(2)
        return bits / size

    @pytest.mark.parametrize("context", [32, 16])
    def test_equals_a_plain_computation(self, loaded: tuple[Any, Any], context: int) -> None:
        texts = ["A dog.", documents("letters", 1)[0], "Grüße \U0001f600"]
        assert bits_per_byte(*loaded, texts, context) == pytest.approx(self.plain(loaded, texts, context), rel=1e-5)

    def test_is_what_the_evaluation_says(
        self, loaded: tuple[Any, Any], spec: PretrainSpec, evaluation: dict[str, Any]
    ) -> None:
        source = read_source("letters", spec.sources["letters"])
        found = bits_per_byte(*loaded, source.held_out, 32)
        assert evaluation["bits_per_byte"]["letters"] == pytest.approx(found, rel=1e-6)
        assert 1 < found < 8


@pytest.mark.slow  # each process imports torch
def test_two_processes_take_the_steps_of_one(out: Path, spec: PretrainSpec, tmp_path: Path) -> None:
    pretrain(spec, tmp_path, processes=2, threads=1)
    for one, two in zip(log(out), log(tmp_path), strict=True):
        assert one.keys() == two.keys() and one["step"] == two["step"] and one.get("tokens") == two.get("tokens")
        assert [two[key] for key in one if "loss" in key] == pytest.approx(
            [one[key] for key in one if "loss" in key], abs=2e-3
        )
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in out.iterdir()}


class TestMistakes:
    def test_short_rows_longer_than_the_context(self, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="short_context"):
            study(tmp_path, short_context=64)
        assert study(tmp_path, short_context=64, short_share=0.0).short_context == 64

    def test_more_tokens_than_two_bytes_hold(self, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="vocabulary"):
            study(tmp_path, architecture={"vocabulary": 70_000})

    def test_a_source_shorter_than_a_row(self, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="less than one row") as caught:
            pretrain(study(tmp_path, architecture={"vocabulary": 420, "context": 4096}), tmp_path / "out", threads=1)
        assert caught.value.where == "sources.letters"
