"""Faults 1 and 5: a kill in the middle of a save, damaged checkpoints, and what kills leave behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from luthier.core import durable
from luthier.core.store import Store
from luthier.core.types import Result
from luthier.methods.full import Full
from luthier.training.checkpoint import load_checkpoint, save_checkpoint
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


def started() -> tuple[Any, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    step(model, optimizer)
    return model, optimizer


def step(model: Any, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(1, 4)).square().sum().backward()
    optimizer.step()


def killed_at(module: Any, name: str, time: int, *, after: bool = False) -> None:
    """Let this process die at the n-th call of a function, half of what it writes written where that can be."""
    original, calls = getattr(module, name), []

    def call(*arguments: Any, **keywords: Any) -> Any:
        calls.append(1)
        if len(calls) < time:
            return original(*arguments, **keywords)
        if after:
            original(*arguments, **keywords)
        elif name == "save_file":
            original(*arguments, **keywords)
            os.truncate(arguments[1], Path(arguments[1]).stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, call)


MOMENTS: dict[str, tuple[Callable[[], None], int]] = {
    "in the weights": (lambda: killed_at(safetensors.torch, "save_file", 1), 1),
    "in the optimizer": (lambda: killed_at(safetensors.torch, "save_file", 2), 1),
    "before the flush": (lambda: killed_at(durable, "sync_tree", 1), 1),
    "before the renaming": (lambda: killed_at(os, "replace", 1), 1),
    "after the first renaming": (lambda: killed_at(os, "replace", 1, after=True), 0),
    "after the last renaming": (lambda: killed_at(durable, "sync_file", 5), 2),
}
"""What kills, and the step whose checkpoint is then there; 0: the only one, or the one before of two."""


@pytest.mark.parametrize("name", [None, "best"], ids=["latest", "best"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_in_the_middle_of_a_save(moment: str, name: str | None, tmp_path: Path) -> None:
    model, optimizer = started()
    save_checkpoint(tmp_path, model, [optimizer], {"step": 1}, name=name)
    at = {1: model.weight.detach().clone()}
    step(model, optimizer)
    at[2] = model.weight.detach().clone()
    kill, expected = MOMENTS[moment]
    child = os.fork()
    if child == 0:
        try:
            kill()
            save_checkpoint(tmp_path, model, [optimizer], {"step": 2}, name=name)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    expected = expected or (1 if name else 2)  # only what is replaced is moved aside first

    fresh, other = started()
    step(fresh, other)
    state = load_checkpoint(tmp_path, fresh, [other], name=name)
    assert state is not None and state["step"] == expected
    assert torch.equal(fresh.weight, at[expected])
    save_checkpoint(tmp_path, fresh, [other], {"step": 2}, name=name)
    assert [path.name for path in tmp_path.iterdir()] == [name or "step-00000002"]


def truncated(file: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / file, (folder / file).stat().st_size // 2)


def without(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def of_another_model(folder: Path) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(2, 2)}, folder / "weights.safetensors")


FILES = ("weights.safetensors", "optimizer.safetensors", "state.json")
DAMAGES = {f"{how.__name__} {file}": how(file) for how in (truncated, without) for file in FILES}
DAMAGES["of another model"] = of_another_model


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_skipped_and_the_one_before_is_used(damage: str, tmp_path: Path) -> None:
    """Two are there where a kill came between writing the newer and removing the older."""
    model, optimizer = started()
    save_checkpoint(tmp_path, model, [optimizer], {"step": 1})
    older = model.weight.detach().clone()
    shutil.copytree(tmp_path / "step-00000001", tmp_path / "step-00000002")
    DAMAGES[damage](tmp_path / "step-00000002")
    fresh, other = started()
    step(fresh, other)
    with pytest.warns(UserWarning, match="step-00000002: incomplete, skipped"):
        state = load_checkpoint(tmp_path, fresh, [other])
    assert state is not None and state["step"] == 1
    assert torch.equal(fresh.weight, older)
    save_checkpoint(tmp_path, fresh, [other], {"step": 2})  # in the damaged one's place
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_checkpoint(tmp_path, fresh, [other]) is not None


def test_where_the_only_one_is_damaged_nothing_is_restored_by_half(tmp_path: Path) -> None:
    model, optimizer = started()
    save_checkpoint(tmp_path, model, [optimizer], {"step": 1})
    truncated("optimizer.safetensors")(tmp_path / "step-00000001")
    fresh, other = started()
    step(fresh, other)
    before, random_state = fresh.weight.detach().clone(), torch.get_rng_state()
    with pytest.warns(UserWarning, match="incomplete, skipped"):
        assert load_checkpoint(tmp_path, fresh, [other]) is None
    assert torch.equal(fresh.weight, before) and torch.equal(torch.get_rng_state(), random_state)


def test_a_kill_while_the_log_is_cut_back_loses_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines before the checkpoint are written once: whoever resumes must not lose them, nor a second time."""
    data, method = supervised_data(sequences(20)), Full()
    places: dict[str, Any] = {"checkpoints": tmp_path / "checkpoint", "log": tmp_path / "train.jsonl"}
    settings: dict[str, Any] = {"steps": 6, "checkpoint_minutes": ALWAYS, **places}
    with pytest.raises(InterruptionError):
        fit(attached(method), data, method, interrupt_at=4, **settings)
    with open(places["log"], "a") as file:
        file.write('{"step": 5, "lo')  # cut short
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(InterruptionError()))
        with pytest.raises(InterruptionError):
            fit(attached(method), data, method, **settings)
    fit(attached(method), data, method, **settings)
    assert [json.loads(line)["step"] for line in places["log"].read_text().splitlines()] == [1, 2, 3, 4, 5, 6]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_the_best_is_what_is_kept_even_where_it_is_damaged(tmp_path: Path) -> None:
    """Then the last weights are, and the record says so."""
    data = supervised_data(sequences(8), sequences(8, seed=1, answers=(11, 12, 13, 14, 15)))
    settings: dict[str, Any] = {
        "steps": 40, "validations": 20, "patience": 2, "schedule": "constant", "learning_rate": 3e-3
    }  # fmt: skip
    model, steps = attached(Full()), []

    def damage(phase: str, number: int) -> None:
        steps.append(number)
        if (tmp_path / "best").exists():
            (tmp_path / "best" / "state.json").unlink(missing_ok=True)

    with pytest.warns(UserWarning, match="best: incomplete, skipped"):
        fitted = fit(model, data, Full(), checkpoints=tmp_path, watch=damage, **settings)
    assert fitted.trained.kept_step == fitted.trained.steps == steps[-1]
    assert fitted.trained.validation_loss == fitted.validation_losses[steps[-1]]
    again = attached(Full())
    rate = settings.pop("learning_rate")
    fit(again, data, Full(), learning_rate=rate, **settings)
    assert not differing(weights(model), weights(again))


def test_what_kills_left_in_a_folder_is_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    step, run = store.step("train", "k"), store.run("lora-s0")
    step.finish({"steps": 3})
    run.describe({}, "", {})
    step.checkpoint.mkdir()  # the kill came between the marker and its removal
    left = [tmp_path / ".study.json.77.tmp", run.folder / ".result.json.77.tmp", step.folder / ".done.json.77.tmp"]
    for path in left:
        path.write_text("{")
    with store.held(), step.claimed():
        assert step.done
        assert not step.checkpoint.exists()
        assert not any(path.exists() for path in left)
    assert (run.folder / "spec.json").exists() and (step.folder / "done.json").exists()


@pytest.mark.parametrize("text", ["", '{"steps": 3', "[]"])
def test_a_marker_that_cannot_be_read_marks_nothing(text: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    step, run = store.step("train", "k"), store.run("lora-s0")
    step.finish({"steps": 3})
    run.finish(Result(arm="a", model="m", task="t", seed=0, digest="d", prompting="p", method="m", objective="o",
                      status="finished"))  # fmt: skip
    store.write_study({"runs": []})
    assert step.done and run.result() is not None and store.has_study()
    for path in (step.folder / "done.json", run.folder / "result.json", tmp_path / "study.json"):
        path.write_text(text)
    assert not step.done and run.result() is None and not store.has_study()
