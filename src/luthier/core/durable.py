"""Writes that outlive a crash: beside the place, flushed to the disk, renamed, and the renaming flushed too."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from luthier.core.errors import LuthierError

_BESIDE, _BEFORE = ".tmp", ".before"


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in its place, whole or not at all.

    Raises:
        OSError: it cannot be written; what stood at `path` is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{_BESIDE}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:  # an interruption too
        with suppress(OSError):
            beside.unlink()
        raise
    sync_file(path.parent)


@contextmanager
def replacing(folder: Path, what: str) -> Iterator[Path]:
    """Gives an empty folder to write into; it takes the place of `folder` once the block has ended without an error.

    A kill leaves the old folder or the new one, or for a moment the old one under another name: `tidy` puts it back.

    Args:
        folder: where it is to stand.
        what: what is written, with its bytes, for the message.

    Raises:
        LuthierError: it cannot be written (exit code 1); the old folder is untouched.
    """
    beside, before = (folder.with_name(f".{folder.name}{suffix}") for suffix in (_BESIDE, _BEFORE))
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        yield beside
        sync_tree(beside)
        shutil.rmtree(before, ignore_errors=True)
        if folder.exists():
            os.replace(folder, before)
        try:
            os.replace(beside, folder)
        except BaseException:
            if before.exists():
                before.rename(folder)
            raise
        sync_file(folder.parent)
    except (OSError, SafetensorError) as error:  # safetensors tells of a full disk in its own way
        shutil.rmtree(beside, ignore_errors=True)
        raise cannot_write(what, folder, error) from None
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(before, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Remove from a folder what a kill left half written, and put back what it left moved aside."""
    for path in list(folder.glob(".*")) if folder.exists() else []:
        place = path.with_name(path.name[1:].removesuffix(_BEFORE))
        if path.suffix == _BEFORE and not place.exists():
            path.rename(place)
        elif path.suffix in (_BESIDE, _BEFORE) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == _BESIDE:
            path.unlink(missing_ok=True)


def sync_tree(folder: Path) -> None:
    """Flush every file below a folder to the disk, and the folders that name them."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(parent) / name)
        sync_file(Path(parent))


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no file, or what is in it cannot be read as one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def cannot_write(what: str, path: Path, error: Exception) -> LuthierError:
    """A full disk and its like, in words. `what` says how much was to be written."""
    return LuthierError(
        f"cannot write {what}: {getattr(error, 'strerror', None) or error}",
        where=str(path),
        mend="free some space and run the same command again: finished runs are kept, and trainings go on from their "
        "last checkpoint",
        exit_code=1,
    )


def sync_file(path: Path) -> None:
    """Flush a file, or what a folder names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems flush no folders
            raise
    finally:
        os.close(descriptor)
