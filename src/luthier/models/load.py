"""Models by name: found and checked without torch, then loaded.

A name is a house model (`house/decoder`), a folder, or a hub id. Only safetensors are read, and nothing that comes
with a model is ever run: a config or tokenizer with code of its own (`auto_map`) is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import suggest
from luthier.models.encoder_decoder import start_ids
from luthier.models.head import Head, head_parts, mark_head, refuse_gaps_beside_head
from luthier.models.kinds import Kind, config_value, context_of, kind_of
from luthier.models.names import HOUSE as HOUSE
from luthier.models.names import download, local_folder
from luthier.models.weights import count_parameters, find_weights, hash_weights

DTYPES = ("float32", "bfloat16", "float16")

_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")
_TOKENIZER_FILES = (
    *_VOCABULARIES,
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
)


_MOMENT = 2_000_000_000
"""Nanoseconds: file systems keep the time of a change to within as much."""


@dataclass(frozen=True)
class ModelFiles:
    """A model that was found and whose files hold together; nothing is loaded yet.

    Attributes:
        name: as the user gave it.
        folder: where its files lie.
        digest: sixteen hex digits over the config, the tokenizer's files and the weights.
        model_type: as the config has it (`llama`).
        architecture: the class that the config names (`LlamaForCausalLM`), or else its model type.
        kind: what its attention allows.
        parameters: the weights stored, tied ones once.
        context: the most tokens that it can attend to, the encoder and the decoder each where there are both; None
            where the positions set no limit (BLOOM's ALiBi, T5's differences).
    """

    name: str
    folder: Path
    digest: str
    model_type: str
    architecture: str
    kind: Kind
    parameters: int
    context: int | None


def find_model(name: str, *, offline: bool = False) -> ModelFiles:
    """Find a model and check its files, without loading it and without torch.

    Args:
        name: `house/<x>`, a folder, or a hub id, which is downloaded into the hub's cache.
        offline: look hub ids up in the cache only.

    Raises:
        LuthierError: no such model, a hub that cannot be reached, code of its own, no safetensors, a broken file.
    """
    folder = local_folder(name)
    if folder is None:
        _check_config(download(name, offline=offline, configs_only=True))
        folder = download(name, offline=offline)
    stands = _stands(folder)
    # What was written in this very moment might change once more without its time telling.
    settled = max((changed for _, changed, _ in stands), default=0) < time.time_ns() - _MOMENT
    read = _files if settled else _files.__wrapped__
    return read(name, folder, stands)


@lru_cache(maxsize=8)
def _files(name: str, folder: Path, stands: tuple[tuple[str, int, int], ...]) -> ModelFiles:
    """What stands in the folder; the same process reads the same files once, for their digest takes all of them."""
    config = _check_config(folder)
    weights = find_weights(folder)
    if not _existing(folder, _VOCABULARIES):
        raise LuthierError(
            "the folder holds no tokenizer", where=str(folder), mend="save the model's tokenizer beside it"
        )
    kind = kind_of(config)
    # What an encoder-decoder's answers begin with may stand in the second file alone.
    beside = ("generation_config.json",) if kind == "encoder-decoder" else ()
    digest = hashlib.sha256()
    for path in [folder / "config.json", *_existing(folder, (*beside, *_TOKENIZER_FILES))]:
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    hash_weights(weights, digest)
    return ModelFiles(
        name=name,
        folder=folder,
        digest=digest.hexdigest()[:16],
        model_type=str(config.get("model_type", "unknown")),
        architecture=str((config.get("architectures") or [config.get("model_type", "unknown")])[0]),
        kind=kind,
        parameters=count_parameters(weights),
        context=context_of(config),
    )


def load_model(
    files: ModelFiles,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    random_init: bool = False,
    head: Head | None = None,
) -> Any:
    """The transformers model in evaluation mode: a decoder, an encoder with a decoder, or an encoder with a head.

    Args:
        files: what `find_model` gave.
        dtype: one of `DTYPES`, of every weight.
        device: as for `check_device`.
        random_init: build it from its config and leave its weights alone; seed torch first.
        head: what goes on top of an encoder; seed torch first, which draws it where the checkpoint has none.

    Raises:
        LuthierError: the device is not there, the architecture is unknown or has no decoder, an encoder has no head,
            the weights are not those of the config (transformers alone would fill the gaps at random), or no token is
            named to begin answers.
    """
    if (files.kind == "encoder") != (head is not None):
        raise LuthierError(
            f"{files.name} is an {files.kind} ({files.architecture}); a causal language model is needed",
            where=str(files.folder),
            mend="name a decoder, such as house/decoder",
        )
    if dtype not in DTYPES:
        raise LuthierError(
            f"{dtype}: no such type of weights{suggest(dtype, DTYPES)}", mend=f"one of {', '.join(DTYPES)}"
        )
    place = check_device(device)
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    auto: Any = AutoModelForCausalLM if files.kind == "decoder" else AutoModelForSeq2SeqLM
    if head:
        auto = head.auto_class()
    safe: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    of_head = head.settings() if head else {}
    asked: dict[str, Any] = {
        "use_safetensors": True,
        "output_loading_info": True,
        "ignore_mismatched_sizes": bool(head),
    }
    with quiet(), _explained(files):
        try:
            if random_init:
                config = AutoConfig.from_pretrained(files.folder, **safe, **of_head)
                model = auto.from_config(config, dtype=getattr(torch, dtype), trust_remote_code=False)
                if files.kind == "encoder-decoder":
                    model.generation_config = _generation_config(files.folder)
            else:
                model, loaded = auto.from_pretrained(
                    files.folder, dtype=getattr(torch, dtype), **asked, **safe, **of_head
                )
            if head:
                mark_head(model, (name for file in find_weights(files.folder) for name in file.tensors))
            else:
                start_ids(model)  # raises where it is not known
            if not random_init:
                _refuse_gaps(files, model, loaded)
            return model.to(place).eval()
        except torch.OutOfMemoryError:
            raise LuthierError(
                f"{files.name} does not fit into the memory of {place}",
                where=str(files.folder),
                mend="load it in bfloat16, or name a smaller model",
                exit_code=1,
            ) from None


def load_tokenizer(files: ModelFiles) -> Any:
    """The transformers tokenizer of a model.

    Raises:
        LuthierError: it cannot be read, or it has tokens for which the model has no embedding.
    """
    from transformers import AutoTokenizer

    with quiet(), _explained(files):
        tokenizer = AutoTokenizer.from_pretrained(files.folder, trust_remote_code=False, local_files_only=True)
    rows = config_value(_read_json(files.folder / "config.json"), "vocab_size")
    # A padding token without an embedding does no harm: padding is never looked at.
    beyond = [
        token
        for token, number in tokenizer.get_vocab().items()
        if isinstance(rows, int) and number >= rows and token != tokenizer.pad_token
    ]
    if beyond:
        raise LuthierError(
            f"the tokenizer has {len(beyond)} tokens without an embedding in the model, such as {min(beyond)!r}",
            where=str(files.folder),
            mend="model.resize_token_embeddings(len(tokenizer)), then save both again",
        )
    return tokenizer


def check_device(device: str) -> str:
    """The device to use: `auto` is a GPU where there is one; `cpu`, `cuda` and `cuda:1` are themselves.

    Raises:
        LuthierError: a GPU that is not there, or no such kind of device.
    """
    if device == "cpu":
        return device  # without seconds of imports
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if match is None:
        raise LuthierError(f"{device}: no such device", mend="one of auto, cpu, cuda, cuda:0 ...")
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(match[1] or 0) >= there:
        raise LuthierError(
            f"{device} was asked for, and torch sees {there} GPU{'' if there == 1 else 's'}",
            mend="device: cpu or auto; or install a torch build for your GPU",
        )
    return device


def _stands(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """The folder's files: name, time of the last change in nanoseconds, and size."""
    found = ((path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file())
    return tuple((name, max(of.st_mtime_ns, of.st_ctime_ns), of.st_size) for name, of in found)


def _check_config(folder: Path) -> Mapping[str, Any]:
    """The config of a model that brings no code of its own."""
    if not (folder / "config.json").is_file():
        raise LuthierError(
            "the folder holds no config.json", where=str(folder), mend="name the folder of a saved model"
        )
    config = _read_json(folder / "config.json")
    tokenizer = _read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    for file, settings in (("config.json", config), ("tokenizer_config.json", tokenizer)):
        if settings.get("auto_map"):
            raise LuthierError(
                f"{file} names code of the model's own (auto_map), which is never run",
                where=str(folder),
                mend="take a version of the model for an architecture that transformers has",
            )
    return config


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise LuthierError(f"{path.name} is not readable", where=str(path), mend="copy or download the model again")
    return data


def _existing(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def _generation_config(folder: Path) -> Any:
    """What transformers reads beside a model's weights: it says which tokens an answer begins with."""
    from transformers import GenerationConfig

    name = "generation_config.json" if (folder / "generation_config.json").is_file() else "config.json"
    return GenerationConfig.from_pretrained(folder, config_file_name=name)


def _refuse_gaps(files: ModelFiles, model: Any, loaded: Mapping[str, Any]) -> None:
    if head_parts(model):
        refuse_gaps_beside_head(model, loaded, str(files.folder))
        return
    missing = sorted(loaded["missing_keys"])
    if missing:
        raise LuthierError(
            f"the weights lack {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else ""),
            where=str(files.folder),
            mend="the config and the weights are not of one model: copy or download both again",
        )


@contextmanager
def _explained(files: ModelFiles) -> Iterator[None]:
    """What transformers says of a model that it cannot load, as a `LuthierError`."""
    try:
        yield
    except LuthierError:
        raise
    except Exception as error:  # a config may be wrong in any way, and transformers raises as many kinds
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise LuthierError(
            f"{files.name} ({files.architecture}) cannot be loaded: {first.strip()}",
            where=str(files.folder),
            mend="transformers must know the architecture, and config, tokenizer and weights must be of one model",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and load reports to itself: what matters of them is checked and raised."""
    import transformers

    talk: Any = transformers.utils.logging
    level, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        yield
    finally:
        talk.set_verbosity(level)
        if bars:
            talk.enable_progress_bar()
