"""What soft prompts share: where the head of an encoder reads, what disabling takes away, and which models fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.methods.soft_prompts.p_tuning import PTuning
from luthier.methods.soft_prompts.p_tuning_v2 import PTuningV2
from luthier.methods.soft_prompts.prefix_tuning import PrefixTuning
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.methods.soft_prompts.soft_prompt import SoftPrompt
from luthier.models.forward import inference
from luthier.models.head import head_weights
from luthier.models.labelled import Labelled
from tests.families import attach_to, family_model, family_rows, logits

V = 3


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_head_of_an_encoder_reads_the_first_virtual_token(family: str) -> None:
    """As P-tuning v2's authors and peft have it: CLS then stands behind the prompt. And the positions of the text are
    those behind it, RoBERTa's too."""
    model, base = attach_to(family, PromptTuning(virtual_tokens=V)), family_model(family)
    (row,) = family_rows(family, 1)
    assert isinstance(row, Labelled)
    with inference(model), inference(base):
        encoder = base.base_model
        first = 2 if family == "roberta" else 0  # RoBERTa counts from the padding token's number on
        embedded = encoder.embeddings.word_embeddings(torch.tensor([row.ids]))
        both = torch.cat([model.prompt_encoder["default"].embedding.weight[None], embedded], dim=1)
        positions = torch.arange(first, first + both.shape[1])[None]
        hidden = encoder(inputs_embeds=both, position_ids=positions).last_hidden_state
        expected = base.classifier(encoder.pooler(hidden) if family == "bert" else hidden)
    torch.testing.assert_close(logits(model, [row]), expected.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", [PromptTuning(virtual_tokens=V), PTuningV2(virtual_tokens=V)], ids=lambda m: m.name)
def test_disabled_the_base_answers_with_its_own_head(method: SoftPrompt) -> None:
    model, rows = attach_to("bert", method), family_rows("bert", 4)
    moved = {name for name, weights in model.named_parameters() if weights.requires_grad}
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name in moved:
                weights.add_(0.1)
    changed = logits(model, rows)
    with method.disabled(model):
        assert torch.equal(logits(model, rows), logits(family_model("bert"), rows))
    assert torch.equal(logits(model, rows), changed)
    assert {name for name, weights in model.named_parameters() if weights.requires_grad} == moved


def test_only_the_prompt_and_the_head_are_kept(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    for place, method in enumerate((PTuning(virtual_tokens=V), PTuning(virtual_tokens=V, encoder="lstm"))):
        model = attach_to("bert", method)
        method.save(model, tmp_path / str(place))
        saved = load_file(tmp_path / str(place) / "adapter_model.safetensors")
        assert saved["prompt_embeddings"].shape == (V, 64)
        head = sum(weights.numel() for weights in head_weights(family_model("bert")).values())
        assert sum(value.numel() for value in saved.values()) == method.stored(model) == V * 64 + head


@pytest.mark.parametrize("method", [PTuning(virtual_tokens=V), PrefixTuning(virtual_tokens=V)], ids=lambda m: m.name)
def test_what_is_loaded_answers_as_what_was_trained(method: SoftPrompt, tmp_path: Path) -> None:
    """The encoder, or the projection, is left behind."""
    trained, rows = attach_to("t5", method), family_rows("t5", 4)
    method.save(trained, tmp_path)
    loaded = method.load(family_model("t5"), tmp_path)
    torch.testing.assert_close(logits(loaded, rows), logits(trained, rows), atol=1e-5, rtol=1e-5)
    assert len(list(loaded.prompt_encoder.parameters())) == 1


def test_several_are_switched_between_by_request(tmp_path: Path) -> None:
    method, rows = PTuningV2(virtual_tokens=V), family_rows("gemma", 4)
    alone: dict[str, Any] = {}
    loaded = family_model("gemma")
    for seed, name in enumerate(("default", "other")):
        model = attach_to("gemma", method, seed)
        alone[name] = logits(model, rows)
        method.save(model, tmp_path / name)
        loaded = method.load(loaded, tmp_path / name, name)
    for name in ("default", "other", "default"):
        method.switch(loaded, name)
        torch.testing.assert_close(logits(loaded, rows), alone[name], atol=1e-5, rtol=1e-5)
    assert not torch.equal(alone["default"], alone["other"])


def test_another_number_of_tokens_than_the_settings_say_is_refused(tmp_path: Path) -> None:
    method = PTuning(virtual_tokens=V)
    method.save(attach_to("gpt2", method), tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_virtual_tokens": V + 1}))
    with pytest.raises(LuthierError, match="trained on another model"):
        method.load(family_model("gpt2"), tmp_path)
