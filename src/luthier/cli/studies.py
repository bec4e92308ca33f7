"""Studies on the command line: `study`, `init`, `report`, `compare`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from luthier.cli.options import AsJson, Assignments, Device


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
