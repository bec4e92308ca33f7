"""Prefixes in the key-value cache: what they mean, and that generation over the cache says the same as without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from luthier.methods.soft_prompts.p_tuning_v2 import PTuningV2
from luthier.methods.soft_prompts.prefix_tuning import PrefixTuning
from luthier.models.cache import RoomyLayer
from luthier.models.cached import CachedRows
from luthier.models.encoder_decoder import CachedAnswers, start_ids
from luthier.models.forward import inference
from luthier.models.sampling import Sampling
from luthier.models.virtual_tokens import virtual_tokens
from tests.families import PAD, family_model
from tests.models.decoders import decoder, token_rows
from tests.models.encoder_decoders import encoder_decoder
from tests.models.test_generate import PROMPTS, answers, ids_of

V = 7
SHORT = Sampling(max_new_tokens=6)
DECODERS = ("llama", "gemma", "mistral", "mistral-window", "gpt2", "bloom")
PAIRS = ("t5", "bart")
METHODS = (PrefixTuning(virtual_tokens=V), PTuningV2(virtual_tokens=V))


def prefixed(family: str, method: Any = METHODS[1]) -> Any:
    """A model with a prefix that changes what it says."""
    torch.manual_seed(1)
    model = method.attach(encoder_decoder(family) if family in PAIRS else decoder(family), None).eval()
    with torch.no_grad():
        for weights in model.prompt_encoder.parameters():
            weights.normal_(0, 0.7)
    return model


def without_cache(model: Any, prompt: Sequence[int], tokens: int) -> tuple[int, ...]:
    """Greedy, the whole row through the model for every token."""
    start = start_ids(model)
    said: list[int] = []
    with inference(model):
        for _ in range(tokens):
            ids, begun = torch.tensor([[*prompt, *(said if not start else ())]]), torch.tensor([[*start, *said]])
            pair = {"decoder_input_ids": begun} if start else {}
            said.append(int(model(input_ids=ids, use_cache=False, **pair).logits[0, -1].argmax()))
    return tuple(said)


@pytest.mark.parametrize(
    ("method", "family"), [*((METHODS[1], family) for family in (*DECODERS, *PAIRS)), (METHODS[0], "llama")],
    ids=lambda value: value if isinstance(value, str) else value.name,
)  # fmt: skip
def test_batches_say_what_single_rows_say_without_a_cache(method: Any, family: str) -> None:
    model = prefixed(family, method)
    expected = [without_cache(model, prompt, 6) for prompt in PROMPTS]
    assert ids_of(answers(model, PROMPTS, SHORT)) == expected
    assert len(set(expected)) > 2
    stop_ids = {expected[0][3], expected[2][1]}  # rows leave the batch at different steps
    for ids, whole in zip(ids_of(answers(model, PROMPTS, SHORT, stop_ids=stop_ids)), expected, strict=True):
        end = next((place for place, token in enumerate(whole) if token in stop_ids), 5)
        assert ids == whole[: end + 1]


@pytest.mark.parametrize("family", ["llama", "bart"])
def test_the_cache_has_its_room_in_advance(family: str) -> None:
    model = prefixed(family)
    with inference(model):
        cached = (CachedAnswers if family == "bart" else CachedRows)(model, PROMPTS, 0, room=4)
        cache = cached._cache.self_attention_cache if family == "bart" else cached._cache
        assert {type(layer) for layer in cache.layers} == {RoomyLayer}
        places = [layer.keys.data_ptr() for layer in cache.layers]
        for _ in range(3):  # of the four tokens of an answer, the last is never put into the cache
            cached.step(cached.logits.argmax(dim=-1))
        assert [layer.keys.data_ptr() for layer in cache.layers] == places


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_disabled_it_generates_as_its_base(family: str) -> None:
    model = prefixed(family)
    base = encoder_decoder(family) if family in PAIRS else decoder(family)
    assert virtual_tokens(model) == V
    with METHODS[1].disabled(model):
        assert virtual_tokens(model) == 0
        assert answers(model, PROMPTS, SHORT) == answers(base, PROMPTS, SHORT)
    assert answers(model, PROMPTS, SHORT) != answers(base, PROMPTS, SHORT)


@pytest.mark.parametrize("family", ["llama", "gemma", "mistral", "gpt2", "bloom"])
def test_keys_and_values_of_real_tokens_are_as_those_tokens(family: str) -> None:
    """Grouped heads, rotary and learned positions, ALiBi: each as if the tokens stood in the row."""
    base, model = decoder(family), prefixed(family)
    tokens, row = (torch.tensor([ids]) for ids in token_rows((V, 9)))
    with inference(base), inference(model):
        write(model, base(input_ids=tokens, use_cache=True).past_key_values)
        expected = base(input_ids=torch.cat([tokens, row], dim=1)).logits[:, V:]
        torch.testing.assert_close(model(input_ids=row, use_cache=False).logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_an_encoder_reads_a_prefix_and_pools_its_own_first_token(family: str) -> None:
    """In one layer, keys and values are of single tokens: a prefix is then as tokens before the row, and CLS its own
    first one."""
    base, model = one_layer(family), PTuningV2(virtual_tokens=V).attach(one_layer(family), None).eval()
    tokens, short, long = token_rows((V, 5, 9))
    ids = torch.tensor([[*short, *[PAD] * 4], long])
    with inference(base), inference(model):
        encoder = base.base_model
        write(model, keys_and_values(encoder, torch.tensor([tokens])))
        found = model(input_ids=ids, attention_mask=(ids != PAD).long()).logits
        for row, text in enumerate((short, long)):
            hidden = encoder(input_ids=torch.tensor([[*tokens, *text]])).last_hidden_state[:, V:]
            pooled = base.classifier(encoder.pooler(hidden) if family == "bert" else hidden)
            torch.testing.assert_close(found[row : row + 1], pooled, atol=1e-5, rtol=1e-5)


def one_layer(family: str) -> Any:
    model = family_model(family)
    layers = model.base_model.encoder.layer
    del layers[1:]
    model.config.num_hidden_layers = 1
    return model


def keys_and_values(encoder: Any, tokens: torch.Tensor) -> Any:
    """The cache that one layer of an encoder would make of these tokens."""
    from transformers import DynamicCache

    cache = DynamicCache()
    encoder(input_ids=tokens, past_key_values=cache)
    return cache


def write(model: Any, cache: Any) -> None:
    """Make the prefix of what a cache holds of one row."""
    parts = [part[0] for layer in cache.layers for part in (layer.keys, layer.values)]  # (head, token, head_dim)
    rows = torch.stack(parts).permute(2, 0, 1, 3)
    (weights,) = model.prompt_encoder.parameters()
    with torch.no_grad():
        weights.copy_(rows.reshape(weights.shape))
