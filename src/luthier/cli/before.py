"""What comes before a study: `pretrain`, `plan`, `scale`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from luthier.cli.options import AsJson, Assignments, Device


def pretrain(
    file: Annotated[Path, typer.Argument(help="The pretraining file (YAML).")],
    out: Annotated[Path, typer.Option(help="The output folder; an interrupted training in it goes on.")],
    assignments: Assignments = None,
    device: Device = "auto",
    processes: Annotated[int, typer.Option(help="Processes on one step together, each with its threads.", min=1)] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads of each process; its share of the cores.", min=1)] = None,
    dry_run: Annotated[bool, typer.Option(help="Check the file and print it resolved; train nothing.")] = False,
) -> None:
    """Train a small language model (decoder, encoder or encoder-decoder) on text."""
    from luthier.core.settings import override, read, read_yaml
    from luthier.pretrain import pretrain as do_pretrain
    from luthier.pretrain_file import PretrainSpec
    from luthier.study import resolve_device

    spec = read(PretrainSpec, override(read_yaml(str(file)), assignments or ()), str(file))
    if dry_run:
        print(spec.model_dump_json(indent=1))
        return
    from luthier.core.types import Progress
    from luthier.models.load import check_device
    from luthier.report.live import LiveTable

    device = check_device(resolve_device(device))
    with LiveTable([spec.name]) as live:
        folder = do_pretrain(
            spec,
            out,
            device=device,
            processes=processes,
            threads=threads,
            notify=lambda phase, step, total, values: live(Progress(spec.name, phase, step, total, values)),
        )
    found = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    scores = ", ".join(f"{name} {value:.3f}" for name, value in found["held_out"].items())
    print(f"held-out {found['measure'].replace('_', ' ')}: {scores}")
    print(f"model: {folder}")


def plan(
    model: Annotated[str | None, typer.Argument(help="A house model, a folder with config.json, or a hub id.")] = None,
    method: Annotated[str, typer.Option(help="Which weights move: full, lora, prompt_tuning ...")] = "lora",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method, as in rank=16.")
    ] = None,
    objective: Annotated[str, typer.Option(help="supervised or pretraining.")] = "supervised",
    batch_size: Annotated[int, typer.Option(help="Rows an optimizer step.")] = 8,
    length: Annotated[int, typer.Option(help="Tokens of a row, prompt and answer.")] = 512,
    answer: Annotated[int | None, typer.Option(help="Tokens of the answer; a quarter of the row by default.")] = None,
    machine: Annotated[str, typer.Option(help="here, cpu, or a GPU: T4, A100-80, L4, H100, RTX-4090 ...")] = "here",
    precision: Annotated[str, typer.Option(help="auto, fp32, or bf16.")] = "auto",
    micro_tokens: Annotated[int, typer.Option(help="The most tokens in one forward pass.")] = 4096,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="Compute activations again.")] = False,
    examples: Annotated[int | None, typer.Option(help="Of the training, for its time and cost.")] = None,
    epochs: Annotated[float, typer.Option(help="Passes over the examples.")] = 2.0,
    price: Annotated[float | None, typer.Option(help="Of an hour of the machine.")] = None,
    threads: Annotated[int, typer.Option(help="Of the processor: a study gives each run one core.")] = 1,
    utilisation: Annotated[float, typer.Option(help="The share of a GPU's peak that is reached (assumed).")] = 0.4,
    scaling: Annotated[
        bool,
        typer.Option("--scaling", help="Say what the published scaling laws recommend, and where known runs stand."),
    ] = False,
    flops: Annotated[float | None, typer.Option(help="With --scaling: a compute, as in 1e21.")] = None,
    parameters: Annotated[float | None, typer.Option(help="With --scaling: a model's size, as in 7e9.")] = None,
    tokens: Annotated[float | None, typer.Option(help="With --scaling: training tokens, as in 1e12.")] = None,
    plot: Annotated[Path | None, typer.Option(help="With --scaling: draw it into this file (.png or .svg).")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a training would take before it is begun."""
    of_scaling = {"--flops": flops, "--parameters": parameters, "--tokens": tokens, "--plot": plot}
    _refuse_mixed_questions(model, scaling, [option for option, value in of_scaling.items() if value is not None])
    if scaling:
        _plan_scaling(flops, parameters, tokens, plot, as_json)
        return
    assert model is not None
    from luthier.planner.plan import Asked, make_plan
    from luthier.planner.table import print_plan
    from luthier.registry import method_named
    from luthier.workbench import silence_libraries

    silence_libraries()
    planned = make_plan(
        Asked(
            model,
            method_named(method, assignments or ()),
            objective,
            batch_size=batch_size,
            length=length,
            answer=answer,
            machine=machine,
            precision=precision,
            micro_tokens=micro_tokens,
            checkpointing=checkpointing,
            examples=examples,
            epochs=epochs,
            price=price,
            threads=threads,
            utilisation=utilisation,
        )
    )
    if as_json:
        print(json.dumps(planned.as_json(), indent=1))
        return
    from rich.console import Console

    print_plan(planned, Console())


def _refuse_mixed_questions(model: str | None, scaling: bool, of_scaling: list[str]) -> None:
    from luthier.core.errors import LuthierError

    if scaling and model is not None:
        raise LuthierError(
            "the scaling laws are asked by numbers, not by a model",
            where=model,
            mend="leave it out, as in luthier plan --scaling --parameters 7e9",
        )
    if of_scaling and not scaling:
        raise LuthierError(
            f"{of_scaling[0]} is a question to the scaling laws", where=of_scaling[0], mend="add --scaling"
        )
    if model is None and not scaling:
        raise LuthierError(
            "nothing was asked",
            where="luthier plan",
            mend="luthier plan house/decoder, or luthier plan --scaling --flops 1e21",
        )


def _plan_scaling(
    flops: float | None, parameters: float | None, tokens: float | None, plot: Path | None, as_json: bool
) -> None:
    from luthier.scaling.plan_table import as_plain_data, print_plan, recommend

    found = recommend(flops=flops, parameters=parameters, tokens=tokens)
    if plot is not None:
        from luthier.scaling.picture_plan import draw_plan

        draw_plan(found, plot)
    if as_json:
        print(json.dumps(as_plain_data(found), indent=1))
        return
    from rich.console import Console

    print_plan(found, Console())
    if plot is not None:
        print(f"picture: {plot}")


def scale(
    file: Annotated[Path, typer.Argument(help="The scaling file (YAML).")],
    out: Annotated[
        Path | None, typer.Option(help="The output folder; runs/<name> by default. Finished runs in it are kept.")
    ] = None,
    assignments: Assignments = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(help="Trainings at once.", min=1)] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each training.", min=1)] = 1,
    dry_run: Annotated[bool, typer.Option(help="Check the file and list its runs; train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a scaling law to a grid of small pretrainings, and foretell a larger one that takes no part in the fit."""
    from rich.console import Console

    from luthier.core.settings import override, read, read_yaml
    from luthier.models.load import check_device
    from luthier.report.live import LiveTable
    from luthier.scaling.scale import scale as do_scale
    from luthier.scaling.scale_file import ScaleSpec, read_runs
    from luthier.scaling.scale_table import print_runs, print_scaling
    from luthier.study import resolve_device

    spec = read(ScaleSpec, override(read_yaml(str(file)), assignments or ()), str(file))
    runs = read_runs(spec, str(file))
    console = Console(stderr=as_json)
    if dry_run:
        print_runs(runs, console)
        return
    out = out or Path("runs") / spec.name
    device = check_device(resolve_device(device))
    with LiveTable([run.name for run in runs], workers=workers, console=console) as live:
        found = do_scale(spec, out, where=str(file), device=device, workers=workers, threads=threads, listener=live)
    if as_json:
        print((out / "scale.json").read_text(encoding="utf-8"))
    else:
        print_scaling(found, console)
        console.print(f"picture: {out / 'scale.png'}", soft_wrap=True, highlight=False)
