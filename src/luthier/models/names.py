"""A model's name to the folder of its files: a house model, a folder, or a hub id, which is downloaded."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.settings import suggest

HOUSE = Path(__file__).parent / "house"
"""Where our own small checkpoints lie, a folder each."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_CONFIGS = ["config.json", "tokenizer_config.json"]
_DOWNLOADED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
_LEFT_THERE = ["*/*", "consolidated*"]
"""Other formats of the same weights (`onnx/`, `original/`)."""


def house_models() -> list[str]:
    """The names of the models that come with Luthier."""
    return sorted(f"house/{path.parent.name}" for path in HOUSE.glob("*/config.json"))


def local_folder(name: str) -> Path | None:
    """The folder that a name means, or None for a hub id."""
    if name.startswith("house/"):
        if name not in house_models():
            near = suggest(name, house_models())
            raise LuthierError(f"{name}: no such house model{near}", where=str(HOUSE), mend=f"take {_house_hint()}")
        return HOUSE / name.removeprefix("house/")
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise LuthierError("this is a file, not a model's folder", where=name, mend="name the folder that it lies in")
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise LuthierError("no such folder", where=name, mend=f"check the path, or take {_house_hint()}")
    return None


def download(name: str, *, offline: bool, configs_only: bool = False) -> Path:
    """The folder in the hub's cache that holds a model, fetched where it must be.

    Args:
        name: a hub id.
        offline: look into the cache only.
        configs_only: fetch just what says whether the model brings code of its own.

    Raises:
        LuthierError: no such model, no access to it, or no hub.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    try:
        with _quiet_hub():
            wanted = _CONFIGS if configs_only else _DOWNLOADED
            return Path(
                snapshot_download(name, allow_patterns=wanted, ignore_patterns=_LEFT_THERE, local_files_only=offline)
            )
    except GatedRepoError:
        what, mend = "its owner must grant access", "ask on its page, then log in with `hf auth login`"
    except (RepositoryNotFoundError, HFValidationError):
        what, mend = "no such folder, and no such model on the hub", f"check the name, or take {_house_hint()}"
    except (HfHubHTTPError, OSError):
        where = (
            "it is not in the hub's cache" if offline else "the hub cannot be reached and its cache does not have it"
        )
        what, mend = f"no such folder, and {where}", f"give a model's folder, or take {_house_hint()}"
    raise LuthierError(f"{name}: {what}", mend=mend)


def _house_hint() -> str:
    return " or ".join(house_models()) or "the folder of a model"


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """The hub's own warnings would stand beside the `LuthierError` that says the same."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
