"""On a GPU: LoRA beside TRL + PEFT, full fine-tuning beside the peak, sixteen stacked arms beside sixteen runs.

    python benchmarks/study16_gpu.py --trl-python trl/bin/python [--json FILE]

- A Llama of 1B parameters (d_model 2048, 16 layers, vocabulary 32k), random weights in bf16, pairs of DialogSum's
  lengths, batch 8: LoRA of rank 8 in Luthier beside TRL + PEFT as installed, and padding-free with flash attention
  where TRL's environment has it (else padded, without checkpointing). Steps in turns, medians of real tokens a second.
  Goal 1.5x.
- The same model, full fine-tuning: model FLOPs by seconds, over the peak of bf16 matrix products measured in the same
  run. The head is counted where it is needed, at the completion. Goal 45%.
- The 57M model: the training seconds of a study of 16 LoRA arms, which are stacked over one base pass where the library
  finds that to win (8 of each seed: two stacks of 8), beside those of the same 16 trained one after the other. No
  start-up on either side: seconds are those in the trainings' records. Goal 6x.

`--device cpu --tiny` goes through the same steps with toy models, to see that the script works.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.speed.ceiling import training_flops  # noqa: E402
from benchmarks.speed.folder import empty_folder  # noqa: E402
from benchmarks.speed.machine import machine  # noqa: E402
from benchmarks.speed.our_study import run_study  # noqa: E402
from benchmarks.speed.peer import Runner, Timed, failed, in_turns, rows_in  # noqa: E402
from benchmarks.speed.text_table import text_table  # noqa: E402
from benchmarks.speed.work import BATCH, FULL, RANKS, RATES, SEEDS, Size, Work, given_order, make_work  # noqa: E402

LARGE = Size(2048, 16, 32, 8192, 32_000)
TINY = Size(32, 2, 2, 64, 512)
RANK = 8


def steps_in_turns(work: Work, options: argparse.Namespace, out: Path) -> dict[str, Timed]:
    """LoRA and full fine-tuning by ourselves, LoRA by TRL, and matrix products between."""
    device = options.device
    lora, full = work.study("lora", [RANK], [1e-4], [0]), work.study("full", [], [1e-5], [0], method={"full": {}})
    ours = {"prompts": 0, "device": device}
    runners = {
        "Luthier, LoRA": Runner(
            sys.executable, "run_luthier.py",
            {**ours, "study": str(lora), "arm": f"rank {RANK} rate 0.0001", "out": str(out / "lora")}, out / "lora.log",
        ),
        "Luthier, full": Runner(
            sys.executable, "run_luthier.py",
            {**ours, "study": str(full), "arm": "full", "out": str(out / "full")}, out / "full.log",
        ),
        "products": Runner(sys.executable, "run_gemm.py", {"device": device, "bf16": True}, out / "products.log"),
    }  # fmt: skip
    if options.trl_python:
        for name, config in _trl_settings(options).items():
            settings = {
                "model": str(work.model), "rank": RANK, "batch_size": BATCH, "out": str(out / "trl"), "config": config,
                "rows": rows_in(given_order(len(work.train)), work.train),
            }  # fmt: skip
            runners[name] = Runner(options.trl_python, "run_trl.py", settings, out / f"{name}.log".replace(" ", "_"))
    return in_turns(runners, options.steps, seconds=600.0)


def _trl_settings(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    cpu: dict[str, Any] = {"use_cpu": True} if options.device == "cpu" else {}
    flash = not subprocess.run(
        [str(options.trl_python), "-c", "import flash_attn"], capture_output=True, check=False
    ).returncode
    tuned: dict[str, Any] = {**cpu, "gradient_checkpointing": False}
    if flash and not cpu:
        model = {"attn_implementation": "flash_attention_2", "dtype": "bfloat16"}
        tuned |= {"padding_free": True, "max_length": None, "model_init_kwargs": model}
    else:
        tuned |= {"model_init_kwargs": {"dtype": "bfloat16"}}
    name = "TRL, padding-free, flash attention" if flash and not cpu else "TRL, no checkpointing (no flash-attn there)"
    return {"TRL as installed": cpu, name: tuned}


def stacked(size: Size, options: argparse.Namespace, out: Path) -> dict[str, float]:
    """Training seconds of 16 arms as the study has them, and one by one; and how many went into a stack, by record."""
    from luthier.core.store import Store
    from luthier.run import run
    from luthier.study import Study

    work = make_work(out / "stacked", size, options.pairs, 1)
    study = work.study("arms", RANKS, RATES, SEEDS)
    together, single = out / "together", Store(out / "single")
    ours = run_study(study, together, workers=1, device=options.device)
    specs = Study.load(study).plan(device=options.device).runs
    for spec in specs:
        result = run(spec, single, device=options.device)
        if result.status != "finished":
            raise RuntimeError(f"{spec.folder}: {result.error}")
    keys = [spec.train_keys()[0] for spec in specs]
    records = [[store.step("train", key).record() for key in keys] for store in (Store(together), single)]
    return {
        "together": ours.train_seconds,
        "one by one": sum(record["seconds"] for record in records[1]),
        "in a stack": max(record.get("stacked", 1) for record in records[0]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try the script")
    parser.add_argument("--tiny", action="store_true", help="toy models")
    parser.add_argument("--steps", type=int, default=20, help="timed steps")
    parser.add_argument("--pairs", type=int, default=400, help="training pairs of each of the 16 arms")
    parser.add_argument("--trl-python", type=Path, help="of an environment with trl and peft")
    parser.add_argument("--out", type=empty_folder, help="an empty folder to work in; a temporary one by default")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    options = parser.parse_args(arguments)
    out = options.out or Path(tempfile.mkdtemp(prefix="luthier-gpu-"))
    large, small = (TINY, TINY) if options.tiny else (LARGE, FULL)
    work = make_work(out / "work", large, BATCH * (options.steps + 3), 4, dtype="bfloat16")
    timed = steps_in_turns(work, options, out)
    seconds = stacked(small, options, out)
    where = machine()
    print(f"{device_name(options.device)}, {where['date']}: {where['command']}\n")
    print(table(timed, work, large))
    ratio, each = seconds["one by one"] / seconds["together"], seconds["in a stack"]
    how = f"{16 / each:.0f} stacks of {each:.0f}, one a seed" if each > 1 else "not stacked here"
    print(
        f"\ntraining 16 arms: {seconds['together']:.1f} s in the study ({how}), "
        f"{seconds['one by one']:.1f} s one by one: {ratio:.1f}x (goal 6x)"
    )
    if options.json:
        rates = {name: None if failed(one) else one.rate for name, one in timed.items()}
        record = {"machine": where, "device": device_name(options.device), "rates": rates, "stacked": seconds}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


def device_name(device: str) -> str:
    """As torch calls it."""
    import torch

    return str(torch.cuda.get_device_name(device)) if device.startswith("cuda") else device


def table(timed: dict[str, Timed], work: Work, size: Size) -> str:
    """Rates, ratios to our LoRA, and model FLOPs by the peak."""
    peak = max(timed["products"].extra["rates"].values())
    rows = []
    for name, one in timed.items():
        if name == "products":
            continue
        if failed(one) or failed(timed["Luthier, LoRA"]):
            rows.append((name, "", "", "", one.note))
            continue
        full = name == "Luthier, full"
        used = one.rate * training_flops(size, work.train, None if full else RANK) / peak
        ratio = "" if full else f"{timed['Luthier, LoRA'].rate / one.rate:.2f}x"
        rows.append((name, f"{one.rate:,.0f}", ratio, f"{used:.0%}", one.note))
    header = ("training", "tokens/s", "our LoRA is", "of peak", "")
    return f"{text_table(header, rows)}\nproducts: {peak / 1e12:.3g} TFLOP/s"


if __name__ == "__main__":
    sys.exit(main())
