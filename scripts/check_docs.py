"""Whether the documents still tell the truth: links, paths, studies and the table of methods. Part of `make check`.

Prints one line for each thing that is stale, and exits 1 where there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from luthier.core.errors import LuthierError
from luthier.core.settings import read

ROOT = Path(__file__).resolve().parents[1]
PLACES = (ROOT, ROOT / "src" / "luthier")
"""Where a path in a document may start: `studies/demo.yaml`, `core/store.py`."""

LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)|<img[^>]*\ssrc=\"(?!\w+:)([^\"]+)\"")
CODE_SPAN = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"(src|studies|tests|scripts|docs|benchmarks)/[\w./-]+|(\w+/)*\w+\.py|\w+/")
"""The code spans that name something in this repository: below a folder of ours, a Python file, or a folder."""
TREE_NAME = re.compile(r"\b\w+\.py\b")
READERS_OWN = "my_"
"""A file whose name begins so is one that a reader is told to write."""
METHODS = re.compile(r"<!-- methods -->\n(.*?)<!-- /methods -->", re.DOTALL)


def main() -> int:
    """Check every document; the exit code is 1 where something is stale."""
    stale = 0
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = document.read_text(encoding="utf-8")
        problems = [*broken_links(text, document.parent), *missing_paths(text)]
        if document.name == "README.md":
            problems += [*unreadable_studies(text), *stale_methods(text)]
        for problem in problems:
            print(f"{document.relative_to(ROOT)}: {problem}")
        stale += len(problems)
    return 1 if stale else 0


def broken_links(text: str, folder: Path) -> Iterator[str]:
    """Relative links and images that lead nowhere."""
    for link in LINK.finditer(FENCE.sub("", text)):
        target = link[1] or link[2]
        if not (folder / target).exists():
            yield f"the link to {target} leads nowhere"


def missing_paths(text: str) -> Iterator[str]:
    """Code spans, and Python files in drawn trees, that name something of this repository which is not there."""
    for span in CODE_SPAN.findall(FENCE.sub("", text)):
        ours = PATH.fullmatch(span) and not Path(span).name.startswith(READERS_OWN)
        if ours and not any((place / span).exists() for place in PLACES):
            yield f"there is no {span}"
    trees = [content for language, content in FENCE.findall(text) if not language]
    for name in TREE_NAME.findall("\n".join(trees)):
        if not any((ROOT / "src").rglob(name)):
            yield f"there is no {name}"


def unreadable_studies(text: str) -> Iterator[str]:
    """Fenced YAML that no longer reads as a study."""
    from luthier.study_file import StudySpec

    for language, content in FENCE.findall(text):
        if language == "yaml":
            try:
                read(StudySpec, yaml.safe_load(content), where="the study in it")
            except (LuthierError, yaml.YAMLError) as error:
                yield f"a study in it cannot be read: {error}"


def stale_methods(text: str) -> Iterator[str]:
    """The table of methods, where it is not what the command prints."""
    table = METHODS.search(text)
    if table is None:
        yield "there is no table of methods between <!-- methods --> and <!-- /methods -->"
        return
    command = [str(Path(sys.executable).with_name("luthier")), "methods", "--markdown"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if table[1].strip() != printed.strip():
        yield "the table of methods is not what `luthier methods --markdown` prints: paste that"


if __name__ == "__main__":
    sys.exit(main())
