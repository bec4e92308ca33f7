"""QLoRA: it starts at its quantised base, goes on learning after evaluations, and keeps the adapter alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from luthier.encoding import encode
from luthier.methods.method import Method, trainable
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.reparameterised.qlora import QLoRA
from luthier.models.families import FAMILIES
from luthier.models.load import find_model, load_model, load_tokenizer
from luthier.models.quantise import quantised
from luthier.models.tokens import Renderer
from luthier.objectives.supervised import SupervisedData
from luthier.prompting.zero_shot import ZeroShot
from luthier.tasks.task import TaskSettings, load_task
from tests.families import attach_to, family_data, family_model, family_rows, logits
from tests.training.small import ALWAYS, InterruptionError, differing, fit, weights

VARIANTS = [QLoRA(**settings) for settings in QLoRA.variants]
every_variant = pytest.mark.parametrize("method", VARIANTS, ids=lambda method: method.bits)


@every_variant
@pytest.mark.parametrize("family", ["llama", "gpt2", "t5", "bert"])
def test_it_starts_at_the_quantised_base_and_not_at_the_base(method: QLoRA, family: str) -> None:
    rows = family_rows(family, 4)
    start = logits(attach_to(family, method), rows)
    torch.testing.assert_close(start, logits(method.base_of(family_model(family)), rows), atol=1e-6, rtol=0)
    assert not torch.allclose(start, logits(family_model(family), rows), atol=1e-3)
    assert not method.starts_at_base


@every_variant
def test_it_goes_on_learning_after_an_evaluation(method: QLoRA) -> None:
    model, rows = attach_to("llama", method), family_rows("llama", 16)
    for layer in quantised(model):
        assert not getattr(layer, "support_avx512bf16_for_cpu", False)
    data = family_data(model, rows)
    first = fit(model, data, method, learning_rate=3e-3, steps=8, validations=0).losses
    logits(model, rows)
    between = weights(model)
    second = fit(model, data, method, learning_rate=3e-3, steps=8, validations=0).losses
    assert sum(second[-2:]) < 0.9 * sum(first[-2:]) < 0.9 * sum(first[:2])
    moved = set(differing(weights(model), between))
    assert moved == {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@every_variant
def test_the_adapter_alone_is_saved_and_the_bits_with_it(method: QLoRA, tmp_path: Path) -> None:
    rows = family_rows("llama", 4)
    model = attach_to("llama", method)
    fit(model, family_data(model, family_rows("llama", 8)), method, learning_rate=3e-3, steps=3, validations=0)
    method.save(model, tmp_path)
    with safe_open(tmp_path / "adapter_model.safetensors", "pt") as file:
        assert all("lora_" in name for name in file.keys())  # noqa: SIM118
        assert sum(file.get_tensor(name).numel() for name in file.keys()) == method.stored(model)  # noqa: SIM118
    for settings in (method, QLoRA()):  # whatever the settings that it is loaded with
        loaded = settings.load(family_model("llama"), tmp_path)
        assert torch.equal(logits(loaded, rows), logits(model, rows))
    with method.disabled(loaded):
        assert torch.equal(logits(loaded, rows), logits(method.base_of(family_model("llama")), rows))


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    method, rows = QLoRA(), family_rows("llama", 16)
    settings: dict[str, Any] = {"learning_rate": 3e-3, "steps": 6, "validations": 0}

    def model_and_data() -> tuple[Any, Any]:
        model = attach_to("llama", method)
        return model, family_data(model, rows)

    whole = fit(*model_and_data(), method, **settings).model
    kept = {"checkpoints": tmp_path, "checkpoint_minutes": ALWAYS}
    with pytest.raises(InterruptionError):
        fit(*model_and_data(), method, interrupt_at=4, **kept, **settings)
    resumed = fit(*model_and_data(), method, **kept, **settings)
    assert len(resumed.losses) < 6
    assert not differing(weights(resumed.model), weights(whole))


def test_it_is_never_merged() -> None:
    assert not QLoRA.mergeable
    assert all("quantised" in str(QLoRA().merge_refusal(kind, family)) for family, kind in FAMILIES.items())


def test_all_layers_are_quantised_whichever_have_an_update() -> None:
    model = attach_to("llama", QLoRA(targets="attention", rank=4))
    assert len(list(quantised(model))) == 14
    width = {parameter.shape for name, parameter in model.named_parameters() if "lora_A" in name}
    assert width == {(4, 64)} and len(list(trainable(model))) == 2 * 2 * 4


@pytest.mark.slow
@every_variant
def test_after_equal_steps_the_loss_is_within_three_percent_of_loras(method: QLoRA) -> None:
    """On house/decoder: the same rows, order, seed, rate and rank; the mean loss of the last ten of 40 steps."""
    plain, low = _losses(LoRA()), _losses(method)
    ends = [sum(losses[-10:]) / 10 for losses in (plain, low)]
    assert ends[0] < 0.8 * sum(plain[:2]) / 2
    assert abs(ends[1] / ends[0] - 1) <= 0.03, ends


@cache
def _losses(method: Method) -> list[float]:
    files = find_model("house/decoder")
    tokenizer = load_tokenizer(files)
    task = load_task(
        TaskSettings(
            data="generated/entities",
            prompt="{{ text }}\n\nPeople and places:",
            reference="{{ answer }}",
            limit={"train": 160, "validation": 1, "test": 1},
        )
    )
    rows = encode(ZeroShot().program((), 0), Renderer(tokenizer, files.context), task.splits["train"])
    torch.manual_seed(0)
    model = method.attach(load_model(files), tokenizer)
    data = SupervisedData(
        rows, (), batch_size=4, seed=0, flat=False, most_tokens=4096, pad_id=tokenizer.pad_token_id, start_id=None
    )
    return fit(model, data, method, learning_rate=3e-3, steps=40, validations=0).losses
