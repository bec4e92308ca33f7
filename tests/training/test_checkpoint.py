"""Checkpoints: whole or passed over, rotated, and never lost to a disk that is full."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from luthier.core.errors import LuthierError
from luthier.training.checkpoint import load_checkpoint, save_checkpoint


def started() -> tuple[Any, torch.optim.Optimizer]:
    """A model with one frozen layer, and an optimizer that has a state."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.AdamW(model[1].parameters(), lr=0.1)
    step(model, optimizer)
    return model, optimizer


def step(model: Any, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(1, 4)).square().sum().backward()
    optimizer.step()


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    model, optimizer = started()
    save_checkpoint(tmp_path, model, [optimizer], {"step": 1, "best": None, "note": 0.1 + 0.2})
    expected = torch.rand(3), model[1].weight.detach().clone()
    step(model, optimizer)
    after = model[1].weight.detach().clone()

    fresh, other = started()
    step(fresh, other)
    state = load_checkpoint(tmp_path, fresh, [other])
    assert state == {"step": 1, "best": None, "note": 0.1 + 0.2}
    assert torch.equal(torch.rand(3), expected[0])
    assert torch.equal(fresh[1].weight, expected[1])
    step(fresh, other)
    assert torch.equal(fresh[1].weight, after)


def test_only_what_is_trained_is_kept_in_safetensors_and_json(tmp_path: Path) -> None:
    model, optimizer = started()
    save_checkpoint(tmp_path, model, [optimizer], {"step": 1})
    folder = tmp_path / "step-00000001"
    assert {path.name for path in folder.iterdir()} == {"weights.safetensors", "optimizer.safetensors", "state.json"}
    assert set(safetensors.torch.load_file(folder / "weights.safetensors")) == {"1.weight", "1.bias"}


def test_nothing_there_is_nothing(tmp_path: Path) -> None:
    model, optimizer = started()
    assert load_checkpoint(tmp_path / "none", model, [optimizer]) is None


def test_the_latest_and_the_best_are_kept(tmp_path: Path) -> None:
    model, optimizer = started()
    for number in (9, 10, 11):
        save_checkpoint(tmp_path, model, [optimizer], {"step": number})
        if number == 10:
            save_checkpoint(tmp_path, model, [optimizer], {"step": number}, name="best")
    assert {path.name for path in tmp_path.iterdir()} == {"step-00000011", "best"}
    best, latest = (load_checkpoint(tmp_path, model, [optimizer], name=name) for name in ("best", None))
    assert best is not None and best["step"] == 10
    assert latest is not None and latest["step"] == 11


def test_an_incomplete_checkpoint_is_passed_over(tmp_path: Path) -> None:
    model, optimizer = started()
    save_checkpoint(tmp_path, model, [optimizer], {"step": 1})
    incomplete = tmp_path / "step-00000002"
    incomplete.mkdir()
    (incomplete / "weights.safetensors").write_bytes(b"half")
    with pytest.warns(UserWarning, match="step-00000002: incomplete, skipped"):
        state = load_checkpoint(tmp_path, model, [optimizer])
    assert state is not None and state["step"] == 1


def test_what_a_kill_left_half_written_is_in_nobodys_way(tmp_path: Path) -> None:
    model, optimizer = started()
    left = tmp_path / ".step-00000003.tmp"
    left.mkdir()
    (left / "state.json").write_text("{}")
    assert load_checkpoint(tmp_path, model, [optimizer]) is None
    save_checkpoint(tmp_path, model, [optimizer], {"step": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", [None, "best"], ids=["latest", "best"])
@pytest.mark.parametrize(
    "full",
    [
        pytest.param(lambda patch: patch.setattr(os, "replace", no_space), id="at the renaming"),
        pytest.param(lambda patch: patch.setattr(safetensors.torch, "save_file", no_space), id="at the weights"),
        pytest.param(lambda patch: patch.setattr(os, "fsync", no_space), id="at the state"),
    ],
)
def test_a_full_disk_leaves_the_checkpoint_before(
    full: Callable[[pytest.MonkeyPatch], None], name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizer = started()
    save_checkpoint(tmp_path, model, [optimizer], {"step": 1}, name=name)
    kept = model[1].weight.detach().clone()
    step(model, optimizer)
    full(monkeypatch)
    with pytest.raises(LuthierError, match="No space left on device") as caught:
        save_checkpoint(tmp_path, model, [optimizer], {"step": 2}, name=name)
    monkeypatch.undo()
    assert caught.value.exit_code == 1
    assert str(tmp_path) in str(caught.value.where)
    assert [path.name for path in tmp_path.iterdir()] == [name or "step-00000001"]
    state = load_checkpoint(tmp_path, model, [optimizer], name=name)
    assert state is not None and state["step"] == 1
    assert torch.equal(model[1].weight, kept)


def test_the_best_before_stays_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old folder is moved aside first; when the second renaming fails it comes back."""
    model, optimizer = started()
    save_checkpoint(tmp_path, model, [optimizer], {"step": 1}, name="best")
    replace = os.replace

    def fails_for_the_new_one(source: Path, target: Path) -> None:
        return no_space() if Path(source).suffix == ".tmp" else replace(source, target)

    monkeypatch.setattr(os, "replace", fails_for_the_new_one)
    with pytest.raises(LuthierError):
        save_checkpoint(tmp_path, model, [optimizer], {"step": 2}, name="best")
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    assert json.loads((tmp_path / "best" / "state.json").read_text())["step"] == 1


LIMITED = """
import resource, signal, sys
from pathlib import Path
import torch
from luthier.core.errors import LuthierError
from luthier.training.checkpoint import save_checkpoint

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
place = Path(sys.argv[1])
save_checkpoint(place, torch.nn.Linear(4, 4), [], {"step": 1})
try:
    save_checkpoint(place, torch.nn.Linear(400, 400), [], {"step": 2})
except LuthierError as error:
    print(error.exit_code, error.what)
print(*sorted(path.name for path in place.iterdir()))
"""


def test_a_file_that_the_system_refuses_to_write(tmp_path: Path) -> None:
    """safetensors has an error of its own for it, which is no OSError."""
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    said, left = done.stdout.splitlines()
    assert said.startswith("1 cannot write the checkpoint's 6") and "File too large" in said  # 641,600 and the rest
    assert left == "step-00000001"
