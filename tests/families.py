"""Every family of models that methods answer for, tiny and in memory, with data that it can learn.

model = family_model("bert")                            # two layers of width 64, random weights, the same each time
data = family_data(model, family_rows("bert", 16))      # for `fit` of tests/training/small.py
batch = family_batch(model, family_rows("bert", 4, seed=1))
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from luthier.methods.method import Method
from luthier.models.batch import Batch, padded_batch, pairs_batch
from luthier.models.encoder_decoder import start_id
from luthier.models.families import FAMILIES
from luthier.models.forward import inference, scored_logits
from luthier.models.head import head_parts, mark_head, train_head
from luthier.models.labelled import Labelled, labelled_batch
from luthier.models.tokens import Encoded
from luthier.objectives.supervised import SupervisedData
from tests.models.decoders import VOCABULARY
from tests.training.small import base, sequences

CLASSES = 3
PAD = 1
"""Of the tiny encoders; RoBERTa counts its positions by it."""


def family_model(family: str, seed: int = 0) -> Any:
    """A tiny model of one of `FAMILIES`, in evaluation mode, without dropout; encoders with a head of three classes."""
    return _encoder(family, seed) if FAMILIES[family] == "encoder" else base(family)


def family_rows(family: str, count: int, seed: int = 0) -> Sequence[Encoded | Labelled]:
    """Ragged rows: prompts with answers, or texts whose class is told by which of three tokens stands in them."""
    if FAMILIES[family] != "encoder":
        return sequences(count, seed)
    stream = random.Random(seed)
    rows = []
    for index in range(count):
        text = [stream.randrange(20, VOCABULARY) for _ in range(stream.randrange(3, 21))]
        label = stream.randrange(CLASSES)
        text[stream.randrange(len(text))] = 10 + label
        rows.append(Labelled(f"{seed}-{index}", (2, *text, 3), (label,)))
    return rows


def family_data(model: Any, rows: Sequence[Encoded | Labelled], *, batch_size: int = 8, seed: int = 0) -> Any:
    """Padded training data without a validation set."""
    pad = PAD if head_parts(model) else 0
    return SupervisedData(
        rows, (), batch_size=batch_size, seed=seed, flat=False, most_tokens=4096, pad_id=pad, start_id=start_id(model)
    )


def family_batch(model: Any, rows: Sequence[Encoded | Labelled]) -> Batch:
    """All rows in one padded batch."""
    labelled = [row for row in rows if isinstance(row, Labelled)]
    if labelled:
        return labelled_batch(labelled, PAD)
    encoded = [row for row in rows if isinstance(row, Encoded)]
    start = start_id(model)
    return padded_batch(encoded, pad_id=0) if start is None else pairs_batch(encoded, pad_id=0, start_id=start)


def attach_to(family: str, method: Method, seed: int = 0) -> Any:
    """A fresh model with the method on it, its head trained too, as a run attaches it."""
    model = family_model(family)
    torch.manual_seed(seed)
    return train_head(method.attach(model, None))


def logits(model: Any, rows: Sequence[Encoded | Labelled]) -> torch.Tensor:
    """What the model says of these rows, `(n, vocabulary)` or `(row, class)`."""
    with inference(model):
        return scored_logits(model, family_batch(model, rows)).clone()


def _encoder(family: str, seed: int) -> Any:
    import transformers

    configuration, classifier = {
        "bert": (transformers.BertConfig, transformers.BertForSequenceClassification),
        "roberta": (transformers.RobertaConfig, transformers.RobertaForSequenceClassification),
    }[family]
    config = configuration(
        vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=130, pad_token_id=PAD, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        num_labels=CLASSES, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = classifier(config).eval()
    stored = [name for name, _ in model.named_parameters() if not name.startswith("classifier")]
    mark_head(model, [name for name in stored if "pooler" not in name])
    return model
