"""The speed benchmarks: the work is what it says, figures follow from what was timed, and runners take turns."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import study16, study16_gpu
from benchmarks.methods_speed import table as methods_table
from benchmarks.speed.ceiling import training_flops
from benchmarks.speed.figures import Figures, answers_table, extrapolated, goals, training_table
from benchmarks.speed.folder import empty_folder
from benchmarks.speed.gates import compared, memory_gate, precision_gate, same_losses, stacked_gate, start_gate
from benchmarks.speed.lengths import PAIRS, lengths
from benchmarks.speed.line_up import BOUND, OURS, RANDOM, SORTED
from benchmarks.speed.method_cells import ARCHITECTURES, make_cells
from benchmarks.speed.our_study import OurStudy, run_study, weights_of
from benchmarks.speed.peer import Runner, Timed, failed, in_turns, rows_in
from benchmarks.speed.text_table import text_table
from benchmarks.speed.work import FULL, QUICK, Pair, Size, given_order, grouped_order, make_work
from benchmarks.speed_growth import Point
from benchmarks.speed_growth import table as growth_table
from luthier.core.types import Message
from luthier.models.load import find_model, load_tokenizer
from luthier.models.tokens import Renderer

TINY = Size(16, 1, 2, 32, 64)


def timed(name: str, rate: float, **other: Any) -> Timed:
    return Timed(name, wall=[1.0, 2.0, 1.0], cpu=[0.5, 1.0, 0.5], tokens=[int(rate), int(2 * rate), 10**6], **other)


def test_pairs_have_the_lengths_of_dialogsum() -> None:
    assert statistics.mean(prompt + completion for prompt, completion in PAIRS) == pytest.approx(206, abs=2)
    assert statistics.mean(completion for _, completion in PAIRS) == pytest.approx(29, abs=1)
    assert sorted(lengths(len(PAIRS))) == sorted(PAIRS)
    assert list(lengths(5)) == list(lengths(5)) != list(lengths(5, seed=1))


def test_the_models_have_the_sizes_that_are_claimed() -> None:
    assert 56e6 < FULL.parameters < 58e6
    assert 10e6 < QUICK.parameters < 11e6


def test_words_become_the_ids_that_peers_are_given(tmp_path: Path) -> None:
    work = make_work(tmp_path, TINY, pairs=5, prompts=2)
    renderer = Renderer(load_tokenizer(find_model(str(work.model))), 2048)
    for line, pair in zip((tmp_path / "train.jsonl").read_text().splitlines(), work.train, strict=True):
        row = json.loads(line)
        encoded = renderer.encode("x", (Message("user", row["prompt"]),), row["completion"])
        assert encoded.ids == pair.ids
        assert encoded.prompt_length == pair.prompt_length


def test_orders_hold_every_row_once() -> None:
    pairs = [Pair(tuple(range(place % 7 + 2)), 1) for place in range(20)]
    for order in (given_order(20), grouped_order(pairs)):
        assert sorted(place for batch in order for place in batch) == list(range(20))
    whole = max((batch for batch in grouped_order(pairs) if len(batch) == 8), key=len)
    spread = [len(pairs[place].ids) for place in whole]
    assert max(spread) - min(spread) <= 3
    assert len(rows_in([[0, 1], [2, 3], [4]], pairs)) == 4


def test_flops_of_a_token() -> None:
    size, pair = Size(10, 2, 1, 20, 100), Pair((4, 5, 6, 7), 3)
    linear = 2 * (4 * 100 + 3 * 200)
    assert size.linear_parameters == linear
    adapters = 2 * 3 * (8 * 10 + 3 * 30)
    attention, head = 12 * 10 * (2.5 + 3 / 4), 100 * 10 / 4  # the last layer looks from the third position alone
    unread = 3 / 4 * (2 * 100 + 3 * 200)
    full = 6 * (linear - unread) + attention + 6 * head
    assert training_flops(size, [pair], None) == pytest.approx(full)
    unread_adapters = 3 / 4 * 3 * (4 * 10 + 3 * 30)
    into_embeddings = 2 * 3 * (100 + 3 * 10)
    lora = 4 * (linear - unread) + 6 * (adapters - unread_adapters) + attention + 4 * head - into_embeddings
    assert training_flops(size, [pair], 3) == pytest.approx(lora)


def test_rates_are_medians() -> None:
    assert timed("a", 100).rate == 100
    assert timed("a", 100).cpu_rate == 200
    assert failed(Timed("a", note="failed: x"))
    assert not failed(timed("a", 1, note="2 rounds only: slow"))


SCRIPT = """
import sys; sys.path.insert(0, {folder!r})
from runner import Channel
channel = Channel()
channel.say(ready=True)
while True:
    order = channel.wait()
    print("noise")
    if channel.settings.get("fails"):
        raise ValueError("broken")
    rates = channel.settings.get("rates", [1])
    channel.done(tokens=7, loss=1.5, rates={{"x": rates.pop() if len(rates) > 1 else rates[0]}})
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = Path(study16.ROOT) / "benchmarks" / "speed"
    path = tmp_path / "run_toy.py"
    path.write_text(SCRIPT.format(folder=str(folder)), encoding="utf-8")
    return path


def test_runners_work_in_turns(script: Path, tmp_path: Path) -> None:
    runners = {
        "good": Runner(sys.executable, str(script), {"rates": [2, 5, 3]}, tmp_path / "good.log"),
        "bad": Runner(sys.executable, str(script), {"fails": 1}, tmp_path / "bad.log"),
    }
    found = in_turns(runners, rounds=3, seconds=60, record=tmp_path / "found.json")
    kept = {one["name"]: one for one in json.loads((tmp_path / "found.json").read_text())}
    assert kept["good"]["wall"] == found["good"].wall and "broken" in kept["bad"]["note"]
    assert found["good"].tokens == [7, 7, 7]  # the warm-up does not count
    assert found["good"].losses == [1.5] * 4
    assert found["good"].peak_bytes > 1e6
    assert found["good"].extra["rates"] == {"x": 5}  # the best, not the last
    assert not found["good"].note
    assert "broken" in found["bad"].note and failed(found["bad"])
    assert all(runner.process.poll() is not None for runner in runners.values())


def test_a_slow_runner_leaves_the_rounds(script: Path, tmp_path: Path) -> None:
    runner = Runner(sys.executable, str(script), {}, tmp_path / "log")
    found = in_turns({"slow": runner}, rounds=5, seconds=0.0)["slow"]
    assert len(found.wall) == 1
    assert found.note == "its warm-up alone: slow"
    assert not failed(found)


def figures() -> Figures:
    training = {
        8: {
            "TRL as installed": timed("TRL as installed", 100),
            "TRL tuned, bf16": timed("TRL tuned, bf16", 150),
            "TRL tuned, fp32": timed("TRL tuned, fp32", 200),
            "litgpt fp32": Timed("litgpt fp32", note="failed: no litgpt"),
            OURS: timed(OURS, 600),
            "products": Timed("products", [1.0], [1.0], [0], extra={"rates": {"fp32": 2e9, "bf16": 4e9}}),
        }
    }
    answers = {
        RANDOM: timed(RANDOM, 10),
        SORTED: timed(SORTED, 14),
        OURS: timed(OURS, 20),
    }
    ours = OurStudy(100.0, 2, 16, 1000, 5.0, 100, 4.0, 10**8, 3.0, 2.0)
    return Figures({8: 1e6}, 1000, 16, [8], 960, 2, ours, training, answers, [])


def test_tables_and_totals_follow_from_the_rates() -> None:
    found = figures()
    lines = training_table(found).splitlines()
    assert next(line for line in lines if line.startswith("TRL as installed")).split()[5] == "6.00x"
    assert next(line for line in lines if line.startswith(OURS)).split()[5] == "15%"  # 600 x 1e6 of 4e9
    assert "failed: no litgpt" in training_table(found)
    assert "2.00x" in answers_table(found)
    totals = {name: (seconds, how) for name, seconds, how in extrapolated(found)}
    assert totals[f"{OURS}, on the clock"] == (100.0, "measured")
    assert totals["TRL as installed"] == ((16 * 1000 / 100 + 960 / 10) / 2, "extrapolated")
    assert totals["TRL tuned, fp32"][0] == (16 * 1000 / 200 + 960 / 14) / 2
    assert "litgpt fp32" not in totals
    assert goals(found)[0].startswith("6.00x TRL as installed")
    assert goals(found)[1].startswith("3.00x TRL tuned, fp32")
    assert goals(found)[2] == "litgpt: not measured"
    assert [line.split()[0] for line in goals(found)[3:]] == ["2.00x", "1.43x", "15%"]
    assert goals(found)[5] == "15% of the bf16 ceiling (goal 60%, floor 50%)"


def test_the_bound_is_no_peer() -> None:
    found = figures()
    found = replace(found, training={8: {**found.training[8], BOUND: timed(BOUND, 1000)}})
    assert goals(found)[0].endswith("frozen products alone, fp32 would be 10.00x")
    assert BOUND in training_table(found)
    assert BOUND not in [name for name, _, _ in extrapolated(found)]


@pytest.mark.slow
def test_products_of_a_step_alone(tmp_path: Path) -> None:
    settings = {"rows": [[[4, 5, 6, 7], 2]] * 8, "size": asdict(TINY), "batch_size": 8}
    found = in_turns({BOUND: Runner(sys.executable, "run_products.py", settings, tmp_path / "log")}, 2, 60)[BOUND]
    assert not failed(found) and found.tokens == [32, 32]


def test_totals_say_where_a_rank_stands_for_others() -> None:
    found = replace(figures(), ranks=(4, 8))
    assert {how for _, _, how in extrapolated(found)[1:]} == {"extrapolated: rank 8 stands for 4, 8"}
    two = replace(found, training={**found.training, 4: found.training[8], 32: {OURS: timed(OURS, 1)}})
    assert {how for _, _, how in extrapolated(two)[1:]} == {"extrapolated"}
    assert next(seconds for name, seconds, _ in extrapolated(two)[1:] if name == OURS) == extrapolated(found)[-1][1]


def test_answers_may_part_only_at_a_near_tie() -> None:
    ours = ["w5 w6", "w5 w7", "w5 w7", "w5"]
    theirs = [([5, 6], [1, 1]), ([5, 8], [1, 1]), ([5, 8], [1, 1e-5]), ([5, 1], [1, 1])]
    assert compared(ours, theirs) == (1, 1, 5)
    assert compared(["w5 <s> w7"], [([5, 2, 8], [1, 1e-5, 1])]) == (1, 0, 1)  # the margin is of the word that differs


def test_gates_know_their_bounds() -> None:
    assert start_gate(6.0, 4.9).held and not start_gate(7.0, 5.1).held
    assert start_gate(1.0, 0.0).held is None
    for one, other, held in (
        ([1.0, 2.0], [1.0, 2.00001], True), ([1.0, 2.0], [1.0, 2.1], False), ([1.0, math.nan], [1.0, 2.0], False),
        ([1.0], [1.0, 2.0], False), ([], [], None),
    ):  # fmt: skip
        assert same_losses("x", [([1.0], [1.0]), (one, other)] if one else [(one, other)]).held is held
    assert precision_gate([[3.0], [3.2]], [[3.1], [3.3]]).held
    assert precision_gate([[3.0], [3.2]], [[3.4], [3.6]]).held is False
    assert precision_gate([[3.0], [3.2]], [[math.nan], [3.1]]).held is False
    ours = timed(OURS, 1, peak_bytes=10)
    assert memory_gate(ours, []).held is None
    assert memory_gate(ours, [timed("a", 1, peak_bytes=20)]).held
    assert not memory_gate(ours, [timed("a", 1, peak_bytes=20), timed("b", 1, peak_bytes=9)]).held


def test_stacked_arms_are_compared_step_by_step(tmp_path: Path) -> None:
    for name, losses in (("stacked", (2.0, 1.5)), ("single", (2.0, 1.50001)), ("other", (2.0, 1.6)), ("none", ())):
        (tmp_path / name / "train" / "key").mkdir(parents=True)
        lines = [json.dumps({"step": step + 1, "loss": loss}) + "\n" for step, loss in enumerate(losses)]
        (tmp_path / name / "train" / "key" / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    assert stacked_gate(tmp_path / "stacked", tmp_path / "single").held
    assert stacked_gate(tmp_path / "stacked", tmp_path / "other").held is False
    assert stacked_gate(tmp_path / "none", tmp_path / "single").held is False
    assert stacked_gate(tmp_path / "nowhere", tmp_path / "single").held is None


def test_other_tables() -> None:
    text = text_table(("a", "b", ""), [("x", "1", "note"), ("long name", "22", "")])
    assert text.splitlines()[2:] == ["x           1  note", "long name  22"]
    cells: dict[str, dict[str, Any]] = {name: {} for name in ARCHITECTURES}
    cells["llama"] = {
        "lora": {"cpu_ratio": 1.2, "wall_ratio": 1.3, "loss_difference": 2e-3},
        "bitfit": {"refused": "no biases"},
    }
    assert "1.20x (1.30x) 2e-03 !" in methods_table(cells)
    assert "lora on llama: first losses are 2.0e-03 apart" in methods_table(cells)
    assert "bitfit on llama: no biases" in methods_table(cells)
    points = [Point("length", "64", 1e-3, 1e-3, 1e6), Point("length", "128", 2e-3, 2e-3, 4e6)]
    assert growth_table(points).splitlines()[-1].split() == ["length", "128", "2000", "2000", "2.00", "0.50"]


def test_quick_changes_only_what_is_not_given() -> None:
    options = study16.parsed(["--quick", "--steps", "7"])
    assert (options.steps, options.ranks) == (7, [8])
    options = study16.parsed(["--share", "0.1", "--arms", "8"])
    assert (options.pairs, options.prompts, options.steps, options.ranks) == (200, 50, 40, (4, 8))


def test_what_was_measured_before_is_not_measured_again(tmp_path: Path) -> None:
    assert empty_folder(str(tmp_path)) == tmp_path
    (tmp_path / "store").mkdir()
    with pytest.raises(argparse.ArgumentTypeError, match="not an empty folder"):
        empty_folder(str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        study16.parsed(["--out", str(tmp_path)])
    assert ended.value.code == 2
    with pytest.raises(RuntimeError, match="not empty"):
        run_study(tmp_path / "x.yaml", tmp_path, workers=1)


@pytest.mark.slow
def test_a_tiny_study_is_run_and_read(tmp_path: Path) -> None:
    work = make_work(tmp_path / "work", TINY, pairs=8, prompts=2)
    found = run_study(work.study("tiny", [2], [1e-3], [0]), tmp_path / "out", workers=1)
    assert found.runs == 1
    assert found.train_tokens == sum(len(pair.ids) for pair in work.train)
    assert 0 < found.loop_began <= found.first_step <= found.seconds
    assert (weights_of(tmp_path / "out", "rank 2 rate 0.001") / "adapter_config.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_plain_loop_stands_beside_a_run(architecture: str, tmp_path: Path) -> None:
    from benchmarks.methods_speed import cell

    cells = make_cells(tmp_path, architecture, pairs=32, d_model=16, layers=2)
    found = cell(cells, "lora", tmp_path, rounds=1)
    assert found["cpu_ratio"] > 0
    assert found["loss_difference"] < 1e-4


def test_the_gpu_script_has_models_of_its_sizes() -> None:
    assert 0.9e9 < study16_gpu.LARGE.parameters < 1.3e9
