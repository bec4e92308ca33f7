"""The words of the flow: frozen, and back from disk as they went."""

from __future__ import annotations

import dataclasses
import json

import pytest
from pydantic import ValidationError

from luthier.core.types import (
    ChoicePrediction,
    ClassPrediction,
    Cost,
    Example,
    Message,
    Prediction,
    Result,
    TagsPrediction,
    TextPrediction,
    prediction_from_json,
    prediction_to_json,
)

PREDICTIONS: list[Prediction] = [
    TextPrediction("a1", "Grüße\nund Küsse", finish="length", prompt_tokens=12, generated_tokens=3),
    ChoicePrediction("a1", ("yes", "no"), (-0.5, -1.25), (1, 2)),
    ClassPrediction("a1", 2, (-2.0, -1.0, -0.5)),
    TagsPrediction("a1", ("O", "B-PER")),
]


@pytest.mark.parametrize("prediction", PREDICTIONS, ids=lambda prediction: prediction.kind)
def test_predictions_come_back_from_json_as_they_went(prediction: Prediction):
    line = json.dumps(prediction_to_json(prediction))
    assert prediction_from_json(json.loads(line)) == prediction


def test_a_prediction_of_an_unknown_kind_is_refused():
    with pytest.raises(KeyError, match="picture"):
        prediction_from_json({"kind": "picture", "example_id": "a1"})


def test_the_first_reference_is_the_one_trained_on():
    example = Example("a1", (Message("user", "2 + 2?"),), ("4", "four"))
    assert example.reference == "4"


@pytest.mark.parametrize("value", [Message("user", "hello"), *PREDICTIONS], ids=lambda value: type(value).__name__)
def test_values_are_frozen_and_hashable(value: Message | Prediction):
    first_field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, first_field, "changed")
    assert hash(value) == hash(dataclasses.replace(value))


def _result(**changes: object) -> Result:
    values: dict[str, object] = {
        "arm": "lora",
        "model": "house/decoder",
        "task": "support_desk",
        "seed": 0,
        "digest": "0" * 16,
        "prompting": "zero_shot",
        "method": "lora",
        "objective": "supervised",
        "status": "finished",
    }
    return Result.model_validate(values | changes)


def test_a_result_comes_back_from_json_as_it_went():
    result = _result(
        scores={"rougeL": 0.25},
        cost=Cost(trainable_parameters=4608, train_seconds=1.5),
        effective={"learning_rate": 1e-4},
        warnings=["did not learn"],
    )
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_a_result_is_finished_or_failed_and_nothing_else():
    with pytest.raises(ValidationError, match="status"):
        _result(status="running")


def test_results_do_not_share_their_defaults():
    first, second = _result(), _result()
    first.scores["rougeL"] = 1.0
    assert second.scores == {}
