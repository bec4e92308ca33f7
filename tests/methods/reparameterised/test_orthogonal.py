"""OFT and BOFT: rotations that are rotations, blocks that fit, and GPT-2's turned matrices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft.tuners.boft import layer as boft_layer
from torch import nn

from luthier.core.errors import LuthierError
from luthier.methods.method import Method, trainable
from luthier.methods.reparameterised.boft import BOFT
from luthier.methods.reparameterised.oft import OFT, fitting_block
from luthier.models.upright import Upright, lie_down, stand_up
from tests.families import attach_to, family_data, family_model, family_rows, logits
from tests.training.small import fit


def fitted(method: Method, family: str = "llama") -> Any:
    """After a few steps at a rate far above the suggested one."""
    model = attach_to(family, method)
    return fit(model, family_data(model, family_rows(family, 8)), method, learning_rate=0.1, steps=4).model


def rotation(model: Any, kind: str) -> torch.Tensor:
    """The whole rotation of the first attention's query matrix."""
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    with torch.no_grad():
        return layer.get_delta_weight("default") if kind == "oft" else layer.get_delta_weight("default")[0]


@pytest.mark.parametrize("method", [OFT(block_size=16), BOFT(block_size=4)], ids=lambda method: method.name)
def test_it_is_orthogonal_however_far_it_is_trained(method: Method) -> None:
    turn = rotation(fitted(method), method.name)
    assert (turn - torch.eye(64)).abs().max() > 0.1
    torch.testing.assert_close(turn @ turn.T, torch.eye(64), atol=1e-5, rtol=0)


def test_oft_mixes_within_its_blocks_alone() -> None:
    turn = rotation(fitted(OFT(block_size=16)), "oft")
    blocks = torch.block_diag(*[torch.ones(16, 16)] * 4).bool()
    assert turn[blocks].count_nonzero() > 0.9 * 4 * 16 * 16
    assert not turn[~blocks].any()


def test_each_factor_of_boft_reaches_inputs_that_those_before_did_not() -> None:
    reached = []
    for factors in (1, 2, 3):
        turn = rotation(fitted(BOFT(block_size=4, factors=factors)), "boft")
        reached.append(int(turn.abs().gt(1e-7).sum(dim=1).max()))
    assert reached[0] == 4 < reached[1] < reached[2]


def test_the_butterfly_in_torch_has_the_gradient_of_the_product() -> None:
    BOFT().attach(family_model("llama"), None)  # gives peft the product in torch
    torch.manual_seed(0)
    blocks = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(boft_layer.FastBlockDiag.apply, (blocks,))
    torch.testing.assert_close(boft_layer.FastBlockDiag.apply(blocks)[1], torch.block_diag(*blocks[1]))


def test_no_extension_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.utils.cpp_extension

    monkeypatch.setattr(boft_layer, "_FBD_CUDA", None)
    monkeypatch.setattr(torch.utils.cpp_extension, "load", lambda **_: pytest.fail("it tried to compile"))
    model = BOFT().attach(family_model("llama"), None)
    assert model.peft_config["default"].boft_n_butterfly_factor == 2
    assert model.base_model.model.model.layers[0].self_attn.q_proj.boft_R["default"].shape == (2, 8, 8, 8)


@pytest.mark.parametrize(
    ("widths", "wanted", "times", "expected"),
    [
        ([256, 544], 32, 1, 32),  # house/decoder
        ([64, 128], 33, 1, 32),
        ([768, 3072], 50, 1, 48),
        ([90], 4, 1, 3),
        ([64, 128], 8, 2, 8),
        ([64, 96], 8, 8, 4),  # 8 * 8 divides 64 and not 96
        ([90], 8, 1, 6),
    ],
)
def test_blocks_are_cut_to_what_divides_every_width(widths: list[int], wanted: int, times: int, expected: int) -> None:
    assert fitting_block(widths, wanted, where="oft", times=times) == expected


@pytest.mark.parametrize(("widths", "times"), [([64, 49], 1), ([64, 66], 2), ([8], 16)])
def test_where_no_block_fits_it_says_so(widths: list[int], times: int) -> None:
    with pytest.raises(LuthierError, match="no block size from 2 to 8 fits widths of") as told:
        fitting_block(widths, 8, where="boft", times=times)
    assert "block_size" in str(told.value) and told.value.exit_code == 2


def test_counts() -> None:
    """Blocks of 32: 496 numbers each, two in a width of 64 and four in one of 128; seven matrices, two layers."""
    model = attach_to("llama", OFT())
    wide = family_model("llama").config.intermediate_size
    assert sum(weight.numel() for weight in trainable(model)) == 2 * (6 * 64 // 32 + wide // 32) * 32 * 31 // 2


def test_gpt2_is_turned_bit_for_bit_and_turned_back() -> None:
    rows = family_rows("gpt2", 4)
    plain, turned = family_model("gpt2"), family_model("gpt2")
    stand_up(turned)
    assert sum(isinstance(module, Upright) for module in turned.modules()) == 8
    assert isinstance(turned.transformer.h[0].mlp.c_fc, nn.Linear)
    assert torch.equal(logits(turned, rows), logits(plain, rows))
    lie_down(turned)
    assert not any(isinstance(module, Upright) for module in turned.modules())
    again = turned.state_dict()
    assert again.keys() == plain.state_dict().keys()
    assert all(torch.equal(value, again[name]) and again[name].is_contiguous() for name, value in
               plain.state_dict().items())  # fmt: skip


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_the_last_adapter_that_is_removed_leaves_the_plain_base(family: str, tmp_path: Any) -> None:
    method, rows = OFT(), family_rows(family, 4)
    method.save(fitted(method, family), tmp_path)
    model = method.load(family_model(family), tmp_path, "first")
    model = method.load(model, tmp_path, "second")
    model = method.remove(model, "first")
    model = method.remove(model, "second")
    plain = family_model(family)
    assert type(model) is type(plain) and model.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(logits(model, rows), logits(plain, rows))
