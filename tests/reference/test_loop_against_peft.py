"""The loop against a plain one: transformers, peft, padded batches with labels, torch's AdamW and LambdaLR.

The reference below shares nothing with Luthier but the order of the examples: it tokenises, pads, masks, schedules and
clips by itself. Both start from one checkpoint and the same drawn adapter.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.core.training_settings import TrainingSettings
from luthier.core.types import Message
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.flat import use_flat_attention
from luthier.models.load import find_model, load_model, load_tokenizer
from luthier.models.tokens import Renderer
from luthier.objectives.supervised import Supervised, SupervisedData
from luthier.regularisers.regulariser import NoRegulariser
from luthier.training.loop import train
from tests.tiny import SENTENCES, tiny_model, tiny_tokenizer

STEPS = 50
BATCH = 8
RATES = {"lora": 1e-2, "full": 5e-3}
"""As high as learning stays stable: beyond, rounding alone makes any two implementations part."""
CLIPS = {"lora": 0.6, "full": 1.8}
"""Some steps are clipped, some are not."""


@dataclass(frozen=True)
class Row:
    """A question and its answer."""

    name: str
    prompt: str
    answer: str


def rows() -> list[Row]:
    """28 ragged rows: three full batches and one of four an epoch."""
    stream = random.Random(0)
    words = [word for sentence in SENTENCES for word in sentence.split()]
    made = []
    for index in range(28):
        prompt = " ".join(stream.choice(words) for _ in range(stream.randrange(2, 16)))
        answer = " ".join(stream.choice(words) for _ in range(stream.randrange(1, 8)))
        made.append(Row(f"row-{index}", prompt, answer))
    return made


ROWS = rows()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("llama", tmp_path_factory.mktemp("reference") / "llama", tokenizer=tiny_tokenizer(post_bos=True))


def reference_losses(folder: Path, method: str, batches: Sequence[Sequence[str]]) -> tuple[list[float], int]:
    """The loss of every optimizer step, and how many of the steps were clipped."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(0)
    if method == "lora":
        model = get_peft_model(
            model, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear")
        )
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATES[method], betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0)

    def factor(step: int) -> float:
        if step < 5:
            return (step + 1) / 5
        return 0.1 + 0.9 * (1 + math.cos(math.pi * (step - 5) / 45)) / 2

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    by_name = {row.name: row for row in ROWS}
    losses, clipped = [], 0
    for names in batches:
        prompts = [tokenizer(by_name[name].prompt)["input_ids"] for name in names]
        answers = [
            [*tokenizer(" " + by_name[name].answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            for name in names
        ]
        width = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
        input_ids = torch.full((len(names), width), tokenizer.pad_token_id)
        attention_mask = torch.zeros(len(names), width, dtype=torch.long)
        labels = torch.full((len(names), width), -100)
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            length = len(prompt) + len(answer)
            input_ids[row, :length] = torch.tensor(prompt + answer)
            attention_mask[row, :length] = 1
            labels[row, len(prompt) : length] = torch.tensor(answer)
        loss = model(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        clipped += bool(torch.nn.utils.clip_grad_norm_(parameters, CLIPS[method]) > CLIPS[method])
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses, clipped


def our_losses(folder: Path, method: Method, data: SupervisedData, *, flat: bool) -> list[float]:
    model = load_model(find_model(str(folder)))
    if flat:
        assert use_flat_attention(model)
    torch.manual_seed(0)
    model = method.attach(model, None)
    losses: list[float] = []
    train(
        model,
        data,
        method=method,
        objective=Supervised(),
        regulariser=NoRegulariser(),
        settings=TrainingSettings(steps=STEPS, warmup=0.1, schedule="cosine", clip=CLIPS[method.name], validations=0),
        learning_rate=RATES[method.name],
        notify=lambda phase, step, total, values: losses.append(values["loss"]),
    )
    return losses


def our_data(folder: Path, *, flat: bool) -> SupervisedData:
    renderer = Renderer(load_tokenizer(find_model(str(folder))), context=256)
    encoded = [renderer.encode(row.name, (Message("user", row.prompt),), row.answer) for row in ROWS]
    assert len({len(row.ids) for row in encoded}) > 10
    # Steps of more than 150 tokens are accumulated: the reference computes them at once.
    return SupervisedData(encoded, [], batch_size=BATCH, seed=0, flat=flat, most_tokens=150, pad_id=renderer.pad_id)


@pytest.mark.parametrize("method", [LoRA(), pytest.param(Full(), marks=pytest.mark.slow)], ids=["lora", "full"])
def test_the_loss_curve_is_that_of_a_plain_loop(method: Method, folder: Path) -> None:
    order = [
        [name for batch in our_data(folder, flat=True).step(*divmod(step, 4)) for name in batch.example_ids]
        for step in range(STEPS)
    ]
    for epoch in range(STEPS // 4):
        seen = [name for names in order[4 * epoch : 4 * epoch + 4] for name in names]
        assert sorted(seen) == sorted(row.name for row in ROWS)
    expected, clipped = reference_losses(folder, method.name, order)
    assert expected[-1] < expected[0] - (0.6 if method.name == "lora" else 4)
    assert 3 < clipped < STEPS - 3
    for flat in (True, False):
        found = our_losses(folder, method, our_data(folder, flat=flat), flat=flat)
        assert found == pytest.approx(expected, abs=1e-4), f"flat={flat}"
