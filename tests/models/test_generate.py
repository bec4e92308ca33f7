"""Generation: equal to transformers' own token by token, and the same whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import peft
import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.models.flat import use_flat_attention
from luthier.models.generate import Generated, generate
from luthier.models.sampling import Sampling
from tests.models.decoders import VOCABULARY, WINDOW, decoder, token_rows

FAMILIES = ("llama", "gemma", "mistral", "mistral-window", "gpt2", "bloom")
PROMPTS = token_rows((5, 23, 11, 2, 30, 23))
GREEDY = Sampling(max_new_tokens=10)
SAMPLED = Sampling(max_new_tokens=10, temperature=0.9, top_k=60, top_p=0.95, repetition_penalty=1.2, seed=4)


def letters(ids: Sequence[int]) -> str:
    """A decoder of ids that needs no tokenizer: five letters of the alphabet, one a token."""
    return "".join("abcde"[number % 5] for number in ids)


def answers(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling, **settings: Any) -> list[Generated]:
    defaults: dict[str, Any] = {
        "request_ids": [str(prompt[:3]) for prompt in prompts],
        "stop_ids": frozenset(),
        "pad_id": 0,
        "decode": letters,
    }
    return generate(model, prompts, sampling=sampling, **{**defaults, **settings})


def ids_of(generated: Sequence[Generated]) -> list[tuple[int, ...]]:
    return [answer.ids for answer in generated]


def alone(model: Any, sampling: Sampling, **settings: Any) -> list[Generated]:
    return [answers(model, [prompt], sampling, **settings)[0] for prompt in PROMPTS]


def theirs(model: Any, prompt: Sequence[int], new_tokens: int, **settings: Any) -> tuple[int, ...]:
    """What transformers' (or peft's) own generate says, greedily."""
    ids = torch.tensor([prompt])
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new_tokens,
        do_sample=False,
        pad_token_id=0,
        **settings,
    )
    return tuple(output[0, len(prompt) :].tolist())


def with_adapter(kind: str, family: str) -> Any:
    """A peft model whose adapter changes what the model says."""
    model = decoder(family)
    config: Any = {
        "prompt": peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=7),
        "prefix": peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=7),
        "lora": peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False),
    }[kind]
    torch.manual_seed(1)
    adapted = peft.get_peft_model(model, config)
    if kind != "lora":
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.normal_(0, 0.5)
    return adapted.eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_transformers_token_by_token(family: str) -> None:
    model = decoder(family)
    ours = ids_of(answers(model, PROMPTS, GREEDY))
    assert ours == [theirs(model, prompt, 10) for prompt in PROMPTS]
    assert len(set(ours)) > 3  # the model says different things to different prompts


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_batch_equals_single(family: str, sampling: Sampling) -> None:
    model = decoder(family)
    free = answers(model, PROMPTS, sampling)
    stop_ids = {free[0].ids[4], free[2].ids[2]}  # so that rows finish at different steps
    together = answers(model, PROMPTS, sampling, stop_ids=stop_ids)
    assert together == alone(model, sampling, stop_ids=stop_ids)
    assert {answer.finish for answer in together} == {"stop", "length"}
    assert together == answers(model, PROMPTS, sampling, stop_ids=stop_ids, most_rows=3)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        *(("prompt", family) for family in ("llama", "gpt2", "bloom", "mistral-window")),
        ("prefix", "llama"),
        ("lora", "llama"),
        ("lora", "gpt2"),
    ],
)
def test_with_peft_batch_equals_single_equals_pefts_own(kind: str, family: str) -> None:
    model = with_adapter(kind, family)
    together = answers(model, PROMPTS, GREEDY)
    assert together == alone(model, GREEDY)
    assert ids_of(together) == [theirs(model, prompt, 10) for prompt in PROMPTS]
    with model.disable_adapter():
        assert ids_of(together) != [theirs(model.get_base_model(), prompt, 10) for prompt in PROMPTS]
    assert answers(model, PROMPTS, SAMPLED) == alone(model, SAMPLED)


@pytest.mark.parametrize("family", ["llama", "mistral-window", "gpt2"])
def test_switched_to_flat_attention_it_says_the_same(family: str) -> None:
    model = decoder(family)
    before = answers(model, PROMPTS, SAMPLED)
    assert use_flat_attention(model)
    assert answers(model, PROMPTS, SAMPLED) == before


def test_repetition_penalty_equals_transformers() -> None:
    model = decoder("llama")
    sampling = Sampling(max_new_tokens=15, repetition_penalty=1.5)
    ours = ids_of(answers(model, PROMPTS, sampling))
    assert ours == [theirs(model, prompt, 15, repetition_penalty=1.5) for prompt in PROMPTS]
    assert ours != ids_of(answers(model, PROMPTS, Sampling(max_new_tokens=15)))


def test_seeds_and_request_ids_decide_the_draws() -> None:
    model = decoder("llama")
    first = answers(model, PROMPTS, SAMPLED)
    assert answers(model, PROMPTS, SAMPLED) == first
    other = answers(model, PROMPTS, SAMPLED.model_copy(update={"seed": 5}))
    assert all(a.ids != b.ids for a, b in zip(first, other, strict=True))
    shuffled = answers(model, PROMPTS[::-1], SAMPLED)
    assert shuffled[::-1] == first


def rows_seen(model: Any) -> list[tuple[int, int]]:
    """The shape of every forward pass from now on."""
    shapes: list[tuple[int, int]] = []
    model.get_input_embeddings().register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    return shapes


def test_finished_rows_are_dropped() -> None:
    model = decoder("llama")
    free = answers(model, PROMPTS, GREEDY)
    stop_ids = {free[0].ids[4], free[2].ids[2]}
    shapes = rows_seen(model)
    lengths = [len(answer.ids) for answer in answers(model, PROMPTS, GREEDY, stop_ids=stop_ids)]
    prefill, *steps = shapes
    assert prefill == (6, 30)
    # The last token of an answer is never put through the model.
    assert steps == [(sum(length > step for length in lengths), 1) for step in range(1, max(lengths))]
    assert min(lengths) < max(lengths)


def test_batches_are_sorted_and_bounded() -> None:
    model = decoder("llama")
    shapes = rows_seen(model)
    answers(model, PROMPTS, Sampling(max_new_tokens=1), most_rows=3)
    assert shapes == [(3, 30), (3, 11)]
    shapes.clear()
    answers(model, PROMPTS, GREEDY, most_tokens=80)
    assert [shape for shape in shapes if shape[1] > 1] == [(2, 30), (2, 23), (2, 5)]


def test_a_window_shorter_than_the_row_takes_equal_lengths_only() -> None:
    model = decoder("mistral-window")
    shapes = rows_seen(model)
    answers(model, PROMPTS, Sampling(max_new_tokens=1))
    assert shapes == [(1, 30), (2, 23), (1, 11), (2, 5)]
    assert WINDOW == 8  # the last two rows with their answer are shorter than that


def test_stop_texts_end_an_answer_and_are_cut() -> None:
    model = decoder("llama")
    free = answers(model, PROMPTS, GREEDY)
    stop = free[0].text[3:5]
    ended = answers(model, PROMPTS, Sampling(max_new_tokens=10, stop=(stop, "never said")))
    for whole, cut in zip(free, ended, strict=True):
        place = whole.text.find(stop)
        if place < 0:
            assert cut == whole
        else:
            assert cut.text == whole.text[:place]
            assert cut.finish == "stop_sequence"
            assert cut.ids == whole.ids[: place + len(stop)]
    assert ended[0].finish == "stop_sequence"
    assert any(answer.finish == "length" for answer in ended)


def test_a_stop_token_is_counted_and_not_said() -> None:
    model = decoder("llama")
    free = answers(model, PROMPTS[:1], GREEDY)[0]
    place = free.ids.index(free.ids[5])
    (ended,) = answers(model, PROMPTS[:1], GREEDY, stop_ids={free.ids[5]})
    assert ended.finish == "stop"
    assert ended.ids == free.ids[: place + 1]
    assert ended.text == letters(free.ids[:place])


def test_the_context_shortens_an_answer_and_says_so() -> None:
    model = decoder("gpt2", context=32)
    generated = answers(model, PROMPTS, GREEDY, context=32)
    assert [answer.limit for answer in generated] == [10, 9, 10, 10, 2, 9]
    assert [len(answer.ids) for answer in generated] == [answer.limit for answer in generated]
    assert {answer.finish for answer in generated} == {"length"}


def test_a_prompt_that_fills_the_context_is_refused_by_name_before_any_work() -> None:
    model = decoder("gpt2", context=32)
    shapes = rows_seen(model)
    with pytest.raises(LuthierError, match="no room") as caught:
        answers(model, token_rows((5, 32)), Sampling(), context=32, request_ids=["small", "large"])
    assert caught.value.where == "example large"
    assert shapes == []


def test_virtual_tokens_count_towards_the_context() -> None:
    model = with_adapter("prompt", "gpt2")
    assert [answer.limit for answer in answers(model, PROMPTS[:2], Sampling(max_new_tokens=9), context=32)] == [9, 2]
    with pytest.raises(LuthierError, match="30 positions"):
        answers(model, PROMPTS[:2], Sampling(), context=30)


def test_nan_is_an_error_that_names_the_examples() -> None:
    model = decoder("llama")
    with torch.no_grad():
        model.model.norm.weight[0] = torch.nan
    with pytest.raises(LuthierError, match="NaN") as caught:
        answers(model, PROMPTS[:1], Sampling(), request_ids=["this-one"])
    assert "this-one" in str(caught.value.where)
    assert caught.value.exit_code == 1


def test_training_goes_on_after_it() -> None:
    model = with_adapter("prompt", "llama").train()
    model.get_base_model().model.layers[0].eval()
    answers(model, PROMPTS, Sampling(max_new_tokens=3))
    assert model.training and not model.get_base_model().model.layers[0].training
    assert model.get_base_model().model.layers[1].mlp.training
    ids = torch.tensor([PROMPTS[1]])
    model(input_ids=ids, labels=ids).loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters() if p.requires_grad)


def test_progress_counts_finished_answers() -> None:
    heard: list[tuple[int, int]] = []
    answers(
        decoder("llama"),
        PROMPTS,
        Sampling(max_new_tokens=2),
        most_rows=4,
        on_progress=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(4, 6), (6, 6)]


def test_no_prompts_no_answers() -> None:
    assert answers(decoder("llama"), [], Sampling()) == []


def test_ids_stay_within_the_vocabulary() -> None:
    generated = answers(decoder("llama"), PROMPTS, Sampling(max_new_tokens=20, temperature=50.0))
    assert all(0 <= number < VOCABULARY for answer in generated for number in answer.ids)
