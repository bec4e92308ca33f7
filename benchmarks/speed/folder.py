"""Where a benchmark works: a folder with nothing in it, so that whatever it reads there it has just measured."""

from __future__ import annotations

import argparse
from pathlib import Path


def empty_folder(text: str) -> Path:
    """The folder of `--out`.

    Raises:
        argparse.ArgumentTypeError: there is something in it, or it is a file; argparse exits with 2.
    """
    folder = Path(text)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise argparse.ArgumentTypeError(
            f"{folder} is not an empty folder: what was measured before would pass for measured now; name a new one"
        )
    return folder
