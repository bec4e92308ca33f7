"""Whole plans: what fits, what it costs, and how it is said."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from luthier import cli
from luthier.core.errors import LuthierError
from luthier.methods.full import Full
from luthier.methods.none import NoMethod
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.objectives.supervised import Supervised
from luthier.planner import machines
from luthier.planner.advice import Fit, adaptation_ways, fits, sentence
from luthier.planner.machines import GPUS, Machine, find_machine
from luthier.planner.plan import Asked, Planned, make_plan
from luthier.planner.step import Way, trace
from luthier.planner.subject import rows
from luthier.planner.table import duration, print_plan, size_of
from tests.planner.small import config, subject


@pytest.fixture
def folder(tmp_path: Path) -> str:
    config("decoder", layers=1).save_pretrained(tmp_path)
    return str(tmp_path)


def printed(plan: Planned) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_plan(plan, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_largest_pass_is_the_last_that_fits(tmp_path: Path):
    found = subject(tmp_path, layers=1)
    asked = rows(found, count=4, length=32)
    machine = Machine("a tiny one", 3_000_000)
    way = Way(Full())
    (one,) = fits(found, [("full", way)], asked, Supervised(), machine)

    def peak(count: int) -> int:
        return trace(found, way, replace(asked, count=count, micro_tokens=10**6), Supervised()).peak_bytes

    assert one.rows > 6
    assert peak(one.rows) <= machine.usable_bytes < peak(one.rows + 1)
    assert one.most_bytes == pytest.approx(peak(one.rows), rel=0.001)


def test_where_nothing_fits_it_is_said(tmp_path: Path):
    found = subject(tmp_path, layers=1)
    machine = Machine("a box", 50_000)
    ways = adaptation_ways(Way(Full()), Way(Full()), Way(LoRA()))
    found_fits = fits(found, ways, rows(found, count=2, length=16), Supervised(), machine)
    assert [one.rows for one in found_fits] == [0, 0, 0]
    assert all(one.one_row_bytes > machine.usable_bytes for one in found_fits)


def test_a_batch_of_several_passes_holds_the_gradients_of_the_first(tmp_path: Path):
    """Full fine-tuning, four bytes a weight: what counts where a batch is cut into passes so that it fits."""
    found = subject(tmp_path, layers=1)
    asked = rows(found, count=64, length=32)
    machine, way = Machine("a tiny one", 2_000_000), Way(Full())
    (one,) = fits(found, [("full", way)], asked, Supervised(), machine)

    def peak(count: int, passes: int) -> int:
        cut = replace(asked, count=passes * count, micro_tokens=32 * count)
        return trace(found, way, cut, Supervised()).peak_bytes

    assert peak(one.rows, 3) <= machine.usable_bytes < peak(one.rows + 1, 2)
    assert peak(one.rows, 1) + 4 * 10_000 < one.most_bytes == pytest.approx(peak(one.rows, 2), rel=0.001)


@pytest.mark.slow
def test_another_method_is_weighed_beside_the_three(folder: str):
    tuning = PromptTuning(virtual_tokens=4)
    plan = make_plan(Asked(folder, tuning, batch_size=8, length=32, machine="L4"))
    assert [fit.name for fit in plan.fits] == ["prompt_tuning", "full", "LoRA", "QLoRA"]
    assert "take passes of 3 rows" in sentence(
        [Fit("prompt_tuning", 3, 10, 30), Fit("full", 1, 20, 20)], plan.rows, Machine("a box", 40), 50, "prompt_tuning"
    )


def test_a_plan_for_a_gpu_says_that_its_time_is_assumed(folder: str):
    plan = make_plan(Asked(folder, LoRA(), batch_size=4, length=32, machine="L4", examples=100, price=0.8))
    assert plan.precision == "bf16" and plan.steps == 50
    assert "bf16 over fp32 weights" in printed(plan)
    assert plan.cost == pytest.approx(50 * plan.step_seconds / 3600 * 0.8)
    text = printed(plan)
    assert "assumes 40% of the data sheet's peak; not measured" in text
    assert "50 steps" in text and "QLoRA" in text and "lora as asked fits" in text
    plain = plan.as_json()
    assert plain["memory"]["peak"] == plan.traced.peak_bytes
    assert json.loads(json.dumps(plain)) == plain


def test_a_plan_for_this_processor_takes_its_time_from_measurement(folder: str):
    plan = make_plan(Asked(folder, Full(), batch_size=4, length=32, machine="cpu"), seconds=lambda traced: 0.25)
    assert plan.machine.here and plan.step_seconds == 0.25 and plan.seconds is None and plan.cost is None
    assert "measured on this processor, 1 thread" in printed(plan)


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"method": NoMethod()}, "--method"),
        ({"machine": "h10"}, "--machine"),
        ({"purpose": "dreaming"}, "--objective"),
        ({"precision": "fp7"}, "--precision"),
        ({"machine": "T4", "precision": "bf16"}, "--precision"),
        ({"examples": 0}, "--examples"),
        ({"price": -1.0}, "--price"),
        ({"epochs": float("nan")}, "--epochs"),
        ({"threads": 0}, "--threads"),
        ({"utilisation": 40}, "--utilisation"),
    ],
)
def test_what_cannot_be_planned(folder: str, given: dict[str, object], option: str):
    asked = Asked(**{"model": folder, "method": LoRA(), "length": 32, "machine": "L4", **given})  # type: ignore[arg-type]
    with pytest.raises(LuthierError) as error:
        make_plan(asked)
    assert error.value.where == option and error.value.exit_code == 2


def test_steps_are_counted_as_the_training_loop_does(folder: str):
    """The last batch of each epoch may be a smaller one: 2 epochs of 3 steps, not 18 rows in fours."""
    asked = Asked(folder, Full(), batch_size=4, length=16, machine="L4", examples=9, epochs=2)
    assert make_plan(asked).steps == 6


@pytest.mark.parametrize(
    ("driver", "gigabytes", "name"),
    [
        ("NVIDIA H100 80GB HBM3", 85, "H100"),
        ("NVIDIA H100 PCIe", 85, "H100-PCIe"),
        ("NVIDIA A100-SXM4-40GB", 42, "A100-40"),
        ("NVIDIA A100 80GB PCIe", 85, "A100-80"),
        ("NVIDIA GeForce RTX 4090", 25, "RTX-4090"),
        ("NVIDIA RTX A6000", 51, "A6000"),
        ("Tesla V100-SXM2-16GB", 17, "V100"),
        ("NVIDIA L4", 24, "L4"),
        ("NVIDIA GeForce RTX 3060", 12, None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 17, None),
        ("NVIDIA L40", 48, None),
        ("NVIDIA A10G", 24, None),
    ],
)
def test_the_gpu_of_this_machine_is_one_of_the_table_or_not_known(
    monkeypatch: pytest.MonkeyPatch, driver: str, gigabytes: int, name: str | None
):
    there = {"gpus": [{"name": driver, "memory_bytes": gigabytes * 10**9}]}
    monkeypatch.setattr(machines, "capture_environment", lambda: there)
    if name is None:
        with pytest.raises(LuthierError, match="is not known"):
            find_machine("here")
    else:
        assert replace(find_machine("here"), name=name, memory_bytes=0) == replace(find_machine(name), memory_bytes=0)


def test_gpus_are_found_however_they_are_written():
    assert find_machine("rtx 4090") is find_machine("RTX-4090") is find_machine("GeForce RTX 4090")
    assert len({gpu.name for gpu in GPUS}) == len(GPUS)
    for gpu in GPUS:
        assert gpu.bf16_flops == 0 or gpu.bf16_flops > gpu.fp32_flops > 0
        assert gpu.bandwidth > 1e11


def test_the_command(folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    words = [
        "luthier",
        "plan",
        folder,
        "--method",
        "lora",
        "--set",
        "rank=2",
        "--length",
        "32",
        "--machine",
        "T4",
        "--json",
    ]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["method"] == "lora(rank=2)" and plain["precision"] == "fp32"
    assert [one["name"] for one in plain["fits"]] == ["full", "LoRA", "QLoRA"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "lore"], "did you mean lora"),
        (["--length", "-3"], "--length"),
        (["--set", "rnk=2"], "rank"),
        (["--flops", "1e21"], "add --scaling"),
        (["--scaling"], "asked by numbers"),
    ],
)
def test_mistakes_are_one_message(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
):
    monkeypatch.setattr(sys, "argv", ["luthier", "plan", folder, "--machine", "L4", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and said in capsys.readouterr().err


def test_sizes_and_times_in_words():
    assert [size_of(size) for size in (12, 3400, 5.6e6, 7.89e9)] == ["12 B", "3.40 kB", "5.60 MB", "7.89 GB"]
    assert [duration(s) for s in (5e-5, 0.25, 90, 600, 36000)] == [
        "0.05 ms",
        "250 ms",
        "90.0 s",
        "10 min",
        "10.0 hours",
    ]
