"""The templates of the pages: where they stand, and how they are read."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER = Path(__file__).parent / "templates"


def template_environment() -> Environment:
    """Everything is escaped, and a name that is not there is an error."""
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style_sheet() -> Markup:
    """The CSS that every page has in it."""
    return Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))
