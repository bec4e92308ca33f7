"""A step on fake tensors: its parts by closed formulas, and its peak against the training loop's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.objectives.supervised import Supervised
from luthier.planner import step
from luthier.planner.kv_cache import kv_cache_bytes
from luthier.planner.ledger import GRADIENTS, STATE, WEIGHTS
from luthier.planner.step import Precision, Way, trace
from luthier.planner.subject import rows
from tests.planner.small import VOCABULARY, config, subject


def test_weights_gradients_and_state_by_their_formulas(tmp_path: Path):
    found = subject(tmp_path)
    traced = trace(found, Way(Full()), rows(found, count=4, length=32), Supervised())
    parameters = sum(parameter.numel() for parameter in found.build().parameters())
    count = len(list(found.build().parameters()))
    assert traced.parameters == traced.trained == parameters
    buffers = sum(buffer.nbytes for buffer in found.build().buffers())
    assert traced.peaks["clip"][WEIGHTS] == 4 * parameters + buffers
    assert traced.peaks["clip"][GRADIENTS] == 4 * parameters
    assert traced.peaks["clip"][STATE] == 8 * parameters + 4 * count  # AdamW counts its steps for each tensor


def test_only_what_is_trained_has_gradients_and_state(tmp_path: Path):
    found = subject(tmp_path)
    traced = trace(found, Way(LoRA(rank=4)), rows(found, count=4, length=32), Supervised())
    # q and o: 32 -> 32; k and v: 32 -> 16; gate and up: 32 -> 48; down: 48 -> 32; two layers
    assert traced.trained == 2 * 4 * (2 * 64 + 2 * 48 + 3 * 80)
    assert traced.peaks["clip"][GRADIENTS] == 4 * traced.trained
    assert traced.peaks["clip"][STATE] == pytest.approx(8 * traced.trained, rel=0.05)


def test_flops_of_full_training_are_six_a_weight_and_token(tmp_path: Path):
    found = subject(tmp_path)
    traced = trace(found, Way(Full()), rows(found, count=1, length=32, purpose="pretraining"), Supervised())
    layer = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48)
    matrices = 6 * 32 * layer + 6 * 31 * 32 * VOCABULARY  # the logits of all positions but the last
    attention = 2 * (4 + 10) * 4 * 32 * 32 * 8  # layers x (forward 2 products, backward 5) x heads x length^2 x width
    assert traced.flops == matrices + attention


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", [Full(), LoRA()], ids=lambda method: method.name)
@pytest.mark.parametrize("kind", ["decoder", "encoder", "encoder-decoder"])
def test_the_peak_is_that_of_the_training_loop(tmp_path: Path, kind: str, method: Method, precision: Precision):
    from benchmarks.plan_accuracy import Training

    found = subject(tmp_path, kind)
    purpose = "pretraining" if kind == "encoder" else "supervised"
    several = rows(found, count=6, length=32, purpose=purpose, micro_tokens=96)
    traced = trace(found, Way(method, precision), several, Supervised())
    measured = Training(found, method, several, precision).live_bytes()
    # A plan takes every pass to be padded, as those of real rows are. Of these two only the first is: in the second,
    # whose rows are all of one length, transformers leaves out the mask, which T5 adds to its positions for every row.
    above = 1.07 if kind == "encoder-decoder" else 1.02
    assert 0.98 * measured < traced.peak_bytes < above * measured


def test_passes_of_one_shape_are_counted_as_often_as_they_come(tmp_path: Path):
    found = subject(tmp_path)
    few, many = (
        trace(found, Way(Full()), rows(found, count=count, length=32, micro_tokens=64), Supervised())
        for count in (6, 10)
    )
    assert (few.passes, many.passes) == (3, 5)
    assert many.peak_bytes == pytest.approx(few.peak_bytes, rel=0.01)
    assert many.flops / few.flops == pytest.approx(5 / 3, rel=0.01)


def test_recomputed_activations_take_less_memory_and_more_operations(tmp_path: Path):
    found = subject(tmp_path, layers=4)
    asked = rows(found, count=4, length=64)
    kept = trace(found, Way(Full()), asked, Supervised())
    again = trace(found, Way(Full(), checkpointing=True), asked, Supervised())
    assert again.peak_bytes < 0.7 * kept.peak_bytes
    # A forward pass more is 4/3; and of the last of four layers only what is kept leaves out most.
    assert 1.2 < again.flops / kept.flops < 1.45


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("decoder", LoRA()),
        pytest.param("encoder-decoder", Full(), marks=pytest.mark.slow),
        pytest.param("decoder", Full(), marks=pytest.mark.slow),
        pytest.param("encoder-decoder", LoRA(), marks=pytest.mark.slow),
    ],
)
def test_a_deep_model_is_told_from_two_and_three_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, method: Method
):
    found = subject(tmp_path, kind, layers=10)
    asked = rows(found, count=2, length=32)
    told = trace(found, Way(method), asked, Supervised())
    monkeypatch.setattr(step, "FEW", 99)
    whole = trace(found, Way(method), asked, Supervised())
    assert told.peak_bytes == pytest.approx(whole.peak_bytes, rel=0.005)
    assert (told.flops, told.parameters, told.trained, told.calls) == (
        whole.flops,
        whole.parameters,
        whole.trained,
        whole.calls,
    )


def test_layers_that_differ_are_not_told_from_a_few(tmp_path: Path):
    found = subject(tmp_path, layers=10)
    assert found.repeats
    mixed = config("decoder", layers=10)
    mixed.layer_types = ["full_attention", "sliding_attention"] * 5
    assert not replace(found, config=mixed).repeats


def test_the_key_value_cache_by_its_formula(tmp_path: Path):
    found = subject(tmp_path / "d")
    asked = rows(found, count=3, length=20)
    assert kv_cache_bytes(found, asked) == 2 * 2 * 2 * 8 * 20 * 3 * 4  # K and V, layers, heads, width, positions, rows
    pairs = subject(tmp_path / "p", "encoder-decoder")
    # The decoder's 5 positions and, for cross-attention, the encoder's 15.
    assert kv_cache_bytes(pairs, rows(pairs, count=3, length=20)) == 2 * 2 * 4 * 8 * (5 + 15) * 3 * 4
    assert kv_cache_bytes(subject(tmp_path / "e", "encoder"), asked) is None


def test_a_four_bit_base(tmp_path: Path):
    found = subject(tmp_path)
    whole, small = (
        trace(found, Way(LoRA(), "bf16", base=base), rows(found, count=4, length=32), Supervised())
        for base in ("fp32", "nf4")
    )
    linear = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48)
    rest = whole.parameters - whole.trained - linear
    buffers = whole.peaks["clip"][WEIGHTS] - 4 * whole.parameters
    expected = linear * 4.127 / 8 + 2 * rest + 4 * whole.trained + buffers
    assert small.peaks["clip"][WEIGHTS] == pytest.approx(expected, rel=0.002)
    assert small.peak_bytes < whole.peak_bytes
    assert small.flops == whole.flops
