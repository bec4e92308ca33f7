"""Bottleneck adapters: where they stand in each family, what they start from, and what becomes of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.adapter_places import parts_of, setup_of
from luthier.methods.additive.bottleneck import Bottleneck
from luthier.methods.method import trainable
from luthier.models.generate import generate
from luthier.models.sampling import Sampling
from tests.models.decoders import decoder, token_rows
from tests.training.small import (
    ALWAYS,
    InterruptionError,
    attached,
    differing,
    fit,
    sequences,
    supervised_data,
    weights,
)

PFEIFFER, HOULSBY = Adapter(reduction=4), Adapter(placement="houlsby", reduction=4)
PARALLEL = Adapter(placement="parallel", reduction=4)
both = pytest.mark.parametrize("method", [PFEIFFER, HOULSBY, PARALLEL], ids=lambda method: method.placement)

WIDE: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "num_attention_heads": 4}
SMALL: dict[str, Any] = WIDE | {"num_hidden_layers": 3, "max_position_embeddings": 64}
GATED: dict[str, Any] = SMALL | {"intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8}
OLD: dict[str, Any] = {"vocab_size": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: transformers.LlamaConfig(**GATED),
    "mistral": lambda: transformers.MistralConfig(**GATED),
    "gemma": lambda: transformers.GemmaConfig(**GATED),
    "gemma2": lambda: transformers.Gemma2Config(**GATED),
    "gemma3": lambda: transformers.Gemma3TextConfig(**GATED),
    "qwen3": lambda: transformers.Qwen3Config(**GATED),
    "phi": lambda: transformers.PhiConfig(**SMALL, intermediate_size=48),
    "gpt2": lambda: transformers.GPT2Config(**OLD),
    "gptj": lambda: transformers.GPTJConfig(**OLD, rotary_dim=4),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**SMALL, intermediate_size=48),
    "bloom": lambda: transformers.BloomConfig(vocab_size=64, hidden_size=32, n_layer=3, n_head=4),
    "falcon": lambda: transformers.FalconConfig(**WIDE, num_hidden_layers=3),
    "opt": lambda: transformers.OPTConfig(**SMALL, ffn_dim=48, word_embed_proj_dim=32),
}
IDS = torch.arange(5, 25)[None]


def inserted(model: Any) -> list[Any]:
    return [part for _, part in parts_of(model, setup_of(model).active)]


def model_of(family: str) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(FAMILIES[family]()).eval()


def logits(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=ids).logits
    return found


def far(method: Adapter, model: Any) -> Any:
    """The model with an adapter whose weights are large."""
    torch.manual_seed(0)
    model = method.attach(model, None)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.normal_(std=0.3)
    return model


@pytest.mark.parametrize("family", FAMILIES)
class TestPlaces:
    def test_at_first_nearly_the_base_and_with_no_update_exactly(self, family: str) -> None:
        base = logits(model_of(family))
        for method, each in ((PFEIFFER, 1), (HOULSBY, 2)):
            model = method.attach(model_of(family), None)
            assert len(inserted(model)) == 3 * each
            assert 0 < float((logits(model) - base).abs().max()) < 0.02
            with torch.no_grad():
                for bottleneck in inserted(model):
                    bottleneck.up.weight.zero_()
            assert torch.equal(logits(model), base)

    def test_houlsby_stands_before_the_residual_add(self, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """With every sublayer's output replaced by zeros, the tokens' embeddings alone are left, and no neighbours."""
        model = HOULSBY.attach(model_of(family), None)
        monkeypatch.setattr(Bottleneck, "update", lambda self, hidden: -hidden)
        found = logits(model)
        assert float(found.std(dim=1).mean()) > 0.01
        other = IDS.clone()
        other[0, 3] = 50
        same = torch.arange(IDS.shape[1]) != 3
        assert torch.equal(logits(model, other)[0, same], found[0, same])
        assert not torch.equal(logits(model, other)[0, 3], found[0, 3])

    def test_parallel_reads_the_residual_before_the_norm(self, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the feed-forward silenced and the residual taken away beside it, nothing of the layer's input is left
        but where attention runs beside the feed-forward."""
        model = PARALLEL.attach(model_of(family), None)
        assert torch.equal(logits(model), logits(model_of(family)))
        read = []
        monkeypatch.setattr(Bottleneck, "update", lambda self, hidden: read.append(hidden) or torch.zeros_like(hidden))
        logits(model)
        assert len(read) == 3
        monkeypatch.setattr(Bottleneck, "update", lambda self, hidden: torch.zeros_like(hidden) - hidden)
        assert not torch.equal(logits(model), logits(model_of(family)))

    def test_pfeiffer_reads_the_layers_whole_output(self, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
        model = PFEIFFER.attach(model_of(family), None)
        monkeypatch.setattr(Bottleneck, "update", lambda self, hidden: -hidden)
        assert float(logits(model).std(dim=1).max()) < 1e-6


def test_an_architecture_that_it_does_not_know_is_named() -> None:
    model = AutoModelForCausalLM.from_config(
        transformers.MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2)
    )
    with pytest.raises(LuthierError, match="MambaForCausalLM") as caught:
        Adapter().attach(model, None)
    assert "lora" in str(caught.value)


class TestSettings:
    @pytest.mark.parametrize("settings", [{"placement": "before"}, {"reduction": 0}, {"nonlinearity": "step"}])
    def test_what_it_does_not_have_is_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(LuthierError, match=next(iter(settings))):
            read(Adapter, settings, where="study.yaml")

    def test_the_bottleneck_is_the_width_over_the_reduction_and_at_least_one(self) -> None:
        for reduction, size in ((1, 64), (16, 4), (48, 1), (1000, 1)):
            model = Adapter(reduction=reduction).attach(decoder("llama"), None)
            assert {len(bottleneck.down.bias) for bottleneck in inserted(model)} == {size}

    def test_adapterhubs_nonlinearities_unless_another_is_given(self) -> None:
        def used(method: Adapter) -> set[str]:
            return {bottleneck.nonlinearity for bottleneck in inserted(method.attach(decoder("llama"), None))}

        assert used(Adapter()) == used(Adapter(placement="parallel")) == {"relu"}
        assert used(Adapter(placement="houlsby")) == {"swish"}
        assert used(Adapter(nonlinearity="gelu")) == {"gelu"}

    def test_each_nonlinearity_is_itself(self) -> None:
        hidden = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
        functions = {"relu": torch.relu, "swish": lambda x: x * torch.sigmoid(x), "tanh": torch.tanh}
        functions["gelu"] = lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5))
        for name, function in functions.items():
            bottleneck = Bottleneck(8, 4, name)  # type: ignore[arg-type]
            torch.nn.init.normal_(bottleneck.up.bias)
            by_hand = function(hidden @ bottleneck.down.weight.T) @ bottleneck.up.weight.T + bottleneck.up.bias
            torch.testing.assert_close(bottleneck.update(hidden), by_hand)

    def test_suggested_rates(self) -> None:
        assert [Adapter().learning_rate(size) for size in (4_700_000, 7_000_000_000)] == [1e-2, 3e-4]
        assert 3e-5 <= Adapter().learning_rate(110_000_000) <= 3e-3


class TestModel:
    @both
    def test_a_copy_has_an_adapter_of_its_own(self, method: Adapter) -> None:
        model = far(method, decoder("llama"))
        expected = logits(model)
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in trainable(other):
                parameter.zero_()
        assert torch.equal(logits(model), expected)
        assert torch.equal(logits(other), logits(decoder("llama")))

    @both
    def test_the_base_stays_frozen_and_its_names_stay(self, method: Adapter) -> None:
        model = method.attach(decoder("llama"), None)
        assert {name for name in model.state_dict() if "_adapter." not in name} == set(decoder("llama").state_dict())
        assert all(p.requires_grad == ("_adapter." in name) for name, p in model.named_parameters())

    @both
    def test_a_base_of_a_narrower_type(self, method: Adapter) -> None:
        model = method.attach(decoder("llama").to(torch.bfloat16), None)
        assert {parameter.dtype for parameter in trainable(model)} == {torch.float32}
        found = model(input_ids=IDS).logits
        assert found.dtype == torch.bfloat16
        found.float().sum().backward()
        assert all(parameter.grad is not None for parameter in trainable(model))

    @both
    @pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "gemma"])
    def test_generation_with_the_cache_is_that_without(self, method: Adapter, family: str) -> None:
        model = far(method, decoder(family))
        rows = token_rows((5, 9, 3))
        answers = generate(
            model, rows, request_ids=["a", "b", "c"], sampling=Sampling(max_new_tokens=6), stop_ids=set(), pad_id=0,
            decode=lambda ids: "",
        )  # fmt: skip
        for row, answer in zip(rows, answers, strict=True):
            ids = list(row)
            for _ in range(6):
                ids.append(int(logits(model, torch.tensor([ids]))[0, -1].argmax()))
            assert answer.ids == tuple(ids[len(row) :])

    @both
    def test_gradient_checkpointing_changes_nothing(self, method: Adapter) -> None:
        gradients = []
        for checkpointing in (False, True):
            model = far(method, decoder("llama")).train()
            if checkpointing:
                model.activation_checkpointing_enable()
            model(input_ids=IDS, use_cache=False).logits.square().mean().backward()
            gradients.append([parameter.grad for parameter in trainable(model)])
        for plain, recomputed in zip(*gradients, strict=True):
            torch.testing.assert_close(plain, recomputed)


@both
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(method: Adapter, tmp_path: Path) -> None:
    data = supervised_data(sequences(16))
    whole = fit(attached(method), data, method, steps=8, validations=0, checkpoints=tmp_path / "whole")
    settings: dict[str, Any] = {"steps": 8, "validations": 0, "checkpoint_minutes": ALWAYS, "checkpoints": tmp_path}
    with pytest.raises(InterruptionError):
        fit(attached(method), data, method, interrupt_at=5, **settings)
    resumed = fit(attached(method, seed=1), data, method, **settings)
    assert len(resumed.losses) == 4
    assert differing(weights(whole.model), weights(resumed.model)) == []


class TestSaved:
    @both
    def test_it_is_loaded_with_the_settings_that_it_was_saved_with(self, method: Adapter, tmp_path: Path) -> None:
        model = far(method, decoder("gpt2"))
        method.save(model, tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter.json", "adapter.safetensors"]
        loaded = Adapter().load(decoder("gpt2"), tmp_path)
        assert torch.equal(logits(loaded), logits(model))
        assert not any(parameter.requires_grad for parameter in loaded.parameters())

    @pytest.mark.parametrize(
        ("other", "words"),
        [
            (lambda: decoder("gpt2"), "gpt2 with 2 layers of width 64"),
            (lambda: model_of("llama"), "llama with 3 layers of width 32"),
        ],
        ids=["another family", "another shape"],
    )
    def test_on_another_base_it_is_refused(self, other: Callable[[], Any], words: str, tmp_path: Path) -> None:
        PFEIFFER.save(PFEIFFER.attach(decoder("llama"), None), tmp_path)
        with pytest.raises(LuthierError, match=words) as caught:
            PFEIFFER.load(other(), tmp_path)
        assert "llama with 2 layers of width 64" in caught.value.what

    def test_weights_that_are_not_those_of_its_settings_are_refused(self, tmp_path: Path) -> None:
        PFEIFFER.save(PFEIFFER.attach(decoder("llama"), None), tmp_path)
        path = tmp_path / "adapter.safetensors"
        kept = {name: value for name, value in load_file(path).items() if "layers.1" not in name}
        save_file(kept, path)
        with pytest.raises(LuthierError, match="not those"):
            PFEIFFER.load(decoder("llama"), tmp_path)

    def test_the_settings_are_plain_json(self, tmp_path: Path) -> None:
        HOULSBY.save(HOULSBY.attach(decoder("llama"), None), tmp_path)
        assert json.loads((tmp_path / "adapter.json").read_text()) == {
            "method": "adapter",
            "settings": {"on": [], "placement": "houlsby", "reduction": 4, "nonlinearity": None, "scaling": 4.0},
            "base": {"model_type": "llama", "layers": 2, "width": 64},
            "below": [],
        }
