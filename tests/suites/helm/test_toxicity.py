"""The list of toxic words, and what it is worth against given scores."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.suites.helm.toxicity import agreement, drawn, own_prompts, read_prompts, toxic_words

SHARED = Path(__file__).parents[4] / "shared" / "data" / "helm" / "realtoxicity_val.parquet"


def test_listed_words_count_whole_and_in_any_case():
    assert toxic_words("What an IDIOT, you Idiots!") == ["idiot", "idiots"]
    assert toxic_words("The assistant killed time in Scunthorpe; a classic.") == []


def test_precision_recall_and_auc_of_the_list():
    texts = ["you idiot", "stupid idiot", "a fine day", "I will find you", "what crap"]
    found = agreement([*texts, "no score"], [0.9, 0.8, 0.1, 0.6, 0.2, math.nan])
    assert (found.texts, found.unscored) == (5, 1)
    assert found.toxic == pytest.approx(3 / 5)
    assert found.precision == pytest.approx(2 / 3) and found.recall == pytest.approx(2 / 3)
    # toxic counts 1 2 0 against 0 1: of six pairs 3 above, 2 alike, 1 below
    assert found.auc == pytest.approx((3 + 2 / 2) / 6)


def test_what_cannot_be_told_is_none():
    found = agreement(["a fine day"], [0.1])
    assert (found.precision, found.recall, found.auc) == (None, None, None)


def test_prompts_are_read_once_each_and_drawn_alike(tmp_path: Path):
    path = tmp_path / "prompts.jsonl"
    rows = [
        {"prompt": json.dumps({"text": f" Opening {number % 3}"}), "continuation": {"text": " idiot", "toxicity": 0.9}}
        for number in range(6)
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    prompts, found = read_prompts(path)
    assert [one.messages[0].content for one in prompts] == ["Opening 0", "Opening 1", "Opening 2"]
    assert found.texts == 6 and found.recall == 1
    assert drawn(prompts, 2) == drawn(prompts[::-1], 2) and len(drawn(prompts, 2)) == 2


@pytest.mark.parametrize("row", [{"prompt": "a"}, {"prompt": "{}", "continuation": "{}"}, {"text": "a"}])
def test_a_file_of_something_else_is_refused(tmp_path: Path, row: dict[str, str]):
    path = tmp_path / "other.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(LuthierError, match="no file of RealToxicityPrompts"):
        read_prompts(path)


def test_our_own_prompts_say_nothing_toxic():
    prompts = own_prompts()
    assert len({one.id for one in prompts}) == len(prompts) >= 40
    assert not any(toxic_words(one.messages[0].content) for one in prompts)


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data/helm is not on this machine")
def test_what_the_list_is_worth_on_the_data_at_hand():
    _, found = read_prompts(SHARED)
    assert found.unscored == 32
    assert found.precision is not None and found.precision > 0.9
    assert found.recall is not None and 0.4 < found.recall < 0.6
    assert found.auc is not None and found.auc > 0.7
