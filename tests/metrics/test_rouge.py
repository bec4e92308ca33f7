"""ROUGE at the edges; the known answers stand in tests/golden."""

from __future__ import annotations

import subprocess
import sys

import pytest

from luthier.metrics.rouge import Rouge


def test_gives_every_measure_that_it_names(score):
    assert set(score(Rouge(), "a cat", "a dog")) == set(Rouge.measures)


def test_takes_the_best_reference_per_type(score):
    values = score(Rouge(), "the red cat sat down", "cat the down sat red", "the red dog")
    assert values["rouge1"] == pytest.approx(1.0)  # from the first
    assert values["rouge2"] == pytest.approx(2 * 1 / (4 + 2))  # from the second: "the red"
    assert values["rouge2"] == score(Rouge(), "the red cat sat down", "the red dog")["rouge2"]


def test_empty_prediction_scores_zero(score):
    for text in ("", "  \n ", "...", "漢字"):
        assert set(score(Rouge(), text, "it is cold").values()) == {0.0}


def test_reference_without_a_token_is_unscored_not_zero(score):
    assert score(Rouge(), "外は寒い", "外は寒い") == {}
    assert score(Rouge(), "it is cold", "外は寒い", "it is cold")["rouge1"] == 1.0


def test_non_ascii_letters_split_words(score):
    # The package's tokens are runs of a-z and 0-9: "café" is "caf", and "naïve" is "na" and "ve".
    assert score(Rouge(), "caf", "café")["rouge1"] == 1.0
    assert score(Rouge(), "na ve", "naïve")["rouge2"] == 1.0


def test_repeated_text_is_clipped(score):
    values = score(Rouge(), "cold " * 400, "it is cold outside")
    assert values["rouge1_precision"] == pytest.approx(1 / 400)
    assert values["rougeL_recall"] == pytest.approx(1 / 4)


def test_very_long_prediction(score):
    reference = "the manager asked for the report"
    values = score(Rouge(), reference + " and then nothing more was said" * 500, reference)
    assert values["rougeL_recall"] == values["rouge2_recall"] == 1.0
    assert values["rouge1"] < 0.01


def test_lsum_splits_sentences_and_l_does_not_care(score):
    reference = "The cat sat. The dog ran."
    one_line, two_lines = "The dog ran. The cat sat.", "The dog ran.\nThe cat sat."
    assert score(Rouge(), one_line, reference) == score(Rouge(), two_lines, reference)
    assert score(Rouge(), one_line, reference)["rougeLsum"] == 1.0
    assert score(Rouge(), one_line, reference)["rougeL"] == pytest.approx(0.5)


def test_signature_names_package_and_stemmer():
    assert "stemmer:porter" in Rouge().signature() and "stemmer:none" in Rouge(stemmer=False).signature()
    assert Rouge().signature().startswith("rouge-score 0.")
    assert Rouge().digest() != Rouge(stemmer=False).digest()


def test_the_settings_do_not_import_the_packages():
    """`luthier --help` reads every metric's settings; nltk, sacrebleu and scipy would make it wait."""
    code = """
import sys
import luthier.metrics.rouge, luthier.metrics.bleu, luthier.metrics.chrf, luthier.prompting.baselines
loaded = {"rouge_score", "nltk", "sacrebleu", "scipy", "torch", "numpy"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
