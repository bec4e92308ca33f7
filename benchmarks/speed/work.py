"""The work: a Llama-style model with random weights, pairs of DialogSum's lengths, and the study over them, as files.

A word is a token (a word-level tokenizer over `w0 w1 ...`), so that lengths come out exactly as wanted. Words are drawn
by Zipf's law: the end of a text is then never the likeliest next token, and answers run to their limit.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.speed.lengths import lengths

RANKS = (4, 8, 16, 32)
RATES = (1e-3, 3e-4)
SEEDS = (0, 1)
BATCH = 8
NEW_TOKENS = 60
CONTEXT = 2048


@dataclass(frozen=True)
class Size:
    """A Llama-style model."""

    d_model: int
    layers: int
    heads: int
    d_feed_forward: int
    vocabulary: int = 8192

    @property
    def linear_parameters(self) -> int:
        """Weights of the matrices between embedding and head."""
        return self.layers * (4 * self.d_model**2 + 3 * self.d_model * self.d_feed_forward)

    @property
    def parameters(self) -> int:
        """Weights in all, but for the norms."""
        return self.linear_parameters + 2 * self.vocabulary * self.d_model

    def lora_parameters(self, rank: int) -> int:
        """Of updates of that rank beside all these matrices."""
        width, inner = self.d_model, self.d_feed_forward
        return self.layers * rank * (4 * 2 * width + 3 * (width + inner))


FULL = Size(512, 15, 8, 1408)
QUICK = Size(256, 8, 4, 704)


@dataclass(frozen=True)
class Pair:
    """Token ids: the prompt's, then the completion's, the end of sequence last."""

    ids: tuple[int, ...]
    prompt_length: int


@dataclass(frozen=True)
class Work:
    """Where the files lie.

    Attributes:
        folder: of all of it.
        size: of the model.
        train, test: the pairs, in the order of the files.
    """

    folder: Path
    size: Size
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]

    @property
    def model(self) -> Path:
        """The model's folder."""
        return self.folder / "model"

    def study(
        self,
        name: str,
        ranks: Sequence[int],
        rates: Sequence[float],
        seeds: Sequence[int],
        *,
        method: dict[str, Any] | None = None,
        **other: Any,
    ) -> Path:
        """Write a study of LoRA arms over this work, and give its file; one arm of `method` where it is
        given. `other` are training settings."""
        training = {
            "epochs": 1, "batch_size": BATCH, "schedule": "constant", "warmup": 0.0, "validations": 0, **other
        }  # fmt: skip
        arms: list[dict[str, Any]] = [
            {"name": f"rank {rank} rate {rate:g}", "lora": {"rank": rank}, "learning_rate": rate}
            for rank, rate in itertools.product(ranks, rates)
        ]
        if method is not None:
            arms = [{"name": next(iter(method)), **method, "learning_rate": rates[0]}]
        study = {
            "name": name,
            "models": [str(self.model)],
            "tasks": [
                {
                    "name": "dialogues",
                    "data": {split: str(self.folder / f"{split}.jsonl") for split in ("train", "validation", "test")},
                    "prompt": "{{ prompt }}",
                    "reference": "{{ completion }}",
                    "metrics": ["exact_match"],
                    "primary": "exact_match",
                    "generation": {"max_new_tokens": NEW_TOKENS},
                }
            ],
            "arms": arms,
            "seeds": list(seeds),
            "baselines": False,
            "controls": False,
            "forgetting": False,
            "training": training,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
        return path


def make_work(
    folder: Path,
    size: Size,
    pairs: int,
    prompts: int,
    *,
    seed: int = 0,
    length: int | None = None,
    dtype: str = "float32",
) -> Work:
    """Write model, tokenizer and data into the folder; the same every time.

    Args:
        folder: where.
        size: of the model.
        pairs, prompts: rows to train on, and to answer.
        seed: of weights and words.
        length: of every pair, a seventh of it completion, as DialogSum has it; None for DialogSum's lengths.
        dtype: of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_model(folder / "model", size, seed, dtype)
    splits = {
        split: draw_pairs(size.vocabulary, count, seed + place, length)
        for place, (split, count) in enumerate((("train", pairs), ("validation", 4), ("test", prompts)))
    }
    for split, rows in splits.items():
        lines = []
        for pair in rows:
            prompt, completion = pair.ids[: pair.prompt_length], pair.ids[pair.prompt_length : -1]
            lines.append(json.dumps({"prompt": words_of(prompt), "completion": words_of(completion)}) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return Work(folder, size, splits["train"], splits["test"])


def write_model(folder: Path, size: Size, seed: int = 0, dtype: str = "float32") -> None:
    """A Llama with random weights, and its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=size.vocabulary, hidden_size=size.d_model, intermediate_size=size.d_feed_forward,
        num_hidden_layers=size.layers, num_attention_heads=size.heads, num_key_value_heads=size.heads,
        max_position_embeddings=CONTEXT, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).to(getattr(torch, dtype))
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 1, 2
    model.save_pretrained(folder)
    word_tokenizer(size.vocabulary).save_pretrained(folder)


def given_order(count: int, seed: int = 0) -> list[list[int]]:
    """The steps of our own epoch: which rows make each batch."""
    from luthier.models.tokens import Encoded
    from luthier.objectives.supervised import SupervisedData

    rows = [Encoded(str(place), (0, 0), 1) for place in range(count)]
    data = SupervisedData(rows, (), batch_size=BATCH, seed=seed, flat=False, most_tokens=10**9, pad_id=0)
    return [
        [int(name) for batch in data.step(0, step) for name in batch.example_ids]
        for step in range(data.steps_per_epoch)
    ]


def grouped_order(pairs: Sequence[Pair], seed: int = 0) -> list[list[int]]:
    """Batches of neighbours in length, in a drawn order: what sampling by length comes to."""
    by_length = sorted(range(len(pairs)), key=lambda place: len(pairs[place].ids))
    batches = [by_length[start : start + BATCH] for start in range(0, len(by_length), BATCH)]
    random.Random(f"grouped:{seed}").shuffle(batches)
    return batches


SPECIAL = ("<s>", "</s>", "<pad>", "<unk>")


def word_tokenizer(vocabulary: int, around: str = "$A") -> Any:
    """A token a word; `around` says what stands around a text, as `<s> $A </s>`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {token: number for number, token in enumerate(SPECIAL)}
    words |= {f"w{number}": number for number in range(len(SPECIAL), vocabulary)}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if around != "$A":
        special = [(token, words[token]) for token in SPECIAL]
        backend.post_processor = processors.TemplateProcessing(single=around, special_tokens=special)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        model_max_length=CONTEXT, clean_up_tokenization_spaces=False,
    )  # fmt: skip


def draw_pairs(vocabulary: int, count: int, seed: int, length: int | None = None) -> tuple[Pair, ...]:
    """So many pairs, of words drawn by Zipf's law; all of one length, or of DialogSum's."""
    stream = random.Random(f"words:{seed}")
    words = range(len(SPECIAL), vocabulary)
    weights = list(itertools.accumulate(1 / (place + 1) for place in range(len(words))))
    end = SPECIAL.index("</s>")
    return tuple(
        Pair((*stream.choices(words, cum_weights=weights, k=prompt + completion - 1), end), prompt)
        for prompt, completion in ([(length - length // 7, length // 7)] * count if length else lengths(count, seed))
    )


def words_of(ids: Sequence[int]) -> str:
    """The text that the tokenizer turns into these ids."""
    return " ".join(f"w{number}" for number in ids)
