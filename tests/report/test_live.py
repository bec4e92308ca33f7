"""The live table on a terminal, and the plain lines where there is none."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from luthier.core.types import Progress
from luthier.report.live import LiveTable, arm_of, labels


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


def test_a_run_is_called_by_its_arm_and_seed() -> None:
    one, two = "lora-0123456789abcdef-s0", "lora-fedcba9876543210-s0"
    assert labels([one, "lead-3-s1", "house"]) == {one: "lora s0", "lead-3-s1": "lead-3 s1", "house": "house"}
    assert labels([one, two]) == {one: "lora s0 0123", two: "lora s0 fedc"}, "on two tasks, an arm has two runs a seed"


def test_plain_lines_have_no_control_codes_and_one_line_a_quarter() -> None:
    file, console = plain(width=20)
    clock = Clock()
    run = "lora-0123456789abcdef-s0"
    with LiveTable([run], primary="rougeL", console=console, clock=clock) as listen:
        listen(Progress(run, "load"))
        for step in range(1, 201):
            clock.now += 1
            listen(Progress(run, "train", step, 200, {"loss": 2.5, "tokens_per_second": 512.0}))
            if step in (60, 200):
                listen(Progress(run, "validate", step, 200, {"validation_loss": 2 + step / 200}))
        listen(Progress(run, "load"))
        for done in range(1, 21):
            listen(Progress(run, "generate", done, 20))
        listen(Progress(run, "score"))
        listen(Progress(run, "done", values={"rougeL": 0.31, "rougeL_precision": 0.4, "nll": 2.0}))
    said = file.getvalue()
    assert "\x1b" not in said and "\r" not in said
    lines = said.splitlines()
    assert lines[0] == "lora s0  load  (0/1 runs, no estimate yet)"
    assert [line.partition("  (")[0] for line in lines[1:]] == [
        "lora s0  train 1/200  loss 2.500",
        "lora s0  train 50/200  loss 2.500",
        "lora s0  train 100/200  loss 2.500",
        "lora s0  train 150/200  loss 2.500",
        "lora s0  train 200/200  loss 2.500",
        "lora s0  validate  validation loss 3.000",
        "lora s0  generate",
        "lora s0  done  rougeL 0.310  took 3.3 min",
    ]
    assert "(0/1 runs, about" in lines[3] and lines[-1].endswith("(1/1 runs)")


def test_every_stage_of_an_arm_is_told() -> None:
    file, console = plain()
    listen = LiveTable(["two-s0"], console=console, clock=Clock())
    for _ in range(2):
        listen(Progress("two-s0", "load"))
        for step in (1, 100, 200):
            listen(Progress("two-s0", "train", step, 200, {"loss": 2.0}))
    assert [line.split("  ")[1] for line in file.getvalue().splitlines()] == [
        "load",
        *["train 1/200", "train 100/200", "train 200/200"] * 2,
    ]


def test_a_run_kept_from_before_is_told_as_such() -> None:
    file, console = plain()
    listen = LiveTable(["lora-s0"], primary="rougeL", console=console, clock=Clock())
    listen(Progress("lora-s0", "done", values={"rougeL": 0.31}))
    assert file.getvalue() == "lora s0  kept  rougeL 0.310  (1/1 runs)\n"


def test_a_failed_run_is_told() -> None:
    file, console = plain()
    listen = LiveTable(["lora-s0", "lora-s1"], console=console, clock=Clock())
    listen(Progress("lora-s0", "load"))
    listen(Progress("lora-s0", "failed"))
    assert file.getvalue().splitlines()[-1] == "lora s0  failed  took 0 s  (1/2 runs, no estimate yet)"


def table_of(width: int) -> list[str]:
    """Two arms, of which one has a failed run and one that trains."""
    console = Console(file=io.StringIO(), width=width, record=True, force_terminal=True)
    clock = Clock()
    names = [f"{arm}-s{seed}" for arm in ("zero_shot", "lora_on_every_linear_layer") for seed in range(3)]
    listen = LiveTable(names, workers=2, primary="rougeL", console=console, clock=clock)
    listen(Progress("zero_shot-s0", "load"))
    clock.now = 10.0
    listen(Progress("zero_shot-s0", "done", values={"rougeL": 0.2}))
    listen(Progress("zero_shot-s1", "generate", 5, 10))
    listen(Progress("zero_shot-s2", "generate", 2, 10))
    listen(Progress("lora_on_every_linear_layer-s0", "train", 30, 120, {"loss": 2.125}))
    listen(Progress("lora_on_every_linear_layer-s1", "failed"))
    console.print(listen.table())
    lines = console.export_text().splitlines()
    assert all(len(line) <= width for line in lines)
    return lines


def test_the_table_has_one_line_an_arm() -> None:
    lines = table_of(100)
    zero_shot, lora = lines[2:4]
    assert zero_shot.split()[:2] == ["zero_shot", "1/3"] and "generate 50% 20%" in zero_shot and "0.200" in zero_shot
    assert lora.split()[:2] == ["lora_on_every_lin…", "1/3"]
    assert "1 failed, train 30/120" in lora and "2.125" in lora and lora.endswith(" s")
    assert "━" in zero_shot and lines[-1].startswith("2/6 runs, about")


def test_a_narrow_table_keeps_the_arm_what_goes_on_and_the_score() -> None:
    eighty, sixty = table_of(80), table_of(60)
    assert "1 failed, train…" in eighty[3] and "2.125" in eighty[3] and "━" in eighty[3]
    assert sixty[2].startswith("zero_shot") and "generate 50%" in sixty[2] and "0.200" in sixty[2]
    assert "━" not in "".join(sixty[2:])


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
    assert len(lines) == 8 * 6
    assert sum("  done" in line for line in lines) == 8
