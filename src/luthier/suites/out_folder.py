"""The folder of `--out`, made and tried before a model has answered anything."""

from __future__ import annotations

import tempfile
from pathlib import Path

from luthier.core.errors import LuthierError


def ready(out: Path | None) -> None:
    """Make the folder, and see that files can be written into it; None is nowhere.

    Raises:
        LuthierError: it is a file, or it cannot be made or written.
    """
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise LuthierError("this is a file, not a folder", where=str(out), mend="give a folder to --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise LuthierError(
            f"nothing can be written here: {error.strerror}",
            where=str(out),
            mend="give a folder to --out in which you may write",
        ) from None
