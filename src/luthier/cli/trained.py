"""What a study has trained, put to use: `merge`, `combine`, `convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
