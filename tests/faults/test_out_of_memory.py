"""Fault 10: memory that runs out in an evaluation: advice, and the training is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from luthier.core.store import Store
from luthier.models.generator import ModelGenerator
from luthier.run import run
from luthier.study import Study
from tests.small_study import steps


def by_python() -> None:
    raise MemoryError


def by_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def by_torch() -> None:
    torch.empty(1 << 55, dtype=torch.uint8)


@pytest.mark.parametrize("exhaust", [by_python, by_a_gpu, by_torch])
def test_out_of_memory_in_an_evaluation(
    exhaust: Callable[[], None], make_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "out")
    (spec,) = make_study(arms=["lora"]).plan(device="cpu", check_lengths=False).runs
    with monkeypatch.context() as patch:
        patch.setattr(ModelGenerator, "generate", lambda *_, **__: exhaust())
        result = run(spec, store)
    assert result.status == "failed"
    assert result.error is not None and result.error.startswith("out of memory: lower training.micro_batch_tokens")
    trained = steps(store, "train")
    assert len(trained) == 1
    assert run(spec, store).status == "finished"
    assert steps(store, "train") == trained
