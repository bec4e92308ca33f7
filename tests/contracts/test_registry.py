"""One suite over everything that a study file can name."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from luthier import registry as registered
from luthier.core.errors import LuthierError
from luthier.core.settings import Named, read
from luthier.core.types import (
    ChoicePrediction,
    ClassPrediction,
    Example,
    Message,
    Prediction,
    TagsPrediction,
    TextPrediction,
)
from luthier.metrics.metric import Embedded, Metric
from luthier.models.sampling import Sampling
from luthier.prompting.prompting import Conversation, Prompting, Request
from luthier.registry import METRICS, PROMPTINGS, registry
from luthier.study_file import StudySpec

UNIONS: dict[str, Any] = {
    "method": registered.AnyMethod,
    "prompting": registered.AnyPrompting,
    "objective": registered.AnyObjective,
    "regulariser": registered.AnyRegulariser,
    "metric": registered.AnyMetric,
}
ENTRIES = [(kind, cls) for kind, classes in registry().items() for cls in classes]
every_entry = pytest.mark.parametrize(
    ("kind", "cls"), ENTRIES, ids=[f"{kind}-{cls.name}" for kind, cls in ENTRIES]
)  # fmt: skip


def changed(cls: type[Named]) -> dict[str, Any]:
    """Another value for every number and switch of an entry, one step from its default."""
    other: dict[str, Any] = {}
    for name, field in cls.model_fields.items():
        if isinstance(field.default, bool):
            other[name] = not field.default
        elif isinstance(field.default, int):
            other[name] = field.default + 1
        elif isinstance(field.default, float):
            other[name] = field.default + 0.125
    return other


@pytest.mark.parametrize("kind", UNIONS)
def test_names_are_words_and_unique(kind: str) -> None:
    names = [cls.name for cls in registry()[kind]]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name == name.lower() for name in names)


def test_a_word_is_a_method_or_a_prompting_never_both() -> None:
    """An arm may be one word: it must be clear which axis it names."""
    assert not {cls.name for cls in registry()["method"]} & {cls.name for cls in registry()["prompting"]}


@every_entry
def test_is_documented(kind: str, cls: type[Named]) -> None:
    assert cls.__dict__.get("__doc__", "").strip()
    assert (sys.modules[cls.__module__].__doc__ or "").strip()
    described = cls.descriptions()
    for name, field in cls.model_fields.items():
        assert described.get(name), f"{cls.name}.{name} has no docstring"
        assert not field.is_required(), f"{cls.name}.{name}: a bare word must do"


@every_entry
@pytest.mark.parametrize("given", ["defaults", "changed"])
def test_goes_through_yaml_and_back(kind: str, cls: type[Named], given: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(UNIONS[kind])
    value = cls(**({} if given == "defaults" else changed(cls)))
    text = yaml.safe_dump(adapter.dump_python(value, mode="json"))
    again = adapter.validate_python(yaml.safe_load(text))
    assert type(again) is cls and again == value
    assert again.digest() == value.digest()
    if changed(cls):
        assert (value.digest() == cls().digest()) == (given == "defaults")


@every_entry
def test_its_word_alone_is_enough(kind: str, cls: type[Named]) -> None:
    assert TypeAdapter(UNIONS[kind]).validate_python(cls.name) == cls()
    assert cls().label() == cls.name


@every_entry
def test_an_unknown_key_is_refused(kind: str, cls: type[Named]) -> None:
    with pytest.raises(LuthierError, match="no such key"):
        read(cls, {"no_key_of_mine": 1}, where="study.yaml")


PLAIN = """
import json, sys
from luthier.registry import registry
digests = {f"{kind}.{cls.name}": cls().digest() for kind, classes in registry().items() for cls in classes}
heavy = [name for name in ("torch", "transformers", "peft", "datasets", "matplotlib", "pandas") if name in sys.modules]
print(json.dumps({"digests": digests, "heavy": heavy}))
"""


def test_settings_need_no_torch_and_digests_are_the_same_in_every_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    said = json.loads(done.stdout)
    assert said["heavy"] == []
    assert said["digests"] == {f"{kind}.{cls.name}": cls().digest() for kind, cls in ENTRIES}
    assert len(set(said["digests"].values())) == len(ENTRIES)


def test_the_schema_lists_every_name() -> None:
    text = json.dumps(StudySpec.model_json_schema())
    assert all(f'"{cls.name}"' in text for _, cls in ENTRIES)


ODD_TEXTS = (
    "",
    " \n\t",
    "the",
    "...",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "日本語のテキスト",
    "שלום",
    "a\u0000b",
    "é e\u0301",
    "x" * 3000,
)
"""Empty, blank, an article, punctuation, emoji, Japanese, Hebrew, a null, two ways to write an accent, no spaces."""


def example(references: tuple[str, ...], **values: Any) -> Example:
    """One that every metric can judge: its references are its choices, and the first one's words are tagged."""
    tags = tagged(references[0])
    given = {"choices": references, "words": tags, "tags": tags, **values}
    return Example("0" * 16, (Message("user", "Say it."),), references, **given)


def tagged(reference: str, of: str = "") -> tuple[str, ...]:
    """A tag for each word of the reference, and one at least: the word itself, or the other text's in its place."""
    said = of.split()
    return tuple(f"B-{said[at] if at < len(said) else word}" for at, word in enumerate(reference.split() or ["none"]))


def predictions(metric: Metric, text: str, references: tuple[str, ...]) -> list[Prediction]:
    # Where all that is rated is right, nothing was chosen: metrics of the whole set judge what was.
    rated = references if metric.measures else (*references, "Nothing at all.")
    tokens = tuple(1 + len(one) for one in rated)
    made: dict[str, Prediction] = {
        "text": TextPrediction("0" * 16, text),
        "choices": ChoicePrediction("0" * 16, rated, tuple(-1.5 * count for count in tokens), tokens),
        "class": ClassPrediction("0" * 16, 0, tuple(-1.5 * count for count in tokens), references[0]),
        "tags": TagsPrediction("0" * 16, tagged(references[0], of=text)),
    }
    return [made[kind] for kind in metric.kinds]


def toy_embed(texts: Sequence[str]) -> list[Embedded]:
    """What stands in for an encoder: every word is a token, and tokens are alike where they are the same word."""
    known = {word: place for place, word in enumerate(dict.fromkeys(" ".join(texts).split()))}
    ids = [tuple(known[word] for word in text.split()) for text in texts]
    return [Embedded(of, np.eye(len(known), dtype=np.float32)[list(of)]) for of in ids]


def measured(metric: Metric, prediction: Prediction, seen: Example) -> Mapping[str, float]:
    """What the metric gives one prediction, as `evaluate.score` asks it."""
    (values,) = metric.score_all([prediction], [seen], toy_embed if metric.encoder else None)
    return values


def answers(metric: Metric, said: Sequence[str], choices: tuple[str, ...]) -> list[Prediction]:
    """What a metric that only a whole test set has is given: texts, or the likelihoods of choices."""
    if "text" in metric.kinds:
        return [TextPrediction("0" * 16, text) for text in said]
    tokens = (10,) * len(choices)
    return [
        ChoicePrediction("0" * 16, choices, tuple(-1.0 if one == text else -50.0 for one in choices), tokens)
        for text in said
    ]


@pytest.mark.parametrize("cls", METRICS, ids=lambda cls: cls.name)
class TestMetric:
    def test_gives_what_it_declares(self, cls: type[Metric]) -> None:
        metric, references = cls(), ("A cat sat on 2 mats.", "A cat, 1 mat.")
        for prediction in predictions(metric, "The cat sat on the 3 mats.", references):
            values = measured(metric, prediction, example(references))
            assert set(values) == set(metric.measures)
            assert all(isinstance(value, float) for value in values.values())
            if not metric.measures:
                whole = metric.corpus([prediction], [example(references)])
                assert set(whole) == set(metric.of_the_whole) != set()
        assert metric.kinds and metric.signature()

    def test_a_perfect_answer_is_better_than_a_wrong_one(self, cls: type[Metric]) -> None:
        """The wrong one repeats itself, for metrics that look at nothing else."""
        metric, reference = cls(), "Anna and Ben meet at the station at 9."
        other = "Nobody knows 7, nobody knows 7, nobody knows 7."
        made: tuple[Prediction, ...]
        if "text" in metric.kinds:
            made = (TextPrediction("0" * 16, reference), TextPrediction("0" * 16, other))
        elif "tags" in metric.kinds:
            made = (TagsPrediction("0" * 16, tagged(reference)), TagsPrediction("0" * 16, tagged(reference, of=other)))
        else:
            made = tuple(ChoicePrediction("0" * 16, (reference,), (nats,), (10,)) for nats in (-1.0, -50.0))
        if metric.measures:
            good, bad = (measured(metric, one, example((reference,)))[metric.measures[0]] for one in made)
        else:
            # Two classes each said once: a correlation needs both to be told.
            rows = [example((text,), choices=(reference, other)) for text in (reference, other)]
            good, bad = (
                metric.corpus(answers(metric, said, (reference, other)), rows)[metric.of_the_whole[0]]
                for said in ((reference, other), (other, reference))
            )
        assert good != bad and (good > bad) == metric.higher_is_better

    @pytest.mark.parametrize("reference", ODD_TEXTS, ids=ascii)
    def test_takes_any_text(self, cls: type[Metric], reference: str) -> None:
        metric, seen = cls(), example((reference,))
        for text in (*ODD_TEXTS, "The cat."):
            for prediction in predictions(metric, text, (reference,)):
                values = measured(metric, prediction, seen)
                assert set(values) <= set(metric.measures)
                low_is_good = not metric.higher_is_better
                assert all(value >= 0 and (low_is_good or value <= 1 + 1e-9) for value in values.values())
                assert all(not math.isnan(value) for value in metric.corpus([prediction], [seen]).values())

    def test_a_corpus_of_nothing_is_nothing(self, cls: type[Metric]) -> None:
        assert not cls().corpus([], [])


TRAIN = tuple(
    Example(
        f"{index:016x}",
        (Message("user", f"Question {index}?"),),
        (("yes", "no")[index % 2],),
        source=f"Line one of {index}.\nLine two.\nLine three.\nLine four.",
    )
    for index in range(6)
)
TEST = tuple(
    Example(f"{index:016x}", (Message("user", f"{text} What?"),), ("yes",), source=f"{text}\nand more")
    for index, text in enumerate(("Plain.", "日本語", "\U0001f600", "x" * 500), start=100)
)


class FakeGenerator:
    """Answers every request, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[TextPrediction]:
        self.asked += requests
        return [TextPrediction(request.example_id, f"answer {request.example_id}") for request in requests]

    def likelihoods(self, requests: Sequence[Request], choices: Sequence[tuple[str, ...]]) -> list[ChoicePrediction]:
        self.asked += requests
        return [
            ChoicePrediction(request.example_id, texts, (-1.0,) * len(texts), (1,) * len(texts))
            for request, texts in zip(requests, choices, strict=True)
        ]

    def fits(self, conversation: Conversation, answer_tokens: int, answers: Sequence[str] = ()) -> bool:
        return True


@pytest.mark.parametrize("cls", PROMPTINGS, ids=lambda cls: cls.name)
class TestPrompting:
    def test_predicts_every_example_in_every_kind_that_it_can(self, cls: type[Prompting]) -> None:
        generator = FakeGenerator()
        program = cls().program(TRAIN, seed=0)
        made = program.predict(TEST, generator if cls.needs_model else None, Sampling(), ("text", "choices"))
        texts = [prediction for prediction in made if isinstance(prediction, TextPrediction)]
        assert [prediction.example_id for prediction in texts] == [one.id for one in TEST]
        choices = [prediction for prediction in made if isinstance(prediction, ChoicePrediction)]
        assert len(texts) + len(choices) == len(made)
        if cls.needs_model:
            assert [prediction.example_id for prediction in choices] == [one.id for one in TEST]
            assert [prediction.choices for prediction in choices] == [one.references for one in TEST]
        assert bool(generator.asked) == cls.needs_model
        json.dumps(program.record())

    def test_asks_the_question_last_and_never_tells_the_answer(self, cls: type[Prompting]) -> None:
        program = cls().program(TRAIN, seed=0)
        for one in TEST:
            conversation = program.conversation(one, lambda _: True)
            assert conversation[-1] == one.messages[-1]
            assert conversation[-1].role == "user"

    def test_is_the_same_with_the_same_seed_whatever_came_before(self, cls: type[Prompting]) -> None:
        first, second = (cls().program(TRAIN, seed=3) for _ in range(2))
        for one in reversed(TEST):
            second.conversation(one, lambda _: True)
        for one in TEST:
            assert first.conversation(one, lambda _: True) == second.conversation(one, lambda _: True)

    def test_where_nothing_fits_the_bare_question_is_asked(self, cls: type[Prompting]) -> None:
        program = cls().program(TRAIN, seed=0)
        assert program.conversation(TEST[0], lambda _: False) == TEST[0].messages

    def test_the_seed_matters_only_where_it_says_so(self, cls: type[Prompting]) -> None:
        drawn = {str(cls().program(TRAIN, seed=seed).conversation(TEST[0], lambda _: True)) for seed in range(6)}
        assert (len(drawn) > 1) == cls.seeded
