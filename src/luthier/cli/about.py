"""What can be named, and this machine: `methods`, `schema`, `doctor`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from luthier.cli.options import AsJson


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


def doctor() -> None:
    """Say what this machine has: versions, cores, memory, GPUs, house models."""
    from luthier.core.environment import capture_environment
    from luthier.models.names import house_models

    print(json.dumps({**capture_environment(), "house_models": house_models()}, indent=1))
