"""Times: sums over operations at given rates, the replay of one, and the data sheet's share."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.methods.reparameterised.lora import LoRA
from luthier.objectives.supervised import Supervised
from luthier.planner import calibration
from luthier.planner.calibration import Rates, keep
from luthier.planner.machines import find_machine
from luthier.planner.operation import Operation, TensorSpec
from luthier.planner.replay import seconds_of, shrunk
from luthier.planner.seconds import gpu_seconds, step_seconds
from luthier.planner.step import Traced, Way, trace
from luthier.planner.subject import rows
from tests.planner.small import subject


def product(rows: int, inner: int, columns: int) -> Operation:
    left = TensorSpec((rows, inner), (inner, 1), "float32")
    right = TensorSpec((inner, columns), (1, inner), "float32")
    moved = left.bytes + right.bytes + 4 * rows * columns
    return Operation("aten::mm", "", (left, right), (), 2 * rows * inner * columns, moved)


def rates(**given: float) -> Rates:
    settings = {"overhead": 1e-6, "fresh": 1e-12, "bandwidth": 1e9} | given
    return Rates(1, measure=lambda operation: operation.flops / 1e9 if operation.flops else None, **settings)


@pytest.fixture
def traced(tmp_path: Path) -> Traced:
    found = subject(tmp_path)
    return trace(found, Way(LoRA()), rows(found, count=2, length=16), Supervised())


def test_a_step_is_the_sum_of_its_operations(traced: Traced):
    moved = sum(count * done.moved for done, count in traced.operations.items() if not done.flops)
    by_hand = traced.flops / 1e9 + moved / 1e9 + traced.calls * 1e-6
    assert step_seconds(traced, rates(fresh=0.0)) == pytest.approx(by_hand)
    assert step_seconds(traced, rates()) > by_hand


def test_a_gpu_is_bound_by_its_products_or_by_its_memory(traced: Traced):
    machine = find_machine("a100-80")
    moved = sum(count * done.moved for done, count in traced.operations.items())
    assert gpu_seconds(traced, machine, "bf16", 0.4) == moved / 2039e9  # small products: memory decides
    assert gpu_seconds(traced, machine, "bf16", 1e-9) == traced.flops / (312e12 * 1e-9)
    assert gpu_seconds(traced, machine, "fp32", 1e-9) == traced.flops / (19.5e12 * 1e-9)


def test_an_operation_is_called_again():
    assert 0 < seconds_of(product(32, 32, 32), 1) < 0.1
    assert seconds_of(Operation("aten::no_such_operation", "", (), (), 0, 0), 1) is None


def test_a_long_operation_is_made_smaller_and_scaled():
    long = product(8192, 4096, 4096)
    small, scale = shrunk(long)
    (rows, inner), columns = small.arguments[0].shape, small.arguments[1].shape[1]
    assert 1e8 < small.flops == 2 * rows * inner * columns <= 2e9
    assert scale == long.flops / small.flops
    assert small.arguments[0].shape[1] == small.arguments[1].shape[0]
    assert small.arguments[1].stride == (1, small.arguments[1].shape[0])
    assert shrunk(product(32, 32, 32)) == (product(32, 32, 32), 1.0)


def test_attention_made_smaller_computes_a_quarter_for_half_the_length():
    spec = TensorSpec((4, 8, 2048, 64), (8 * 2048 * 64, 64, 8 * 64, 1), "float32")
    long = Operation(
        "aten::_scaled_dot_product_flash_attention_for_cpu",
        "",
        (spec, spec, spec, 0.0, True),
        (),
        2 * 2 * 4 * 8 * 2048 * 2048 * 64,
        3 * spec.bytes,
    )
    small, scale = shrunk(long)
    length = small.arguments[0].shape[2]
    assert length < 2048 and scale == (2048 / length) ** 2
    assert seconds_of(long, 1) is not None


def test_what_cannot_be_made_smaller_is_called_whole():
    assert shrunk(odd := Operation("aten::no_such_operation", "", product(4096, 4096, 64).arguments, (), 0, 10**9)) == (
        odd,
        1.0,
    )


def test_every_operation_of_a_step_can_be_called_again(traced: Traced):
    assert [done.name for done in traced.operations if seconds_of(done, 1) is None] == []


def test_what_was_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, value in (("_overhead", 2e-6), ("_fresh", 3e-10), ("_bandwidth", 4e9)):
        monkeypatch.setattr(calibration, name, lambda value=value: value)
    first = calibration.calibrated(1)
    first.known["an operation"] = 1.5
    keep(first)
    monkeypatch.setattr(calibration, "_overhead", lambda: pytest.fail("measured again"))
    again = calibration.calibrated(1)
    assert (again.overhead, again.fresh, again.bandwidth) == (2e-6, 3e-10, 4e9)
    assert again.known["an operation"] == 1.5
    calibration.cache_path(1).write_text("damaged")
    monkeypatch.setattr(calibration, "_overhead", lambda: 5e-6)
    assert calibration.calibrated(1).overhead == 5e-6
