"""Encoder-decoders: their loss is transformers' own, and so is what they write, whatever else is in the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from luthier.core.errors import LuthierError
from luthier.methods.method import trainable
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.batch import Batch, micro_batches, pairs_batch
from luthier.models.cached import takes_padding
from luthier.models.encoder_decoder import has_encoder, start_id, start_ids
from luthier.models.flat import use_flat_attention
from luthier.models.forward import inference
from luthier.models.generate import Generated, generate
from luthier.models.likelihood import likelihoods
from luthier.models.sampling import Sampling
from luthier.models.tokens import Encoded
from luthier.objectives.supervised import Supervised
from tests.models.decoders import VOCABULARY, decoder, token_rows
from tests.models.encoder_decoders import BEGIN, FAMILIES, encoder_decoder
from tests.training.small import sequences

PROMPTS = token_rows((5, 23, 11, 2, 30, 23))
GREEDY = Sampling(max_new_tokens=10)
SAMPLED = Sampling(max_new_tokens=10, temperature=0.9, top_k=60, top_p=0.95, repetition_penalty=1.2, seed=4)
every_family = pytest.mark.parametrize("family", FAMILIES)
adapted = pytest.mark.parametrize("method", [PromptTuning(virtual_tokens=7), LoRA()], ids=lambda method: method.name)


def answers(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling, **settings: Any) -> list[Generated]:
    defaults: dict[str, Any] = {
        "request_ids": [str(prompt[:3]) for prompt in prompts],
        "stop_ids": frozenset(),
        "pad_id": 0,
        "decode": lambda ids: "".join("abcde"[number % 5] for number in ids),
    }
    return generate(model, prompts, sampling=sampling, **{**defaults, **settings})


def alone(model: Any, sampling: Sampling, **settings: Any) -> list[Generated]:
    return [answers(model, [prompt], sampling, **settings)[0] for prompt in PROMPTS]


def theirs(model: Any, prompt: Sequence[int], new_tokens: int, **settings: Any) -> tuple[int, ...]:
    """What transformers' (or peft's) own generate says, greedily; a token that is forced counts as new there."""
    ids, start = torch.tensor([prompt]), start_ids(model)
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new_tokens + len(start) - 1,
        do_sample=False,
        pad_token_id=0,
        eos_token_id=None,
        forced_eos_token_id=None,
        use_cache=False,  # its cache has too few layers where a T5's decoder has more of them than the encoder
        **settings,
    )
    assert tuple(output[0, : len(start)].tolist()) == start
    return tuple(output[0, len(start) :].tolist())


def with_method(method: Any, family: str) -> Any:
    """A model whose adapter or soft prompt changes what it says."""
    torch.manual_seed(1)
    model = method.attach(encoder_decoder(family), None)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.normal_(0, 0.2)
    return model.eval()


@every_family
class TestTraining:
    def test_loss_and_gradients_are_those_of_transformers_labels(self, family: str) -> None:
        rows, model = sequences(6), encoder_decoder(family, loud=False)
        labels = [list(row.ids[row.prompt_length :]) for row in rows]
        width = max(len(ids) for ids in labels)
        prompts = [row.ids[: row.prompt_length] for row in rows]
        longest = max(len(ids) for ids in prompts)
        output = model(
            input_ids=torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in prompts]),
            attention_mask=torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in prompts]),
            labels=torch.tensor([[*ids, *[-100] * (width - len(ids))] for ids in labels]),
        )
        output.loss.backward()
        expected = {name: parameter.grad for name, parameter in model.named_parameters()}
        count = sum(len(ids) for ids in labels)

        ours = encoder_decoder(family, loud=False)
        objective = Supervised()
        data = objective.data(
            rows, [], batch_size=6, seed=0, flat=False, most_tokens=60, pad_id=0, start_id=start_id(ours)
        )
        batches = data.step(0, 0)
        assert len(batches) > 1 and sum(objective.units(batch) for batch in batches) == count
        loss = sum(objective.loss(ours, batch) for batch in batches) / count
        loss.backward()  # type: ignore[union-attr]
        assert float(loss) == pytest.approx(float(output.loss), abs=1e-5)
        for name, parameter in ours.named_parameters():
            torch.testing.assert_close(parameter.grad, expected[name], atol=1e-5, rtol=1e-4)

    def test_a_prompt_costs_nothing_and_every_token_of_the_completion_does(self, family: str) -> None:
        model, row = encoder_decoder(family), sequences(1)[0]
        (batch,) = pairs(model, [row])
        assert batch.targets.tolist() == list(row.ids[row.prompt_length :])
        assert batch.input_ids.tolist() == [list(row.ids[: row.prompt_length])]

    def test_virtual_tokens_stand_before_what_the_encoder_reads(self, family: str) -> None:
        method = PromptTuning(virtual_tokens=5)
        model, rows = with_method(method, family), sequences(3)
        batch = pairs_batch(rows, 0, start_id(model) or 0)
        base = model.get_base_model()
        embedded = base.get_input_embeddings()(batch.input_ids)
        prompt = model.get_prompt(len(rows))
        assert prompt.shape == (3, 5, 64) and model.active_peft_config.num_transformer_submodules == 1
        mask = torch.cat([torch.ones(3, 5, dtype=torch.long), batch.attention_mask], dim=1)
        by_hand = base(
            inputs_embeds=torch.cat([prompt, embedded], dim=1),
            attention_mask=mask,
            decoder_input_ids=batch.decoder_input_ids,
        ).logits.flatten(0, 1)[batch.scored]
        expected = torch.nn.functional.cross_entropy(by_hand, batch.targets, reduction="sum")
        loss = Supervised().loss(model, batch)
        torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-5)
        loss.backward()
        assert all(p.grad is not None and bool(p.grad.any(dim=-1).all()) for p in trainable(model))


def pairs(model: Any, rows: Sequence[Encoded]) -> list[Batch]:
    return micro_batches(rows, flat=False, most_tokens=500, pad_id=0, start_id=start_id(model))


@every_family
class TestGeneration:
    def test_greedy_equals_transformers_token_by_token(self, family: str) -> None:
        model = encoder_decoder(family)
        ours = [answer.ids for answer in answers(model, PROMPTS, GREEDY)]
        assert ours == [theirs(model, prompt, 10) for prompt in PROMPTS]
        assert len(set(ours)) > 3  # it says different things to different prompts
        assert len({number for ids in ours for number in ids}) > 5

    @pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
    def test_batch_equals_single(self, family: str, sampling: Sampling) -> None:
        model = encoder_decoder(family)
        free = answers(model, PROMPTS, sampling)
        stop_ids = {free[0].ids[4], free[2].ids[2]}  # so that rows finish at different steps
        together = answers(model, PROMPTS, sampling, stop_ids=stop_ids)
        assert together == alone(model, sampling, stop_ids=stop_ids)
        assert len({len(answer.ids) for answer in together}) > 1
        assert together == answers(model, PROMPTS, sampling, stop_ids=stop_ids, most_rows=3)

    @adapted
    def test_with_a_method_batch_equals_single_equals_pefts_own(self, method: Any, family: str) -> None:
        model = with_method(method, family)
        together = answers(model, PROMPTS, GREEDY)
        assert together == alone(model, GREEDY)
        assert [answer.ids for answer in together] == [theirs(model, prompt, 10) for prompt in PROMPTS]
        assert together != answers(encoder_decoder(family), PROMPTS, GREEDY)
        assert answers(model, PROMPTS, SAMPLED) == alone(model, SAMPLED)

    def test_greedy_is_sampling_at_temperature_zero(self, family: str) -> None:
        model = encoder_decoder(family)
        cold = Sampling(max_new_tokens=10, temperature=1e-6)
        assert [a.ids for a in answers(model, PROMPTS, cold)] == [a.ids for a in answers(model, PROMPTS, GREEDY)]

    def test_the_repetition_penalty_is_of_what_the_decoder_has_read(self, family: str) -> None:
        model = encoder_decoder(family)
        sampling = Sampling(max_new_tokens=15, repetition_penalty=1.5)
        ours = [answer.ids for answer in answers(model, PROMPTS, sampling)]
        assert ours == [theirs(model, prompt, 15, repetition_penalty=1.5) for prompt in PROMPTS]
        assert ours != [answer.ids for answer in answers(model, PROMPTS, Sampling(max_new_tokens=15))]

    def test_the_encoder_reads_once_and_finished_rows_leave(self, family: str) -> None:
        model = encoder_decoder(family)
        encoded, decoded = rows_seen(model.get_encoder()), rows_seen(model.get_decoder())
        stop_ids = {answers(model, PROMPTS, GREEDY)[0].ids[4]}
        encoded.clear(), decoded.clear()
        together = answers(model, PROMPTS, GREEDY, stop_ids=stop_ids)
        assert encoded == [6]
        lengths = [len(answer.ids) for answer in together]
        assert decoded == [sum(length > step for length in lengths) for step in range(max(lengths))]
        assert decoded[-1] < 6

    def test_training_goes_on_after_it(self, family: str) -> None:
        model = with_method(LoRA(), family).train()
        answers(model, PROMPTS, Sampling(max_new_tokens=3))
        assert model.training
        (batch, *_) = pairs(model, sequences(2))
        Supervised().loss(model, batch).backward()
        assert all(p.grad is not None for p in trainable(model))


def rows_seen(module: Any) -> list[int]:
    """How many rows each call of a module has, as they happen."""
    seen: list[int] = []

    def note(_: Any, args: Any, kwargs: Any) -> None:
        seen.append(len(kwargs["input_ids"] if kwargs.get("input_ids") is not None else args[0]))

    module.register_forward_pre_hook(note, with_kwargs=True)
    return seen


class TestContext:
    """BART's encoder and decoder have 32 positions each here."""

    def test_prompt_and_answer_are_counted_apart(self) -> None:
        model = encoder_decoder("bart", context=32, forced=False)
        found = answers(model, token_rows((32, 5)), Sampling(max_new_tokens=40), context=32)
        assert [answer.limit for answer in found] == [32, 32] == [len(answer.ids) for answer in found]

    def test_a_forced_token_takes_a_position(self) -> None:
        model = encoder_decoder("bart", context=32)
        (found,) = answers(model, token_rows((5,)), Sampling(max_new_tokens=40), context=32)
        assert found.limit == 31

    def test_a_longer_prompt_is_refused_and_virtual_tokens_count(self) -> None:
        model = with_method(PromptTuning(virtual_tokens=7), "bart")
        assert answers(model, token_rows((25,)), Sampling(max_new_tokens=3), context=32)[0].limit == 3
        with pytest.raises(LuthierError, match=r"takes 33 positions of the model's 32"):
            answers(model, token_rows((26,)), Sampling(max_new_tokens=3), context=32)

    def test_without_a_limit(self) -> None:
        (found,) = answers(encoder_decoder("t5"), token_rows((600,)), Sampling(max_new_tokens=3), context=None)
        assert found.limit == len(found.ids) == 3


@every_family
def test_likelihoods_equal_a_plain_computation(family: str) -> None:
    model = encoder_decoder(family)
    rows = [
        Encoded(name, tuple(ids), prompt)
        for name, ids, prompt in zip("abacd", token_rows((19, 3, 11, 11, 26)), (12, 1, 4, 10, 20), strict=True)
    ]
    for most_tokens in (8_192, 24):
        found = likelihoods(model, rows, flat=False, pad_id=0, most_tokens=most_tokens)
        assert [count for _, count in found] == [7, 2, 7, 1, 6]
        for (total, _), row in zip(found, rows, strict=True):
            assert total == pytest.approx(by_hand(model, row), abs=1e-4)


def by_hand(model: Any, row: Encoded) -> float:
    prompt, completion = row.ids[: row.prompt_length], row.ids[row.prompt_length :]
    total, read = 0.0, [model.config.decoder_start_token_id]
    with torch.no_grad():
        for token in completion:
            logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([read])).logits
            scores = logits[0, -1].double().tolist()
            highest = max(scores)
            total += scores[token] - highest - math.log(sum(math.exp(score - highest) for score in scores))
            read.append(token)
    return total


class TestStart:
    def test_of_each_family(self) -> None:
        assert start_ids(encoder_decoder("t5")) == (0,)
        assert start_ids(encoder_decoder("bart")) == (1, BEGIN)
        assert start_ids(encoder_decoder("bart", forced=False)) == (1,) and start_id(encoder_decoder("bart")) == 1
        assert start_ids(decoder("llama")) == () and start_id(decoder("llama")) is None

    def test_through_peft(self) -> None:
        model = with_method(LoRA(), "bart")
        assert has_encoder(model) and start_ids(model) == (1, BEGIN)
        assert not has_encoder(LoRA().attach(decoder("llama"), None))

    def test_a_model_that_does_not_say_is_refused(self) -> None:
        model = encoder_decoder("t5")
        model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
        with pytest.raises(LuthierError, match="which token its decoder begins with"):
            start_ids(model)


@every_family
def test_switched_to_flat_attention_they_say_the_same(family: str) -> None:
    model = encoder_decoder(family)
    expected = answers(model, PROMPTS, GREEDY)
    assert use_flat_attention(model) and takes_padding(model, 10_000)
    assert answers(model, PROMPTS, GREEDY) == expected


def test_an_encoder_that_attends_within_windows_gets_rows_of_one_length() -> None:
    config = transformers.LongT5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4, local_radius=3,
        dropout_rate=0.0, decoder_start_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LongT5ForConditionalGeneration(config).eval()
    assert not takes_padding(model, 4)
    assert answers(model, PROMPTS, GREEDY) == alone(model, GREEDY)


@every_family
def test_the_answer_is_that_of_the_whole_forward_pass(family: str) -> None:
    """The cache holds what was read: each token is the most probable one after all before it."""
    model = encoder_decoder(family)
    rows = [Encoded(str(n), (*prompt, 1), len(prompt)) for n, prompt in enumerate(PROMPTS)]
    for row, answer in zip(rows, answers(model, PROMPTS, GREEDY), strict=True):
        whole = replace(row, ids=(*row.ids[: row.prompt_length], *answer.ids))
        with inference(model):
            logits = model(
                input_ids=torch.tensor([whole.ids[: whole.prompt_length]]),
                decoder_input_ids=torch.tensor([[*start_ids(model), *answer.ids[:-1]]]),
            ).logits[0, len(start_ids(model)) - 1 :]
        assert tuple(logits.argmax(-1).tolist()) == answer.ids
