"""The live table on a terminal, and the plain lines where there is none."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from luthier.core.types import Progress
from luthier.report.live import LiveTable, arm_of


class Clock:
    """A clock that goes on by a second each time it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain(width: int = 80) -> tuple[io.StringIO, Console]:
    file = io.StringIO()
    return file, Console(file=file, width=width)


def test_the_arm_in_a_runs_name() -> None:
    assert [arm_of(name) for name in ("lora-s0", "lora-0123456789abcdef-s12", "lead-3-s1")] == [
        "lora",
        "lora",
        "lead-3",
    ]


def test_plain_lines_have_no_control_codes_and_one_line_a_tenth() -> None:
    file, console = plain(width=20)
    clock = Clock()
    with LiveTable(["lora-s0"], primary="rougeL", console=console, clock=clock) as listen:
        listen(Progress("lora-s0", "load"))
        for step in range(1, 201):
            clock.now += 1
            listen(Progress("lora-s0", "train", step, 200, {"loss": 2.5, "learning_rate": 1e-4}))
        listen(Progress("lora-s0", "generate", 1, 1))
        listen(Progress("lora-s0", "done", values={"rougeL": 0.31}))
    lines = file.getvalue().splitlines()
    assert "\x1b" not in file.getvalue() and "\r" not in file.getvalue()
    assert len([line for line in lines if "train" in line]) == 11
    assert lines[0] == "lora-s0  load  (0/1 runs, no estimate yet)"
    assert any(
        line.startswith("lora-s0  train 100/200  loss 2.500  learning_rate 0.0001  (0/1 runs, about") for line in lines
    )
    assert lines[-1] == "lora-s0  done  rougeL 0.310  took 3.3 min  (1/1 runs)"


def test_every_validation_is_told_and_does_not_set_training_back() -> None:
    file, console = plain()
    listen = LiveTable(["lora-s0"], console=console, clock=Clock())
    for step in (10, 20, 30):
        listen(Progress("lora-s0", "train", step, 100, {"loss": 2.0}))
        listen(Progress("lora-s0", "validate", 1, 1, {"validation_loss": 2.0 - step / 100}))
    assert [line.split("  ")[2] for line in file.getvalue().splitlines() if "validate" in line] == [
        "validation_loss 1.900",
        "validation_loss 1.800",
        "validation_loss 1.700",
    ]


def test_a_failed_run_is_told() -> None:
    file, console = plain()
    listen = LiveTable(["lora-s0", "lora-s1"], console=console, clock=Clock())
    listen(Progress("lora-s0", "load"))
    listen(Progress("lora-s0", "failed"))
    assert file.getvalue().splitlines()[-1] == "lora-s0  failed  took 0 s  (1/2 runs, no estimate yet)"


def test_the_table_has_one_line_an_arm() -> None:
    console = Console(file=io.StringIO(), width=100, record=True, force_terminal=True)
    clock = Clock()
    names = [f"{arm}-s{seed}" for arm in ("zero_shot", "lora") for seed in range(2)]
    listen = LiveTable(names, workers=2, primary="rougeL", console=console, clock=clock)
    listen(Progress("zero_shot-s0", "load"))
    clock.now = 10.0
    listen(Progress("zero_shot-s0", "done", values={"rougeL": 0.2}))
    listen(Progress("lora-s0", "train", 30, 120, {"loss": 2.125}))
    listen(Progress("lora-s1", "failed"))
    console.print(listen.table())
    lines = console.export_text().splitlines()
    zero_shot = next(line for line in lines if line.startswith("zero_shot"))
    lora = next(line for line in lines if line.startswith("lora"))
    assert "1/2" in zero_shot and "waits" in zero_shot and "0.200" in zero_shot
    assert "1/2" in lora and "train 30/120, 1 failed" in lora and "2.125" in lora
    assert lines[-1].startswith("2/4 runs, about")
    assert all(len(line) <= 100 for line in lines)


def test_a_terminal_is_left_as_it_was() -> None:
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True, legacy_windows=False, _environ={"TERM": "xterm"})
    with LiveTable(["lora-s0"], console=console) as listen:
        listen(Progress("lora-s0", "train", 1, 2))
    assert "\x1b[?25l" in file.getvalue() and file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("\x1b[?25l")


def test_many_threads_may_speak_at_once() -> None:
    file, console = plain()
    names = [f"a-s{seed}" for seed in range(8)]
    listen = LiveTable(names, console=console)

    def speak(name: str) -> None:
        for step in range(1, 51):
            listen(Progress(name, "train", step, 50))
        listen(Progress(name, "done"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(speak, names))
    lines = file.getvalue().splitlines()
    assert len(lines) == 8 * 12
    assert sum("  done  " in line for line in lines) == 8
