"""Frozen layers at the bottom are computed once for each sequence, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from luthier.methods.additive.adapter import Adapter
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.selective.head_only import HeadOnly
from luthier.methods.selective.layers import Layers
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models import lower_layers
from luthier.models.anatomy import anatomy_of
from luthier.models.batch import Batch, flat_batch, padded_batch
from luthier.models.flat import is_flat
from luthier.models.forward import inference, scored_logits
from luthier.models.lower_layers import keep_lower_layers
from luthier.models.quick_layers import quicken
from luthier.regularisers.kl import KL
from luthier.regularisers.regulariser import NoRegulariser, Regulariser
from luthier.training import loop
from tests.families import attach_to, family_batch, family_rows
from tests.training.small import (
    ALWAYS,
    Fitted,
    InterruptionError,
    attached,
    differing,
    fit,
    sequences,
    supervised_data,
    weights,
)

UPPER = Layers(count=1)
UPPER_LORA = LoRA(targets=("layers.1.self_attn.q_proj", "layers.1.mlp.down_proj"), dropout=0.3)
DATA = supervised_data(sequences(20), sequences(6, seed=1), most_tokens=128)  # three steps an epoch


class Passes:
    """Counts how often the bottom layer of a model computes."""

    def __init__(self, model: Any, patch: pytest.MonkeyPatch):
        bottom = model.get_submodule(anatomy_of(model).layers[0])
        plain, self.count = type(bottom).forward, 0

        def forward(layer: Any, *args: Any, **named: Any) -> Any:
            self.count += layer is bottom
            return plain(layer, *args, **named)

        patch.setattr(type(bottom), "forward", forward)

    def of(self, model: Any, batch: Batch) -> tuple[int, torch.Tensor, dict[str, torch.Tensor]]:
        """What a training pass took of them, its loss and its gradients."""
        before = self.count
        model.zero_grad(set_to_none=True)
        loss = cross_entropy(scored_logits(model, batch), batch.targets, reduction="sum")
        loss.backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        return self.count - before, loss.detach(), gradients


def kept(model: Any, **settings: Any) -> Any:
    """The layers of a model that are kept, to be asked once a batch has been seen."""
    keep_lower_layers(model, model, **settings)
    return getattr(model, lower_layers._KEPT)


def same(first: Any, second: Any) -> bool:
    return torch.equal(first[1], second[1]) and all(torch.equal(first[2][name], second[2][name]) for name in first[2])


@pytest.mark.parametrize(
    ("family", "method", "frozen"),
    [
        ("llama", UPPER, 1),
        ("mistral", UPPER, 1),
        ("gpt2", UPPER, 1),
        ("gemma", UPPER_LORA, 1),
        ("bloom", UPPER, 1),
        ("bert", UPPER, 1),
        ("roberta", HeadOnly(), 2),
    ],
)
def test_loss_and_gradients_are_those_of_the_plain_pass(
    family: str, method: Method, frozen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = attach_to(family, method).eval()
    rows = family_rows(family, 5)
    batch, other = family_batch(model, rows[:3]), family_batch(model, rows[2:])
    passes = Passes(model, monkeypatch)
    ran, loss, gradients = passes.of(model, batch)
    assert ran == 1
    lower = kept(model)
    with inference(model):  # which ends before what was kept takes part in a backward pass
        scored_logits(model, batch)
    assert len(lower.layers) == frozen
    ran, its_loss, its_gradients = passes.of(model, batch)
    assert ran == 0
    torch.testing.assert_close(its_loss, loss, rtol=1e-5, atol=1e-5)
    assert its_gradients.keys() == gradients.keys()
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())  # that of a key's bias is zero
    for name, gradient in gradients.items():
        atol = 1e-4 * float(gradient.abs().max()) + 1e-6 * largest
        torch.testing.assert_close(its_gradients[name], gradient, rtol=1e-4, atol=atol, msg=name)
    assert passes.of(model, other)[0] == 2  # one of its three has been seen


def test_flat_rows_and_the_head_of_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """All layers are frozen then; the last one, which else is computed where it is scored alone, is kept as a whole."""
    model = attached(HeadOnly())
    assert is_flat(model)
    batch = flat_batch(sequences(3))
    passes = Passes(model, monkeypatch)
    plain = passes.of(model, batch)
    lower = kept(model)
    first, second = passes.of(model, batch), passes.of(model, batch)
    assert len(lower.layers) == 2
    assert second[0] == 0
    assert same(first, second)
    torch.testing.assert_close(second[1], plain[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("room", [0, 20_000, None])
def test_what_is_kept_stays_within_its_room_and_changes_no_bit(
    room: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = attached(UPPER)
    rows = sequences(6)
    passes = Passes(model, monkeypatch)
    lower = kept(model, room=room)
    first = [passes.of(model, flat_batch([row])) for row in rows]
    again = [passes.of(model, flat_batch([row])) for row in rows]
    sizes = [len(row.ids) * 64 * 4 for row in rows]
    computed = sum(found[0] for found in again)
    assert computed == {0: 6, None: 0}.get(room, computed)
    if room:
        assert 0 < computed < 6
        assert room - max(sizes) < lower.size <= room
    assert lower.size == sum(size for size, found in zip(sizes, again, strict=True) if not found[0])
    assert all(same(*pair) for pair in zip(first, again, strict=True))
    # Nor does the batch that a sequence stands in change what is computed of it: each is computed alone.
    keep_lower_layers(model, model, room=room)
    passes.of(model, flat_batch(rows[:2]))
    assert passes.of(model, flat_batch(rows[2:]))[0] == 4
    together = passes.of(model, flat_batch(rows))
    keep_lower_layers(model, model, room=room)
    passes.of(model, flat_batch(rows[3:]))
    assert same(together, passes.of(model, flat_batch(rows)))


def test_nothing_is_kept_where_it_would_not_be_exact() -> None:
    def found(model: Any, batch: Batch) -> Any:
        lower = kept(model)
        scored_logits(model, batch)
        return lower.layers

    batch = flat_batch(sequences(3))
    noisy = attached(UPPER)
    noisy.get_submodule(anatomy_of(noisy).layers[0]).self_attn.attention_dropout = 0.1
    assert found(noisy, batch) == []
    hooked = attached(UPPER)
    hooked.get_submodule(anatomy_of(hooked).layers[0]).mlp.register_forward_hook(lambda *_: None)
    assert found(hooked, batch) == []
    words = attached(UPPER)
    words.get_input_embeddings().weight.requires_grad_(True)
    assert found(words, batch) == []
    for method in (Full(), LoRA(), Adapter(), PromptTuning()):
        assert found(attached(method), batch) == [], method.name
    for family in ("t5", "bart"):
        model = attach_to(family, UPPER)
        assert not found(model, family_batch(model, family_rows(family, 3)))


def test_an_epoch_that_would_not_half_find_room_is_left_alone() -> None:
    model = attached(UPPER)
    state = 64 * 4
    keep_lower_layers(model, model, tokens=201, room=100 * state)
    assert not hasattr(model, lower_layers._KEPT)
    keep_lower_layers(model, model, tokens=200, room=100 * state)
    assert hasattr(model, lower_layers._KEPT)


def test_nothing_is_kept_where_the_model_would_answer_otherwise() -> None:
    """ALBERT goes through its one layer several times."""
    from transformers import AlbertConfig, AlbertForMaskedLM

    config = AlbertConfig(
        vocab_size=320, embedding_size=16, hidden_size=32, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    model = HeadOnly().attach(AlbertForMaskedLM(config).eval(), None)
    model.get_input_embeddings().weight.requires_grad_(False)
    model.predictions.dense.weight.requires_grad_(True)
    lower, batch = kept(model), padded_batch(sequences(3), pad_id=0)
    with_it = scored_logits(model, batch)
    assert lower.layers == []
    assert torch.equal(with_it, scored_logits(model, batch))


def sitting(method: Method, regulariser: Regulariser, model: Any = None, **settings: Any) -> Fitted:
    model = model or attached(method)
    every = {"steps": 9, "validations": 3, "checkpoint_minutes": ALWAYS, "regulariser": regulariser}
    return fit(model, DATA, method, **every, **settings)


@pytest.mark.parametrize(
    ("method", "regulariser"), [(UPPER, NoRegulariser()), (UPPER_LORA, NoRegulariser()), (UPPER, KL())]
)
def test_a_training_goes_on_bit_for_bit(
    method: Method, regulariser: Regulariser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the second epoch: what the first sitting kept, the second computes in other batches."""
    model = attached(method)
    passes = Passes(model, monkeypatch)
    whole = sitting(method, regulariser, model)
    assert passes.count < 60  # 26 sequences, one each, and what it took to find the layers
    with pytest.raises(InterruptionError):
        sitting(method, regulariser, interrupt_at=5, checkpoints=tmp_path)
    torch.manual_seed(99)
    rest = sitting(method, regulariser, attached(method, seed=123), checkpoints=tmp_path)
    assert rest.losses == whole.losses[4:]
    assert rest.trained.validation_loss == whole.trained.validation_loss
    assert not differing(weights(rest.model), weights(whole.model))
    monkeypatch.setattr(loop, "keep_lower_layers", lambda *_, **__: None)
    plain = sitting(method, regulariser)
    assert plain.losses == pytest.approx(whole.losses, rel=1e-4)


def test_quickened_layers_are_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = attached(UPPER).train()
    quicken(model)
    passes, batch = Passes(model, monkeypatch), flat_batch(sequences(2))
    kept(model)
    passes.of(model, batch)
    taken, _, _ = passes.of(model, batch)
    assert taken == 0
