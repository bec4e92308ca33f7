"""Fault 7: SIGTERM and Ctrl-C save what is being trained, and say how to go on."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from luthier.core import interruption
from luthier.core.interruption import Interrupted, answered, put_off
from luthier.core.store import Store
from luthier.core.types import Progress
from luthier.methods.reparameterised.lora import LoRA
from luthier.run import run
from luthier.study import Study
from tests.small_study import steps
from tests.training.small import attached, differing, fit, sequences, supervised_data, weights

DATA, METHOD = supervised_data(sequences(20)), LoRA(dropout=0.3)


@pytest.fixture(autouse=True)
def handlers_stay() -> Iterator[None]:
    """Python's own handlers, as a command has them: a job in the background is started with Ctrl-C ignored."""
    found = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    own = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    for number, handler in own.items():
        signal.signal(number, handler)
    before = [signal.getsignal(number) for number in interruption.SIGNALS]
    yield
    assert [signal.getsignal(number) for number in interruption.SIGNALS] == before
    assert not interruption.asked()
    for number, was in found.items():
        signal.signal(number, was)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_training_ends_its_step_saves_and_stops(number: int, code: int, tmp_path: Path) -> None:
    whole = fit(attached(METHOD), DATA, METHOD, steps=9)

    def ask(phase: str, step: int) -> None:
        if step == 4:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted) as stopped:
        fit(attached(METHOD), DATA, METHOD, steps=9, checkpoints=tmp_path, watch=ask)  # five minutes a checkpoint
    assert stopped.value.exit_code == code
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000004"]
    rest = fit(attached(METHOD, seed=7), DATA, METHOD, steps=9, checkpoints=tmp_path)
    assert rest.losses == whole.losses[4:]
    assert not differing(weights(rest.model), weights(whole.model))


def test_a_training_outside_the_main_thread_touches_no_handler() -> None:
    done: list[int] = []

    def work() -> None:
        fit(attached(METHOD), DATA, METHOD, steps=2, watch=lambda *_: seen.append(signal.getsignal(signal.SIGTERM)))
        done.append(1)

    seen: list[Any] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done and set(seen) == {signal.SIG_DFL}


def test_what_is_ignored_stays_ignored_and_a_callers_handler_stays() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mine = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with answered(), put_off():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            assert not interruption.asked()
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, mine)


def test_a_second_signal_is_the_systems_to_answer_and_a_worker_ignores_it() -> None:
    def ask(times: int) -> None:
        with put_off():
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGTERM)
            assert interruption.asked()
            left.extend(signal.getsignal(number) for number in interruption.SIGNALS)

    left: list[Any] = []
    with pytest.raises(Interrupted):
        ask(1)
    assert left == [signal.SIG_DFL] * 2
    with pytest.raises(Interrupted), answered(afterwards=signal.SIG_IGN):
        ask(3)


def test_in_an_evaluation_the_training_is_kept(make_study: Callable[..., Study], tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    (spec,) = make_study(arms=["lora"]).plan(device="cpu", check_lengths=False).runs

    def ask(event: Progress) -> None:
        if event.phase == "generate":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted), answered():
        run(spec, store, listener=ask)
    trained = steps(store, "train")
    assert len(trained) == 1 and not steps(store, "predict") and store.run(spec.folder).result() is None
    result = run(spec, store)
    assert result.status == "finished" and steps(store, "train") == trained
    assert result.scores == run(spec, Store(tmp_path / "other")).scores


@pytest.mark.slow
@pytest.mark.parametrize(("number", "workers", "code"), [(signal.SIGTERM, 2, 143), (signal.SIGINT, 1, 130)])
def test_the_command_saves_and_says_how_to_go_on(
    number: int, workers: int, code: int, study_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """The signal goes to the whole group, as Ctrl-C and batch systems send it."""
    arms = [{"name": name, "method": name, "steps": 1_000_000} for name in ("full", "lora")]
    out = tmp_path / "an out"
    words = ["study", str(study_yaml(arms=arms)), "--out", str(out), "--device", "cpu", "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-m", "luthier.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 300
        while len(list(out.glob("train/*/train.jsonl"))) < workers and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.2)
        time.sleep(1)
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code
    assert f"stopped; what was done is kept; to go on: luthier {shlex.join(words)}\n" in said
    assert "Traceback" not in said
    assert len(list(out.glob("train/*/checkpoint/step-*/state.json"))) == workers
    with Store(out).held():
        pass
