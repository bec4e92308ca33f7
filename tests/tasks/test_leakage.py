"""What counts as a leak, what does not, and that the answer is the same in every process."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

import pytest

from luthier.core.types import Example, Message
from luthier.tasks.leakage import FEWEST_WORDS, Leakage, find_leaks, tokens_of, words

WORDS = [f"{start}{end}" for start in ("ba", "ke", "li", "mo", "nu", "ro", "sa", "ti") for end in "bcdfghjklmnprst"]
CHARACTERS = [chr(number) for number in range(0x4E00, 0x4E00 + 400)]


def _example(
    text: str, reference: str = "yes", number: int = 0, file: str = "train.jsonl", template: int = 0
) -> Example:
    where, id_ = f"data/{file}:{number + 1}", f"{file}-{number}"
    return Example(id_, (Message("user", text),), (reference,), where=where, template=template)


def _examples(texts: list[str], file: str = "train.jsonl") -> list[Example]:
    return [_example(text, number=number, file=file) for number, text in enumerate(texts)]


def _texts(count: int, length: int, seed: int, words: list[str] = WORDS, between: str = " ") -> list[str]:
    rng = random.Random(seed)
    return [between.join(rng.choices(words, k=length)) for _ in range(count)]


def _changed(text: str, every: int) -> str:
    """Every so many words are others."""
    return " ".join("changed" if number % every == 1 else word for number, word in enumerate(text.split()))


def _check(train: list[str], test: list[str]) -> Leakage:
    return find_leaks(_examples(train), {"test": _examples(test, "dev.jsonl")})


def _pairs(leakage: Leakage) -> list[tuple[str, str, bool]]:
    return [(pair.id, pair.train_id, pair.exact) for pair in leakage.pairs]


def test_tokens_leave_out_case_space_and_sentence_punctuation_but_no_sign():
    assert tokens_of('  "Hello",\n she said:  STRASSE!') == tokens_of("hello she said Straße")
    assert tokens_of("I can ' t.") == tokens_of("I can't")
    assert tokens_of("3 + 4") != tokens_of("3 - 4")
    assert tokens_of("It costs 3.5.") == ("it", "costs", "3.5")
    assert tokens_of("我想换卡。") == ("我", "想", "换", "卡")
    assert tokens_of("हिन्दी") != tokens_of("हिन्दु")  # vowel signs are part of the word
    assert tokens_of("???") != tokens_of("!")


def test_an_exact_leak_is_found_whatever_its_reference_and_however_short():
    train = [_example("Is it red?", "yes", 0), _example("Is it blue?", "no", 1), _example("is it RED", "no", 2)]
    held = [_example("is it red ?", "perhaps", 0, "dev.jsonl"), _example("Is it green?", "yes", 1, "dev.jsonl")]
    found = find_leaks(train, {"test": held})
    assert _pairs(found) == [("dev.jsonl-0", "train.jsonl-0", True)]
    assert found.pairs[0].similarity == 1.0 and found.pairs[0].where == "data/dev.jsonl:1"
    assert found.checked == {"test": 2}


def test_a_near_leak_is_found_with_its_nearest_training_row():
    train = _texts(300, 80, seed=0)
    train[7], train[9] = _changed(train[8], 6), _changed(train[8], 12)
    found = _check(train, [train[200], "an unrelated " + _texts(1, 80, seed=1)[0], _changed(train[8], 11)])
    assert _pairs(found) == [("dev.jsonl-0", "train.jsonl-200", True), ("dev.jsonl-2", "train.jsonl-8", False)]
    # 8 of 80 words (numbers 1, 12, .., 78) are others: 2 x 72 / 160.
    assert found.pairs[1].similarity == pytest.approx(0.9)


@pytest.mark.parametrize(("every", "leaks"), [(20, True), (10, True), (4, False), (2, False)])
def test_the_threshold_parts_near_from_far(every: int, leaks: bool):
    train = _texts(100, 80, seed=2)
    assert bool(_check(train, [_changed(train[3], every)]).pairs) is leaks


def test_a_long_instruction_makes_no_two_rows_alike():
    instruction = " ".join(_texts(1, 150, seed=3)) + "\n\n{}\n\n" + " ".join(_texts(1, 20, seed=4))
    train, test = _texts(200, 25, seed=5), _texts(20, 25, seed=6)
    found = _check([instruction.format(text) for text in train], [instruction.format(text) for text in test])
    assert found.pairs == ()
    test[4] = _changed(train[50], 13)
    found = _check([instruction.format(text) for text in train], [instruction.format(text) for text in test])
    assert _pairs(found) == [("dev.jsonl-4", "train.jsonl-50", False)]
    assert found.pairs[0].similarity == pytest.approx(0.92)  # of the 25 words alone, two of them others


def test_short_rows_leak_only_exactly():
    train = [f"How do I change the {word} of my card?" for word in WORDS]
    assert _check(train, ["How can I change the bab of my card?"]).pairs == ()
    long_enough = _texts(50, FEWEST_WORDS, seed=7)
    assert _pairs(_check(long_enough, [_changed(long_enough[0], 19)])) == [("dev.jsonl-0", "train.jsonl-0", False)]
    too_short = _texts(50, FEWEST_WORDS - 1, seed=7)
    assert _check(too_short, [_changed(too_short[0], 18)]).pairs == ()


def test_a_shared_reference_is_no_leak():
    train = [_example(text, "positive", number) for number, text in enumerate(_texts(50, 30, seed=8))]
    test = [_example(text, "positive", number, "dev.jsonl") for number, text in enumerate(_texts(50, 30, seed=9))]
    assert find_leaks(train, {"test": test}).pairs == ()


def test_where_all_rows_have_one_prompt_the_references_are_compared():
    references = _texts(40, 40, seed=10)
    train = [_example("Write a review.", text, number) for number, text in enumerate(references)]
    held = [
        _example("Write a review.", text, number, "dev.jsonl") for number, text in enumerate(_texts(3, 40, seed=11))
    ]
    held[1] = _example("Write a review.", references[5].upper(), 1, "dev.jsonl")
    assert _pairs(find_leaks(train, {"test": held})) == [("dev.jsonl-1", "train.jsonl-5", True)]


def test_templates_are_told_apart():
    prompts = [" ".join(_texts(1, 60, seed=seed)) for seed in range(20, 50)]
    rows = _texts(600, 22, seed=50)
    examples = [
        _example(f"{prompts[number % 30]} {text}", number=number, template=number % 30)
        for number, text in enumerate(rows)
    ]
    assert find_leaks(examples[:500], {"test": examples[500:]}).pairs == ()


def test_text_without_spaces():
    train = _texts(100, 80, seed=12, words=CHARACTERS, between="")
    near = train[5][:40] + "新" + train[5][41:70] + "词" + train[5][71:]
    short = train[6][: 2 * FEWEST_WORDS - 2]
    found = _check([*train, short], [near, train[7] + "。", "新" + short[1:]])
    assert _pairs(found) == [("dev.jsonl-0", "train.jsonl-5", False), ("dev.jsonl-1", "train.jsonl-7", True)]
    assert found.pairs[0].similarity == pytest.approx(78 / 80)


def test_nothing_to_compare_with():
    test = _examples(_texts(3, 30, seed=13), "dev.jsonl")
    assert find_leaks([], {"test": test}) == Leakage({"test": 3}, ())
    assert find_leaks(test, {}) == Leakage({}, ())
    assert find_leaks(test, {"validation": [], "test": []}) == Leakage({"validation": 0, "test": 0}, ())


def test_train_given_as_test_and_many_short_rows_are_quick():
    train = _texts(1000, 100, seed=14)
    short = _texts(10_000, 4, seed=15)
    began = time.process_time()
    found = _check(train, train)
    shorts = _check(short[:9000], short[9000:])
    assert time.process_time() - began < 5
    assert [pair.exact for pair in found.pairs] == [True] * 1000
    assert len(shorts.pairs) == sum(text in set(short[:9000]) for text in short[9000:])


def test_splits_stand_in_their_order_and_as_the_study_keeps_them():
    train = _examples(["one row", "another row"])
    held = {
        "test": _examples(["One row!", "a third"], "dev.jsonl"),
        "validation": _examples(["another  row"], "v.jsonl"),
    }
    found = find_leaks(train, held)
    assert json.loads(json.dumps(found.to_json())) == {
        "checked": {"validation": 1, "test": 2},
        "pairs": [
            {
                "split": "validation",
                "id": "v.jsonl-0",
                "where": "data/v.jsonl:1",
                "train_id": "train.jsonl-1",
                "train_where": "data/train.jsonl:2",
                "similarity": 1.0,
                "exact": True,
            },
            {
                "split": "test",
                "id": "dev.jsonl-0",
                "where": "data/dev.jsonl:1",
                "train_id": "train.jsonl-0",
                "train_where": "data/train.jsonl:1",
                "similarity": 1.0,
                "exact": True,
            },
        ],
    }


def test_words_for_the_terminal():
    train = _texts(300, 80, seed=16)
    test = _examples([train[4], _changed(train[8], 40), *_texts(8, 80, seed=17)], "dev.jsonl")
    validation = _examples([train[9], *_texts(4, 80, seed=18)], "validation.jsonl")
    both = find_leaks(_examples(train), {"validation": validation, "test": test})
    assert words(both, "chats") == (
        "chats: 2 of 10 test and 1 of 5 validation examples stand (almost) in the training set: 2 exactly; "
        "e.g. dev.jsonl:1 ~ train.jsonl:5 (1.00); the report scores with and without them"
    )
    assert words(find_leaks(_examples(train), {"validation": validation}), "chats") == (
        "chats: 1 of 5 validation examples stands (almost) in the training set: 1 exactly; "
        "e.g. validation.jsonl:1 ~ train.jsonl:10 (1.00); settings are chosen with them"
    )
    assert words(find_leaks(_examples(train), {"test": test[2:]}), "chats") is None


@pytest.mark.slow  # a second process imports all anew
def test_the_same_in_every_process():
    program = (
        "import json; from tests.tasks.test_leakage import _texts, _changed, _check; train = _texts(150, 60, seed=19); "
        "print(json.dumps(_check(train, [_changed(text, 9) for text in train[:40]]).to_json()))"
    )
    train = _texts(150, 60, seed=19)
    here = _check(train, [_changed(text, 9) for text in train[:40]])
    there = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(here.pairs) == 40 and json.loads(there.stdout) == here.to_json()
