"""Three small models with random weights (a decoder, an encoder, an encoder-decoder), about 10M parameters each, and a
study of methods over each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.speed.work import BATCH, CONTEXT, Pair, draw_pairs, word_tokenizer, words_of

VOCABULARY = 8192
ARCHITECTURES = ("llama", "bert", "t5")
METHODS: dict[str, dict[str, Any]] = {
    "full": {"full": {}},
    "lora": {"lora": {"rank": 8}},
    "prompt_tuning": {"prompt_tuning": {"virtual_tokens": 20}},
    "adapter": {"adapter": {}},
    "bitfit": {"bitfit": {}},
}
AROUND = {"llama": "$A", "bert": "<s> $A </s>", "t5": "$A </s>"}
LABELS = ("w4", "w5")


@dataclass(frozen=True)
class Cells:
    """One architecture's files: model, study, and the rows as a plain loop reads them.

    `rows` are `[ids, prompt_length]`, of BERT `[ids, class]`, in the order of the training file.
    """

    architecture: str
    model: Path
    study: Path
    arms: tuple[str, ...]
    refused: dict[str, str]
    rows: list[list[Any]]


def make_cells(folder: Path, architecture: str, pairs: int, d_model: int = 256, layers: int = 8) -> Cells:
    """Write one architecture's model, data and study."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_model(folder / "model", architecture, d_model, layers)
    splits = {"train": pairs, "validation": 4, "test": 4}
    drawn = {split: draw_pairs(VOCABULARY, count, seed) for seed, (split, count) in enumerate(splits.items())}
    for split, rows in drawn.items():
        lines = [json.dumps(_row(architecture, place, pair)) + "\n" for place, pair in enumerate(rows)]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    refused = _refused(architecture)
    arms = tuple(name for name in METHODS if name not in refused)
    study = folder / "methods.yaml"
    study.write_text(yaml.safe_dump(_study(folder, architecture, arms), sort_keys=False), encoding="utf-8")
    plain = [_plain(architecture, place, pair) for place, pair in enumerate(drawn["train"])]
    return Cells(architecture, folder / "model", study, arms, refused, plain)


def _row(architecture: str, place: int, pair: Pair) -> dict[str, str]:
    prompt, completion = words_of(pair.ids[: pair.prompt_length]), words_of(pair.ids[pair.prompt_length : -1])
    return {"prompt": prompt, "completion": LABELS[place % 2] if architecture == "bert" else completion}


def _plain(architecture: str, place: int, pair: Pair) -> list[Any]:
    """The ids that the study's rendering gives: BERT reads `<s> x </s>`, T5 `x </s>`."""
    ids, at = list(pair.ids), pair.prompt_length
    if architecture == "bert":
        return [[0, *ids[:at], 1], place % 2]
    return [[*ids[:at], 1, *ids[at:]], at + 1] if architecture == "t5" else [ids, at]


def _study(folder: Path, architecture: str, arms: Sequence[str]) -> dict[str, Any]:
    encoder = architecture == "bert"
    metric = "accuracy" if encoder else "exact_match"
    return {
        "name": f"methods {architecture}",
        "models": [str(folder / "model")],
        "tasks": [
            {
                "name": "dialogues",
                "data": {split: str(folder / f"{split}.jsonl") for split in ("train", "validation", "test")},
                "prompt": "{{ prompt }}",
                "reference": "{{ completion }}",
                "metrics": [metric],
                "primary": metric,
                "generation": {"max_new_tokens": 4},
                **({"choices": list(LABELS)} if encoder else {}),
            }
        ],
        "arms": [{"name": name, **METHODS[name], "learning_rate": 1e-4} for name in arms],
        "seeds": [0],
        "baselines": False,
        "controls": False,
        "forgetting": False,
        "training": {
            "epochs": 1, "batch_size": BATCH, "schedule": "constant", "warmup": 0.0, "validations": 0,
            "precision": "fp32",
        },
    }  # fmt: skip


def _refused(architecture: str) -> dict[str, str]:
    """Methods that this family cannot have, and why."""
    from luthier.models.families import FAMILIES
    from luthier.registry import METHODS as KNOWN

    classes = {cls.name: cls for cls in KNOWN}
    found = {name: classes[name]().refusal(FAMILIES[architecture], architecture) for name in METHODS}
    return {name: reason for name, reason in found.items() if reason}


def _write_model(folder: Path, architecture: str, d_model: int, layers: int) -> None:
    import torch
    import transformers

    ids: dict[str, Any] = {"pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 1, "vocab_size": VOCABULARY}
    inner = 11 * d_model // 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if architecture == "llama":
            model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
                hidden_size=d_model, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=4,
                num_key_value_heads=4, max_position_embeddings=CONTEXT, **ids,
            ))  # fmt: skip
        elif architecture == "bert":
            model = transformers.BertForMaskedLM(transformers.BertConfig(
                hidden_size=d_model, intermediate_size=4 * d_model, num_hidden_layers=layers, num_attention_heads=4,
                max_position_embeddings=CONTEXT, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **ids,
            ))  # fmt: skip
        else:
            model = transformers.T5ForConditionalGeneration(transformers.T5Config(
                d_model=d_model, d_kv=d_model // 4, d_ff=inner, num_layers=max(1, layers // 2), num_heads=4,
                dropout_rate=0.0, feed_forward_proj="gated-gelu", decoder_start_token_id=2, **ids,
            ))  # fmt: skip
    model.save_pretrained(folder)
    tokenizer = word_tokenizer(VOCABULARY, AROUND[architecture])
    if architecture == "bert":
        tokenizer.add_special_tokens({"cls_token": "<s>", "sep_token": "</s>"})
    tokenizer.save_pretrained(folder)
