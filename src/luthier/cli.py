"""The command line: a thin skin over `luthier.study`, `luthier.pretrain` and `luthier.report`. No logic here.

Imports stand inside the commands: `luthier --help` must not wait for any of them.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

app = typer.Typer(
    name="luthier",
    help="Compare the ways of adapting a language model to a task, on equal terms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the file, as in tasks.0.primary=bleu."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
_INTERRUPTED = 130
"""The exit code with which typer answers Ctrl-C."""
_TERMINATED = 143
"""The exit code after SIGTERM: 128 + 15, as shells say it."""
AsJson = Annotated[bool, typer.Option("--json", help="Print plain JSON on standard output.")]


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="The study file (YAML).")],
    out: Annotated[Path | None, typer.Option(help="The output folder; runs/<name> by default.")] = None,
    assignments: Assignments = None,
    device: Device = "auto",
    workers: Annotated[int | None, typer.Option(help="Runs at once; one per core or GPU by default.", min=1)] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option(help="Leave out rows that are bad or too long, and name them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Print every run with its digest and an estimate; run nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run every arm of a study that has not run yet, and write the report."""
    if not dry_run and workers != 1 and not (out or Path("runs") / file.stem).exists():
        from luthier.core.children import get_ready

        get_ready(device)  # before all else: what workers import takes longer than the plan
    from luthier.study import Study, default_workers, resolve_device

    the_study = Study.load(file, assignments or ())
    out = out or Path("runs") / the_study.spec.name
    device = resolve_device(device)
    if dry_run:
        _dry_run(the_study, device, skip_bad_rows, as_json)
        return
    from rich.console import Console

    from luthier.report.summary import summarise
    from luthier.report.terminal import LiveTable, print_table
    from luthier.tasks.leakage import words

    console = Console(stderr=as_json)
    planned = the_study.plan(out, device=device, skip_bad_rows=skip_bad_rows)
    workers = workers or default_workers(device, max(files.parameters for files in planned.models.values()))
    for task, rows in planned.skipped.items():
        if rows:
            places = ", ".join(row.where for row in rows[:3]) + (", ..." if len(rows) > 3 else "")
            console.print(f"{task}: {len(rows)} rows left out ({places}); the report names them", highlight=False)
    for task, leaks in planned.leaks.items():
        if warning := words(leaks, task):
            console.print(warning, highlight=False, style="yellow")
    live = LiveTable(
        [run.folder for run in (planned.trials or planned.runs)],
        workers=workers,
        primary=the_study.spec.tasks[0].primary,
        console=console,
    )
    with live:
        the_study.run(
            out,
            device=device,
            workers=workers,
            skip_bad_rows=skip_bad_rows,
            command=shlex.join(["luthier", *sys.argv[1:]]),
            planned=planned,
            listener=live,
        )
    page = the_study.report()
    assert the_study.store is not None
    if as_json:
        print((out / "results.json").read_text(encoding="utf-8"))
    else:
        print_table(summarise(the_study.store), console)
        console.print(f"report: {page}", soft_wrap=True, highlight=False)
    if any(result.status == "failed" for result in the_study.results):
        raise typer.Exit(1)


def _dry_run(the_study: Any, device: str, skip_bad_rows: bool, as_json: bool) -> None:
    from luthier.estimate import seconds
    from luthier.tasks.leakage import words

    planned = the_study.plan(device=device, skip_bad_rows=skip_bad_rows, check_lengths=False)
    counted: set[str] = set()
    rows = [
        {
            "arm": run.arm.name,
            "model": run.model.name,
            "task": run.task.task_name,
            "size": run.size,
            "seed": run.seed,
            "split": run.split,
            "digest": run.run_key(),
            "seconds": round(seconds(run, planned, counted)),
        }
        for run in (*planned.trials, *planned.runs)
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        size = f"  {row['size']} rows" if row["size"] else ""
        trial = "  trial" if row["split"] == "validation" else ""
        print(
            f"{row['digest']}  {row['arm']:<24} {row['model']}  {row['task']}{size}  seed {row['seed']}{trial}"
            f"  ~{row['seconds']} s"
        )
    for name, leaks in planned.leaks.items():
        if warning := words(leaks, name):
            print(warning)
    for task in planned.tasks.values():
        print(f"{task.name}: " + ", ".join(f"{len(examples)} {split}" for split, examples in task.splits.items()))
    minutes = max(1, round(sum(row["seconds"] for row in rows) / 60))
    left = f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} hours"
    print(f"{len(rows)} runs, roughly {left} on this machine, as busy as it is now. Nothing was run.")
    print("Rows too long for a model are looked for when it runs; leaving some out changes the digests.")
    if planned.trials:
        print("The runs on the test set are shown as each arm's first candidate; the trials decide which it will be.")
    if the_study.spec.controls and any(run.arm.trained for run in planned.runs):
        print("Not counted: the best trained arm once more a seed, from random weights, as a control.")
    if any(run.documents or run.retain for run in planned.runs):
        print("Not counted either: what was kept of the base, some seconds a trained run.")


@app.command()
def init(
    data: Annotated[Path, typer.Argument(help="A file, or a folder with train, validation and test files.")],
    out: Annotated[
        Path | None, typer.Option(help="The study file to write; DATA's name with .yaml by default.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="text or classify; by default what the answers look like.")] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="COLUMN", help="A column to ask about; once for each.")
    ] = None,
    answer: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that holds the answer.")] = None,
    model: Annotated[str, typer.Option(help="A house model, a folder, or a hub id.")] = "house/decoder",
    metric: Annotated[str | None, typer.Option(help="What judges an answer; by default what fits it.")] = None,
    minutes: Annotated[float, typer.Option(help="How long one seed may take on this machine.", min=1)] = 10.0,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
) -> None:
    """Look at your data, and write a commented study file for it."""
    from luthier.core.errors import LuthierError
    from luthier.init.announce import announcement
    from luthier.init.draft import Options, draft_study
    from luthier.init.question import on_terminal

    if task not in (None, "text", "classify"):
        raise LuthierError(f"{task}: no such task", where="--task", mend="say text or classify")
    options = Options(out, task, inputs or (), answer, model, metric, minutes)  # type: ignore[arg-type]
    print(announcement(draft_study(data, options, None if yes or not sys.stdin.isatty() else on_terminal)))


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study's output folder.")],
) -> None:
    """Write a study's report again, from what is stored."""
    from rich.console import Console

    from luthier.core.store import Store
    from luthier.report.files import write_report
    from luthier.report.summary import summarise
    from luthier.report.terminal import print_table

    store = Store(folder)
    page = write_report(store)
    print_table(summarise(store), Console())
    print(f"report: {page}")


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="RUNS_A", help="A study's output folder.")],
    after: Annotated[Path, typer.Argument(metavar="RUNS_B", help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """Say what differs between two studies, and how far each arm that both have has moved."""
    from luthier.core.store import Store
    from luthier.report.compare import compare_studies

    found = compare_studies(Store(before), Store(after))
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
        return
    from rich.console import Console

    from luthier.report.compare_text import print_compared

    print_compared(found, Console())


@app.command()
def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="A model, a run, a training or an adapter; several compared."),
    ],
    suite: Annotated[
        str,
        typer.Option(
            help="bits (how well held-out text is foretold), helm (seven metrics), glue, superglue, mmlu, bigbench, "
            "bbh, or tasks of lm-eval by name, with commas between them."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="A folder with the benchmark's files; the hub's data without it.")
    ] = None,
    shots: Annotated[int | None, typer.Option(help="Worked examples in a prompt; as published by default.")] = None,
    limit: Annotated[int | None, typer.Option(help="The first so many items of each task.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where answers and figures are kept; not asked again then.")] = None,
    chat_template: Annotated[
        bool, typer.Option("--chat-template", help="Write prompts by the model's chat template.")
    ] = False,
    quantise: Annotated[str | None, typer.Option(help="The frozen matrices in nf4 or int8.")] = None,
    base: Annotated[str | None, typer.Option("--model", help="The base, where an adapter does not say.")] = None,
    method: Annotated[str | None, typer.Option(help="The method, where an adapter does not say.")] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            help="For helm: a study file whose task is taken; by default a run's own, else generated sentiment."
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="For helm: which task of that study file; its first by default.")
    ] = None,
    sources: Annotated[
        Path | None, typer.Option(help="For bits: a pretraining file (YAML) whose held-out documents are taken.")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure models on benchmarks, or on held-out text."""
    if suite == "bits":
        asked = {"--data": data, "--shots": shots, "--limit": limit, "--out": out, "--quantise": quantise}
        asked |= {"--study": study, "--task": task, "--chat-template": chat_template or None}
        _refuse_beside("bits", {**asked, "--model": base, "--method": method, "a second model": models[1:] or None})
        _evaluate_bits(models[0], sources, device, as_json)
    elif suite == "helm":
        _refuse_beside(suite, {"--sources": sources, "--shots": shots, "--chat-template": chat_template or None})
        loaded = {"quantise": quantise, "base": base, "method": method}
        options = {"study": study, "task": task, "data": data, "limit": limit, "out": out}
        _evaluate_helm(models, options, loaded, device, as_json)
    else:
        _refuse_beside(suite, {"--sources": sources, "--study": study, "--task": task})
        options = {"data": data, "shots": shots, "limit": limit, "out": out, "chat_template": chat_template}
        _evaluate_tasks(
            models, suite, {**options, "quantise": quantise, "base": base, "method": method}, device, as_json
        )


def _refuse_beside(suite: str, options: dict[str, Any]) -> None:
    from luthier.core.errors import LuthierError

    if given := [name for name, value in options.items() if value is not None]:
        raise LuthierError(f"{given[0]} says nothing to the suite {suite}", where="--suite", mend="leave it out")


def _evaluate_bits(model: str, sources: Path | None, device: str, as_json: bool) -> None:
    from rich.console import Console

    from luthier.models.load import check_device
    from luthier.suites.bits import evaluate_bits
    from luthier.suites.bits_table import print_bits

    quiet = Console(stderr=True)
    with quiet.status("") as status:
        found = evaluate_bits(model, sources, device=check_device(device), say=status.update)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        print_bits(found, Console())


def _evaluate_helm(
    models: list[str], options: dict[str, Any], loaded: dict[str, str | None], device: str, as_json: bool
) -> None:
    from rich.console import Console

    from luthier.models.load import check_device
    from luthier.report.helm_page import write_helm_page
    from luthier.suites.evaluate_models import quantisation_named
    from luthier.suites.helm.evaluate import evaluate_helm
    from luthier.suites.helm.table import print_helm
    from luthier.suites.judged import Judged, load_judged
    from luthier.suites.out_folder import ready
    from luthier.workbench import silence_libraries

    ready(options["out"])
    silence_libraries()
    quantisation, device = quantisation_named(loaded["quantise"]), check_device(device)

    def load(name: str) -> Judged:
        return load_judged(
            name, model=loaded["base"], method=loaded["method"], quantisation=quantisation, device=device
        )

    with Console(stderr=True).status("") as status:
        found = evaluate_helm(models, **options, how=loaded, load=load, say=status.update)
    page = None if options["out"] is None else write_helm_page(options["out"])
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
        return
    print_helm(found, Console())
    if page is not None:
        print(f"page: {page}")


def _evaluate_tasks(models: list[str], suite: str, options: dict[str, Any], device: str, as_json: bool) -> None:
    from rich.console import Console

    from luthier.models.load import check_device
    from luthier.suites.evaluate_models import evaluate_models
    from luthier.suites.suite_table import print_suite
    from luthier.workbench import silence_libraries

    silence_libraries()
    with Console(stderr=True).status("") as status:
        found = evaluate_models(models, suite, **options, device=check_device(device), say=status.update)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        print_suite(found.evaluations, found.compared, found.notes, Console())
    found.refuse_unscored()


@app.command()
def leaks(
    folder: Annotated[Path, typer.Argument(help="A model's evaluation on a suite, as luthier evaluate --out left it.")],
    sources: Annotated[
        Path | None, typer.Option(help="The model's pretraining file (YAML); a house model's texts by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for a benchmark's items in the text that a model was pretrained on, and score those that are not there."""
    from rich.console import Console

    from luthier.suites.leaks import find_leaks_of
    from luthier.suites.leaks_table import print_leaks

    with Console(stderr=True).status("") as status:
        found = find_leaks_of(folder, sources, say=status.update)
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        print_leaks(found, Console())


@app.command()
def rescore(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="The output folder of luthier study or evaluate.")],
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", help="What judges, as in a study file: chrf, or 'rouge: {stemmer: false}'."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="A language model that compares each text with its reference, in both orders."),
    ] = None,
    arms: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm (or model); once for each.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Add the metrics to the study, for its report too.")] = False,
    device: Annotated[str, typer.Option(help="Where the judge answers: cpu, cuda, or auto.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Judge stored answers by other metrics, without a model."""
    from rich.console import Console

    from luthier.core.errors import LuthierError
    from luthier.rescoring.rescore import read_metrics
    from luthier.rescoring.rescore import rescore as do_rescore
    from luthier.rescoring.table import print_rescored
    from luthier.rescoring.write import write_metrics

    if judge is not None:
        if metrics or write:
            raise LuthierError("a judge is a model, and judges by itself", where="--judge", mend="leave out --metric")
        _judge_stored(folder, judge, arms or [], device, as_json)
        return
    judges = read_metrics(metrics or ())
    found = do_rescore(folder, judges, arms or ())
    page = write_metrics(folder, judges) if write else None
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
        return
    print_rescored(found, Console())
    if page is not None:
        print(f"report: {page}")
        print("Add the metrics to the study file too: its next run reports what stands there.")


def _judge_stored(folder: Path, name: str, arms: list[str], device: str, as_json: bool) -> None:
    from rich.console import Console

    from luthier.models.load import check_device
    from luthier.rescoring.judging import judge_stored, print_judged
    from luthier.suites.judged import load_judged
    from luthier.workbench import silence_libraries

    silence_libraries()
    judge = load_judged(name, device=check_device(device)).generator()
    found, notes = judge_stored(folder, judge, arms)
    if as_json:
        print(json.dumps({"judge": name, "arms": [one.to_json() for one in found], "notes": notes}, indent=1))
    else:
        print_judged(found, notes, name, Console())


@app.command()
def merge(
    trained: Annotated[Path, typer.Argument(help="A run, a training, or the folder of a saved adapter.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    model: Annotated[str | None, typer.Option(help="The base, where the weights do not say.")] = None,
    method: Annotated[str | None, typer.Option(help="The method, where the weights do not say.")] = None,
) -> None:
    """Fold what was trained into its base: a plain model that transformers loads, answering as before."""
    from luthier.deploy.trained import merge_trained
    from luthier.workbench import silence_libraries

    silence_libraries()
    print(f"model: {merge_trained(trained, out, model, method)}")


@app.command()
def combine(
    trained: Annotated[list[Path], typer.Argument(help="Runs, trainings or saved adapters, of one method and base.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    how: Annotated[str, typer.Option(help="add, average, linear, ties, dare_linear or dare_ties.")] = "average",
    weights: Annotated[
        list[float] | None,
        typer.Option("--weight", help="Of one of them; once for each, in order. All alike by default."),
    ] = None,
    density: Annotated[float | None, typer.Option(help="The share of entries that ties and dare keep.")] = None,
    rank: Annotated[int | None, typer.Option(help="Of what comes out, for LoRA.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="What dare draws by.")] = 0,
    model: Annotated[str | None, typer.Option(help="The base, where the weights do not say.")] = None,
    method: Annotated[str | None, typer.Option(help="The method, where the weights do not say.")] = None,
) -> None:
    """Make one adapter of several: their sum, their average, or what TIES or DARE make of them."""
    from luthier.deploy.arithmetic import combine as do_combine
    from luthier.workbench import silence_libraries

    silence_libraries()
    folder = do_combine(
        trained, out, how=how, weights=weights, density=density, rank=rank, seed=seed, model=model, method=method
    )
    print(f"adapter: {folder}")


@app.command()
def convert(
    folder: Annotated[Path, typer.Argument(help="The checkpoint; of luthier, a run, a training, or saved weights.")],
    origin: Annotated[str, typer.Option("--from", help="litgpt, adapterhub or luthier.")],
    target: Annotated[str, typer.Option("--to", help="luthier, litgpt, adapterhub or huggingface (merged).")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    model: Annotated[str | None, typer.Option(help="The base, where the weights do not say.")] = None,
    method: Annotated[str | None, typer.Option(help="The method, where luthier's weights do not say.")] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="Of an encoder's head; once for each, in order.")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read .pth and .bin files, of people whom you trust.")
    ] = False,
) -> None:
    """Turn a checkpoint of one library into that of another."""
    from luthier.deploy.convert import convert as do_convert
    from luthier.workbench import silence_libraries

    silence_libraries()
    written = do_convert(
        folder,
        out,
        origin=origin,
        target=target,
        model=model,
        method=method,
        labels=labels or (),
        allow_pickle=allow_pickle,
    )
    print(f"{target}: {written}")


@app.command()
def methods(
    markdown: Annotated[bool, typer.Option(help="As a Markdown table.")] = False, as_json: AsJson = False
) -> None:
    """List everything that a study file can name, and what each method can do on which models."""
    from luthier import method_matrix
    from luthier.catalogue import as_markdown, as_text, entries

    if as_json:
        print(json.dumps({"names": entries(), "matrix": method_matrix.as_data()}, indent=1))
    else:
        print(as_markdown(entries()) if markdown else f"{as_text(entries())}\n\n{method_matrix.as_text()}")


@app.command()
def schema(
    what: Annotated[str, typer.Argument(help="study, pretrain or scale.")] = "study",
) -> None:
    """Print the JSON schema of a study file (or of a pretraining or scaling file), with every key described."""
    from luthier.core.errors import LuthierError
    from luthier.core.settings import Settings

    if what == "study":
        from luthier.study_file import StudySpec

        cls: type[Settings] = StudySpec
    elif what == "pretrain":
        from luthier.pretrain_file import PretrainSpec

        cls = PretrainSpec
    elif what == "scale":
        from luthier.scaling.scale_file import ScaleSpec

        cls = ScaleSpec
    else:
        raise LuthierError(f"{what}: no such file kind", where="luthier schema", mend="say study, pretrain or scale")
    print(json.dumps(cls.model_json_schema(), indent=1))


@app.command()
def doctor() -> None:
    """Say what this machine has: versions, cores, memory, GPUs, house models."""
    from luthier.core.environment import capture_environment
    from luthier.models.names import house_models

    print(json.dumps({**capture_environment(), "house_models": house_models()}, indent=1))


def _keeps(arguments: list[str]) -> bool:
    """Whether a command, stopped and given again, goes on from where it was; `evaluate` does so by tasks of lm-eval."""
    if arguments[:1] != ["evaluate"]:
        return True
    alone = any(one in ("bits", "helm", "--suite=bits", "--suite=helm") for one in arguments)
    return not alone and any(one.split("=")[0] == "--out" for one in arguments)


def main() -> NoReturn:
    """The console script: a user's mistake is one clear message and exit code 2, never a traceback."""
    from luthier.core.interruption import answered, exit_code

    try:
        with answered():
            app(standalone_mode=True)
    except (SystemExit, KeyboardInterrupt) as end:  # typer makes a SystemExit of an interrupt
        code = exit_code(end) or (end.code if isinstance(end, SystemExit) else _INTERRUPTED)
        if code in (_INTERRUPTED, _TERMINATED):
            command = shlex.join(["luthier", *sys.argv[1:]])
            said = (
                "what was done is kept; to go on"
                if _keeps(sys.argv[1:])
                else "what was done is not used again; to begin anew"
            )
            print(f"\nstopped; {said}: {command}", file=sys.stderr)
            raise SystemExit(code) from None
        raise
    except Exception as error:
        from luthier.core.errors import LuthierError

        if not isinstance(error, LuthierError):
            raise
        print(f"luthier: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    raise SystemExit(0)


if __name__ == "__main__":
    main()
