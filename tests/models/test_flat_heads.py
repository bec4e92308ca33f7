"""Texts with labels in one flat row: the head says of each what it says of padded ones, and learns the same from it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from luthier.methods.additive.adapter import Adapter
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.flat import first_position, use_flat_attention
from luthier.models.forward import scored_logits
from luthier.models.head import mark_head, train_head
from luthier.models.labelled import Labelled, LabelledBatch, flat_labelled_batch, labelled_batch, labelled_batches
from luthier.objectives.supervised import Supervised
from tests.families import PAD, family_data, family_model, family_rows
from tests.models.decoders import VOCABULARY
from tests.training.small import fit

ENCODERS = ("bert", "roberta", "camembert", "xlm-roberta")
every_encoder = pytest.mark.parametrize("family", ENCODERS)
of_both = pytest.mark.parametrize("kind", ["class", "tags"])


def encoder(family: str, kind: str = "class") -> Any:
    """Two layers of width 32 with a head of three labels, without dropout, ready for flat rows."""
    auto = {
        "class": transformers.AutoModelForSequenceClassification,
        "tags": transformers.AutoModelForTokenClassification,
    }
    config = transformers.AutoConfig.for_model(
        family, vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=130, pad_token_id=PAD, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        num_labels=3, initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = auto[kind].from_config(config).eval()
    mark_head(model, [name for name, _ in model.named_parameters() if "classifier" not in name])
    return model


def texts(kind: str, count: int = 6) -> list[Labelled]:
    rows = [row for row in family_rows("bert", count) if isinstance(row, Labelled)]
    if kind == "class":
        return rows
    stream = random.Random(0)
    tagged = []
    for row in rows:
        places = tuple(place for place in range(1, len(row.ids) - 1) if stream.random() < 0.6)
        tagged.append(replace(row, positions=places, targets=tuple(stream.randrange(3) for _ in places)))
    return tagged


def gradients(model: Any, batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = Supervised().loss(model, batch)
    loss.backward()
    found = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    with torch.no_grad():
        return scored_logits(model, batch), found


@every_encoder
@of_both
def test_logits_and_gradients_are_those_of_padded_rows(family: str, kind: str) -> None:
    model, rows = encoder(family, kind).double(), texts(kind)
    padded, of_padded = gradients(model, labelled_batch(rows, PAD))
    assert use_flat_attention(model) and first_position(model) == (0 if family == "bert" else PAD + 1)
    in_a_row, of_a_row = gradients(model, flat_labelled_batch(rows))
    torch.testing.assert_close(in_a_row, padded, atol=1e-5, rtol=1e-5)
    assert of_a_row.keys() == of_padded.keys() and any("classifier" in name for name in of_a_row)
    for name, gradient in of_a_row.items():
        # A bias of the keys moves all scores of a query alike: its gradient is nothing but rounding.
        scale = 1.0 if name.endswith("key.bias") else float(of_padded[name].abs().max())
        torch.testing.assert_close(gradient, of_padded[name], atol=1e-7 * scale, rtol=1e-6, msg=name)


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize(
    "method", [LoRA(), Adapter(), Adapter(placement="houlsby"), Full()], ids=lambda one: one.label()
)
def test_a_training_in_flat_rows_has_the_same_losses(family: str, method: Method) -> None:
    losses = []
    for flat in (True, False):
        model = family_model(family)
        assert use_flat_attention(model)
        torch.manual_seed(0)
        model = train_head(method.attach(model, None))
        data = family_data(model, family_rows(family, 16))
        data.flat = flat
        assert bool(data.step(0, 0)[0].lengths) == flat
        losses.append(fit(model, data, method, learning_rate=1e-3, steps=4).losses)
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and len(set(losses[0])) == 4


def test_rows_that_are_laid_out_alike_are_answered_each_for_itself() -> None:
    model, rows = encoder("roberta"), texts("class")
    use_flat_attention(model)
    one, other = (flat_labelled_batch(some) for some in (rows, [replace(row, ids=row.ids[::-1]) for row in rows]))
    both = replace(
        one,
        input_ids=torch.cat([one.input_ids, other.input_ids]),
        position_ids=torch.cat([one.position_ids, other.position_ids]),  # type: ignore[list-item]
    )
    with torch.no_grad():
        alone = torch.cat([scored_logits(model, one), scored_logits(model, other)])
        torch.testing.assert_close(scored_logits(model, both), alone, atol=1e-6, rtol=1e-5)


@of_both
def test_flat_batches_hold_every_text_once_up_to_their_limit(kind: str) -> None:
    rows = texts(kind, 12)
    batches = labelled_batches(rows, flat=True, most_tokens=40, pad_id=PAD)
    assert sorted(name for batch in batches for name in batch.example_ids) == sorted(row.example_id for row in rows)
    assert len(batches) > 2 and all(batch.tokens == batch.input_ids.numel() <= 40 for batch in batches)
    assert all(len(batch.targets) == len(batch.scored) for batch in batches)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["distilbert", "electra"])
def test_heads_that_are_not_known_keep_padded_rows(family: str) -> None:
    model = encoder(family)
    assert not use_flat_attention(model)


def test_a_model_that_was_not_switched_is_refused() -> None:
    with pytest.raises(RuntimeError, match="use_flat_attention"):
        scored_logits(encoder("bert"), flat_labelled_batch(texts("class")))
