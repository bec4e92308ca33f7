"""A model as prompting programs see it: requests to predictions in order, room in the context, what was in force."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.core.errors import LuthierError
from luthier.core.types import ChoicePrediction, Message, Progress
from luthier.models.flat import use_flat_attention
from luthier.models.generator import ModelGenerator
from luthier.models.sampling import Sampling
from luthier.models.tokens import Renderer
from luthier.prompting.prompting import Generator, Request
from tests.tiny import SENTENCES, tiny_model

CONTEXT = 96
REQUESTS = [Request(f"example-{number}", (Message("user", text),)) for number, text in enumerate(SENTENCES[:4])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("llama", tmp_path_factory.mktemp("model"), context=CONTEXT)


@pytest.fixture
def model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture
def renderer(folder: Path) -> Renderer:
    return Renderer(AutoTokenizer.from_pretrained(folder), CONTEXT)


def test_it_is_a_generator_and_answers_in_order(model: Any, renderer: Renderer) -> None:
    generator: Generator = ModelGenerator(model, renderer, flat=False)
    sampling = Sampling(max_new_tokens=8, temperature=1.0)
    together = generator.generate(REQUESTS, sampling)
    assert [prediction.example_id for prediction in together] == [request.example_id for request in REQUESTS]
    assert together == [generator.generate([request], sampling)[0] for request in REQUESTS]
    assert [prediction.prompt_tokens for prediction in together] == [
        len(renderer.prompt(request.conversation)) for request in REQUESTS
    ]
    assert all(0 < prediction.generated_tokens <= 8 for prediction in together)
    assert len({prediction.text for prediction in together}) == 4


def test_likelihoods_keep_requests_and_choices_apart(model: Any, renderer: Renderer) -> None:
    choices = [("Yes.", "No."), ("the desk agrees",), ("A longer answer than all others, by far.", "b", "c"), ("Yes.",)]
    predictions = ModelGenerator(model, renderer, flat=False).likelihoods(REQUESTS, choices)
    assert use_flat_attention(model)
    flat = ModelGenerator(model, renderer, flat=True, most_tokens=64).likelihoods(REQUESTS, choices)
    assert [prediction.choices for prediction in predictions] == choices
    for prediction, other, request in zip(predictions, flat, REQUESTS, strict=True):
        assert prediction.example_id == other.example_id == request.example_id
        assert prediction.tokens == other.tokens
        assert other.log_likelihoods == pytest.approx(prediction.log_likelihoods, abs=1e-4)
        for choice, total, count in zip(prediction.choices, prediction.log_likelihoods, prediction.tokens, strict=True):
            encoded = renderer.encode(request.example_id, request.conversation, choice)
            with torch.no_grad():
                logs = model(input_ids=torch.tensor([encoded.ids])).logits[0].log_softmax(-1)
            start, end = encoded.prompt_length, len(encoded.ids)
            assert count == end - start
            assert total == pytest.approx(
                float(sum(logs[place - 1, encoded.ids[place]] for place in range(start, end))), abs=1e-4
            )
            assert total < -count * math.log(320) / 2  # of random weights


def test_what_was_in_force_is_recorded(model: Any, renderer: Renderer) -> None:
    generator = ModelGenerator(model, renderer, flat=False)
    assert generator.record() == {}
    generator.generate(REQUESTS, Sampling(max_new_tokens=4, stop=("x",)))
    record = generator.record()
    assert record["answers_shortened_by_context"] == 0
    assert record["sampling"]["decoding"] == "greedy"
    assert record["sampling"]["max_new_tokens"] == 4
    assert record["sampling"]["stop"] == ["x"]
    assert record["sampling"]["stop_ids"] == [renderer.eos_id]
    generator.generate(REQUESTS, Sampling(max_new_tokens=CONTEXT, temperature=0.5))
    assert generator.record()["answers_shortened_by_context"] == 4
    assert generator.record()["sampling"]["decoding"] == "sampled"


def test_fits_counts_virtual_tokens(model: Any, renderer: Renderer) -> None:
    conversation = REQUESTS[0].conversation
    room = CONTEXT - len(renderer.prompt(conversation))
    generator = ModelGenerator(model, renderer, flat=False)
    assert generator.fits(conversation, room) and not generator.fits(conversation, room + 1)
    soft = peft.get_peft_model(model, peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5))
    generator = ModelGenerator(soft, renderer, flat=False)
    assert generator.fits(conversation, room - 5) and not generator.fits(conversation, room - 4)
    (prediction,) = generator.generate(REQUESTS[:1], Sampling(max_new_tokens=room))
    assert prediction.generated_tokens <= room - 5


def test_a_reference_beyond_the_context_is_refused_by_name(model: Any, renderer: Renderer) -> None:
    generator = ModelGenerator(model, renderer, flat=False)
    with pytest.raises(LuthierError, match="96") as caught:
        generator.likelihoods(REQUESTS[:2], [("short",), ("long " * 60,)])
    assert caught.value.where == "example example-1"


def test_progress_names_run_and_phase(model: Any, renderer: Renderer) -> None:
    heard: list[Progress] = []
    generator = ModelGenerator(model, renderer, flat=False, run="lora-s0", listener=heard.append)
    generator.generate(REQUESTS, Sampling(max_new_tokens=2))
    generator.likelihoods(REQUESTS, [("a", "b")] * 4)
    assert Progress("lora-s0", "generate", 4, 4) in heard
    assert heard[-1] == Progress("lora-s0", "likelihoods", 8, 8)


def test_a_choice_prediction_is_plain_data(model: Any, renderer: Renderer) -> None:
    (prediction,) = ModelGenerator(model, renderer, flat=False).likelihoods(REQUESTS[:1], [("a",)])
    assert isinstance(prediction, ChoicePrediction)
    assert isinstance(prediction.log_likelihoods[0], float) and isinstance(prediction.tokens[0], int)
