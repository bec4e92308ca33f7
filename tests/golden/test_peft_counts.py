"""Known counts of trainable weights of LoRA's kin, from peft 0.21.2 and from arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.methods.method import Method
from luthier.methods.reparameterised.adalora import AdaLoRA
from luthier.methods.reparameterised.dora import DoRA
from luthier.methods.reparameterised.loha import LoHa
from luthier.methods.reparameterised.lokr import LoKr
from luthier.methods.reparameterised.lora import LoRA, LowRank
from luthier.methods.reparameterised.vera import VeRA
from tests.golden.test_encoder_counts import count as count_on_encoder
from tests.golden.test_lora_counts import count, llama, t5
from tests.models.encoders import tiny_encoder


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (LoRA, (2048, 6144, 2243)),
        (DoRA, (2304, 6912, 2499)),
    ],
    ids=["lora", "dora"],
)
def test_rank_4_on_queries_and_values(method: type[LowRank], expected: tuple[int, int, int], tmp_path: Path) -> None:
    assert count(method(rank=4, targets=("q_proj", "v_proj")), llama()) == expected[0]
    assert count(method(rank=4, targets=("q", "v")), t5()) == expected[1]
    whole = tiny_encoder("bert", tmp_path, masked=False)
    assert count_on_encoder(method(rank=4, targets=("query", "value")), whole) == expected[2]


def test_vera_of_rank_16_on_queries_and_values(tmp_path: Path) -> None:
    assert count(VeRA(rank=16, targets=("q_proj", "v_proj")), llama()) == 4 * (64 + 16) == 320
    assert count(VeRA(rank=16, targets=("q", "v")), t5()) == 12 * (64 + 16) == 960
    whole = tiny_encoder("bert", tmp_path, masked=False)
    assert count_on_encoder(VeRA(rank=16, targets=("query", "value")), whole) == 320 + 195 == 515


LAYER = ((64, 64),) * 4 + ((128, 64),) * 2 + ((64, 128),)
"""The shapes of a Llama layer's matrices."""


@pytest.mark.parametrize(
    ("method", "of_a_matrix"),
    [
        (LoRA(initialise="pissa"), lambda out, into: 8 * (out + into)),
        (LoRA(rslora=True), lambda out, into: 8 * (out + into)),
        (DoRA(), lambda out, into: 8 * (out + into) + out),
        (AdaLoRA(), lambda out, into: 12 * (out + into) + 12),
        (VeRA(), lambda out, into: 256 + out),
        (LoHa(), lambda out, into: 2 * 8 * (out + into)),
        (LoKr(), lambda out, into: 8 * 8 + out * into // 64),
    ],
    ids=lambda value: value.label() if isinstance(value, Method) else "",
)
def test_every_linear_layer_of_a_llama(method: Method, of_a_matrix: object) -> None:
    assert callable(of_a_matrix)
    assert count(method, llama()) == 2 * sum(of_a_matrix(*shape) for shape in LAYER)
