"""MiSS: one shard along the whole input."""

from __future__ import annotations

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.methods.method import trainable
from luthier.methods.reparameterised.miss import MiSS
from tests.families import attach_to, family_model, family_rows, logits


@pytest.mark.parametrize("rank", [16, 24])  # 24 does not divide 64: the last piece is filled up with zeros
def test_the_update_is_the_shard_repeated(rank: int) -> None:
    method = MiSS(rank=rank, targets="q_proj")
    model = attach_to("llama", method)
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    hidden = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        shard = layer.miss_block["default"].normal_(generator=torch.Generator().manual_seed(1))
        update = shard.T.repeat(1, 3 if rank == 24 else 4)[:, :64]
        expected = hidden @ (layer.base_layer.weight + update).T
        torch.testing.assert_close(layer(hidden), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("rank", [16, 24])
def test_merged_it_answers_the_same(family: str, rank: int) -> None:
    method, rows = MiSS(rank=rank), family_rows(family, 4)
    model = attach_to(family, method)
    with torch.no_grad():
        for weight in trainable(model):
            weight.normal_(std=0.02, generator=torch.Generator().manual_seed(0))
    before = logits(model, rows)
    merged = method.merge(model)
    assert (logits(merged, rows) - before).abs().max() <= method.merge_tolerance * before.abs().max()
    assert {name: value.shape for name, value in merged.state_dict().items()} == {
        name: value.shape for name, value in family_model(family).state_dict().items()
    }


def test_a_rank_beyond_the_narrowest_layer_is_refused() -> None:
    with pytest.raises(LuthierError, match="rank 65 is more than the narrowest layer is wide, 64") as told:
        MiSS(rank=65).attach(family_model("llama"), None)
    assert told.value.exit_code == 2


def test_by_default_it_trains_as_much_as_lora_on_square_matrices() -> None:
    from luthier.methods.reparameterised.lora import LoRA

    counts = [
        sum(weight.numel() for weight in trainable(attach_to("llama", method)))
        for method in (MiSS(targets="q_proj"), LoRA(targets="q_proj"))
    ]
    assert counts[0] == counts[1] == 2 * 16 * 64
