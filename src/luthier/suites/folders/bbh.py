"""BIG-bench Hard as its authors keep it: `tasks/<task>.json`, an object with a list `examples` of input and target.

The shots and their chains of thought are in lm-eval's definitions, which have the authors' `cot-prompts`; no file is
read for them. Suzgun et al. 2022, arXiv 2210.09261.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.suites.folders.find import family_of


def is_bbh(config: Mapping[str, Any]) -> bool:
    """Whether a task reads BIG-bench Hard's data set."""
    return family_of(config) == "bbh"


def find_bbh(root: Path, config: Mapping[str, Any]) -> dict[str, Path]:
    """The file of a task, all of which are asked."""
    name = f"{config.get('dataset_name')}.json"
    for folder in (root / "bbh" / "tasks", root / "tasks", root / "bbh", root):
        if (folder / name).is_file():
            return {"test": folder / name}
    return {}
