"""What an encoder makes of texts: in batches as one by one, without special tokens; and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from luthier.core.errors import LuthierError
from luthier.core.types import Example, Message, TextPrediction
from luthier.evaluate import score
from luthier.metrics.bertscore import BertScore
from luthier.metrics.metric import Encoder
from luthier.models.embeddings import check_encoder, embedder
from luthier.models.load import find_model, load_tokenizer
from luthier.plan_encoder import check_encoders_of_metrics
from luthier.study_file import StudySpec
from tests.models.encoders import tiny_encoder

TEXTS = ["The cat sat on the mat.", "cat", "", "There were three cats in the garden, two on the wall.", "cat"]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_batch_reads_each_text_as_if_it_were_alone(family, tmp_path: Path):
    folder = str(tiny_encoder(family, tmp_path / "e", masked=family == "bert"))
    embed = embedder(Encoder(folder, 1))
    together = embed(TEXTS)
    tokenizer = load_tokenizer(find_model(folder))
    for text, found in zip(TEXTS, together, strict=True):
        (alone,) = embed([text])
        assert found.ids == alone.ids == tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        assert found.vectors.shape == (len(found.ids), 64)
        np.testing.assert_allclose(found.vectors, alone.vectors, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    assert together[2].ids == () and together[1].ids == together[4].ids


def test_the_layer_is_the_models_own(tmp_path: Path):
    """Against transformers asked plainly, one text at a time."""
    import torch
    from transformers import AutoModel

    folder = str(tiny_encoder("bert", tmp_path / "e"))
    tokenizer, model = load_tokenizer(find_model(folder)), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = model(**tokenizer(TEXTS[0], return_tensors="pt"), output_hidden_states=True).hidden_states
    for layer, wanted in ((1, 1), (2, 2), (None, 2)):  # of two layers, three quarters are rounded to both
        plain = torch.nn.functional.normalize(states[wanted][0, 1:-1], dim=-1).numpy()
        (found,) = embedder(Encoder(folder, layer))(TEXTS[:1])
        np.testing.assert_allclose(found.vectors, plain, atol=1e-5)


def test_long_texts_are_cut_at_the_context(tmp_path: Path):
    folder = str(tiny_encoder("bert", tmp_path / "e", context=16))
    (found,) = embedder(Encoder(folder, None))(["cat " * 100])
    assert len(found.ids) == 14  # and one special token at each end


def test_what_is_refused(tmp_path: Path):
    folder = str(tiny_encoder("bert", tmp_path / "e"))
    with pytest.raises(LuthierError, match="2 layers, and layer 3"):
        embedder(Encoder(folder, 3))
    with pytest.raises(LuthierError, match="is no encoder") as refused:
        check_encoder(Encoder("house/decoder", None), where="study.yaml")
    assert refused.value.where == "study.yaml"


def test_bertscore_is_handed_its_encoder(tmp_path: Path):
    folder = str(tiny_encoder("bert", tmp_path / "e"))
    examples = [Example(str(row), (Message("user", "?"),), ("The cat sat on the mat.",)) for row in range(2)]
    texts = [TextPrediction("0", "The cat sat on the mat."), TextPrediction("1", "A customer asks for the money.")]
    scores, means = score([BertScore(model=folder)], texts, examples)
    same, other = (one.values["bertscore"] for one in scores)
    assert same == pytest.approx(1.0) and other < 0.99
    assert means["bertscore"] == pytest.approx((same + other) / 2)


def test_a_study_is_refused_before_anything_is_trained():
    task = {"data": "generated/support_desk", "prompt": "{{ dialogue }}", "reference": "{{ summary }}"}
    judged = {"metrics": ["rouge", {"bertscore": {"model": "house/decoder"}}]}
    spec = StudySpec.model_validate({"models": "house/decoder", "tasks": [{**task, **judged}], "arms": ["zero_shot"]})
    with pytest.raises(LuthierError, match="is no encoder") as refused:
        check_encoders_of_metrics(spec)
    assert refused.value.where == "task support_desk, metrics, bertscore, model"
