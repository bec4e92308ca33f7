"""AdapterFusion: what it is made of, what of it is trained, and that it is saved whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from luthier.core.errors import LuthierError
from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.adapter_attention import AdapterAttention
from luthier.methods.additive.adapter_places import parts_of
from luthier.methods.additive.bottleneck import Bottleneck
from luthier.methods.additive.fusion import Fusion
from luthier.methods.method import trainable
from luthier.models.families import FAMILIES
from tests.families import attach_to, family_data, family_model, family_rows, logits
from tests.training.small import fit, weights


def saved(family: str, method: Adapter, folder: Path, seed: int = 0, size: float = 0.3) -> str:
    model = attach_to(family, method, seed=seed)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.normal_(std=size)
    method.save(model, folder)
    return str(folder)


def fusion_on(family: str, folder: Path, **settings: float) -> Fusion:
    return Fusion(adapters=tuple(saved(family, Adapter(), folder / str(seed), seed) for seed in (1, 2)), **settings)


def test_the_update_written_out() -> None:
    torch.manual_seed(0)
    parts = [Bottleneck(8, size, "relu") for size in (2, 3)]
    fused = AdapterAttention(8, parts, [])
    with torch.no_grad():
        for parameter in fused.parameters():
            parameter.normal_()
        hidden = torch.randn(2, 3, 8)
        query = hidden @ fused.query.weight.T + fused.query.bias
        updates = [part.update(hidden) for part in parts]
        scores = torch.stack([(query * (one @ fused.key.T)).sum(-1) for one in updates], -1)
        shares = torch.softmax(scores, -1)
        expected = sum(shares[..., index, None] * (one @ fused.value.T) for index, one in enumerate(updates))
        torch.testing.assert_close(fused.update(hidden), expected)
        assert fused.strain().item() == pytest.approx(float(((fused.value - torch.eye(8)) ** 2).sum()), rel=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
class TestFamily:
    def test_the_attention_learns_and_the_adapters_stay(self, family: str, tmp_path: Path) -> None:
        method = fusion_on(family, tmp_path)
        model = attach_to(family, method)
        before = weights(model)
        fitted = fit(
            model, family_data(model, family_rows(family, 16)), method, learning_rate=3e-3, steps=8, validations=0
        )
        assert sum(fitted.losses[-2:]) < 0.97 * sum(fitted.losses[:2])
        moved = {name for name, value in weights(model).items() if not torch.equal(value, before[name])}
        assert moved == {name for name, value in model.named_parameters() if value.requires_grad}
        assert not [name for name in moved if ".adapters." in name]
        kept, rows = tmp_path / "fusion", family_rows(family, 4, seed=1)
        method.save(model, kept)
        assert sum(v.numel() for v in load_file(kept / "adapter.safetensors").values()) == method.stored(model)
        expected = logits(model, rows)
        for folder in method.adapters:  # what is saved is whole
            shutil.rmtree(folder)
        loaded = method.load(family_model(family), kept)
        assert torch.equal(logits(loaded, rows), expected)
        with method.disabled(loaded):
            assert torch.equal(logits(loaded, rows), logits(family_model(family), rows))


def test_it_starts_from_the_adapters_alone(tmp_path: Path) -> None:
    """Of one adapter twice, whatever the shares are, the mixture is that adapter: V is nearly the identity."""
    folder, rows = saved("llama", Adapter(), tmp_path / "one"), family_rows("llama", 4, seed=1)
    fused = attach_to("llama", Fusion(adapters=(folder, folder)))
    alone = Adapter().load(family_model("llama"), Path(folder))
    torch.testing.assert_close(logits(fused, rows), logits(alone, rows), atol=2e-3, rtol=0)
    assert float((logits(alone, rows) - logits(family_model("llama"), rows)).abs().max()) > 0.1


def test_the_penalty_holds_the_values_to_the_identity(tmp_path: Path) -> None:
    method = fusion_on("llama", tmp_path, strength=0.5)
    model = attach_to("llama", method)
    penalty = method.penalty(model)
    assert penalty is not None and penalty.item() < 1e-7
    part = parts_of(model, "default")[0][1]
    with torch.no_grad():
        part.value[0, 1] += 2.0
    penalty = method.penalty(model)
    assert penalty is not None and penalty.item() == pytest.approx(0.5 * 4.0, rel=1e-4)
    penalty.backward()
    assert part.value.grad[0, 1].item() == pytest.approx(2 * 0.5 * 2.0, rel=1e-4)


class TestRefused:
    def test_without_folders_it_says_what_to_give(self) -> None:
        with pytest.raises(LuthierError, match="nothing to fuse") as caught:
            Fusion().attach(family_model("llama"), None)
        assert "fusion: {adapters: [a, b]}" in str(caught.value)

    def test_folders_of_nothing_of_another_base_and_of_other_places(self, tmp_path: Path) -> None:
        one = saved("llama", Adapter(), tmp_path / "one")
        with pytest.raises(LuthierError, match="no such file"):
            Fusion(adapters=(one, str(tmp_path / "none"))).attach(family_model("llama"), None)
        with pytest.raises(LuthierError, match="trained on llama"):
            Fusion(adapters=(one, one)).attach(family_model("gpt2"), None)
        other = saved("llama", Adapter(placement="houlsby"), tmp_path / "other")
        with pytest.raises(LuthierError, match="pfeiffer, houlsby"):
            Fusion(adapters=(one, other)).attach(family_model("llama"), None)

    def test_an_adapter_on_others(self, tmp_path: Path) -> None:
        one = saved("llama", Adapter(), tmp_path / "one")
        above = saved("llama", Adapter(on=(one,)), tmp_path / "above")
        with pytest.raises(LuthierError, match="on top of others"):
            Fusion(adapters=(one, above)).attach(family_model("llama"), None)


def test_its_digest_is_of_what_the_folders_hold(tmp_path: Path) -> None:
    method = fusion_on("llama", tmp_path)
    digest = method.digest()
    saved("llama", Adapter(), Path(method.adapters[0]), seed=9)
    assert method.digest() != digest
