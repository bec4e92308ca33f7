"""Judging a model by itself, and stored answers again: `evaluate`, `leaks`, `rescore`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from luthier.cli.options import AsJson, Device


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
