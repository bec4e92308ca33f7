"""From one library's checkpoint to another's: litgpt, AdapterHub's `adapters`, transformers, and what Luthier trains.

    litgpt        full weights and LoRA             read and written (`deploy/litgpt.py`)
    adapterhub    bottleneck adapters, Compacter    read and written (`deploy/adapterhub.py`)
    luthier       whatever a method saves           read and written
    huggingface   a plain model folder              written: what was trained is merged in

A checkpoint is put onto its base, and written from there. Everything that is written is safetensors and JSON, but for
litgpt, which reads nothing else than `.pth`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from luthier.core.durable import read_object, replacing
from luthier.core.errors import LuthierError
from luthier.core.settings import read, suggest
from luthier.deploy.adapterhub import read_adapterhub, write_adapterhub
from luthier.deploy.litgpt import read_litgpt, write_litgpt
from luthier.deploy.trained import Origin, base_for, refuse_existing, trained_in, weights_of
from luthier.methods.additive.placed import ABOUT
from luthier.methods.merging import merge_checked
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.head import Head
from luthier.models.load import ModelFiles, find_model, load_model, load_tokenizer
from luthier.registry import method_named

Source = Literal["litgpt", "adapterhub", "luthier"]
Target = Literal["luthier", "litgpt", "adapterhub", "huggingface"]


@dataclass(frozen=True)
class _Loaded:
    """A checkpoint on its base: by which method, on which model, and whether it has untied the base's embeddings."""

    trained: Origin
    files: ModelFiles
    model: Any
    untied: bool = False


def convert(
    folder: Path,
    out: Path,
    *,
    origin: str,
    target: str,
    model: str | None = None,
    method: str | None = None,
    labels: Sequence[str] = (),
    allow_pickle: bool = False,
) -> Path:
    """Convert a checkpoint.

    Args:
        folder: what is read; of Luthier's, a run, a training, or saved weights.
        out: the folder to write; it may not exist.
        origin: one of `Source`.
        target: one of `Target`.
        model: the base; it may be left out where Luthier's weights name their own.
        method: the method's word, where Luthier's weights do not say.
        labels: of an encoder's head, in order.
        allow_pickle: whether a pickle may be read, as weights only.

    Returns:
        `out`.

    Raises:
        LuthierError: the checkpoint cannot be read, is not of this base, or cannot be said in the other's terms.
    """
    for option, value, known in (("--from", origin, get_args(Source)), ("--to", target, get_args(Target))):
        if value not in known:
            raise LuthierError(
                f"{value}: no such kind of checkpoint{suggest(value, known)}",
                where=option,
                mend=f"one of {', '.join(known)}",
            )
    refuse_existing(out)
    head = Head("class", tuple(labels)) if labels else None
    if origin == "luthier":
        loaded = _from_luthier(folder, model, method)
    else:
        loaded = _from_others(cast(Source, origin), folder, _base(model), head, allow_pickle)
    with replacing(out, f"the checkpoint for {target}") as beside:
        _write(loaded, cast(Target, target), beside)
    return out


def _base(model: str | None) -> ModelFiles:
    if model is None:
        raise LuthierError("the model below these weights is not known", where="--model", mend="name it with --model")
    return find_model(model)


def _from_luthier(folder: Path, model: str | None, method: str | None) -> _Loaded:
    weights = weights_of(folder)
    trained = trained_in(weights, method)
    files, base = base_for(trained, model, weights)
    return _Loaded(trained, files, trained.method.load(base, weights))


def _from_others(origin: Source, folder: Path, files: ModelFiles, head: Head | None, allow_pickle: bool) -> _Loaded:
    base = load_model(files, head=head)
    tied = _tied(base)
    if origin == "litgpt":
        found, adapted = read_litgpt(folder, base, allow_pickle=allow_pickle)
    else:
        with tempfile.TemporaryDirectory() as place:
            ours = read_adapterhub(folder, base, Path(place), pickle=allow_pickle)
            about = read_object(ours / ABOUT) or {}
            found = read(type(method_named(about["method"])), about["settings"], where=str(folder))
            adapted = found.load(base, ours)
    trained = Origin(method=found, model=files.name, identity=files.digest, head=head)
    return _Loaded(trained, files, adapted, untied=tied and not _tied(adapted))


def _write(loaded: _Loaded, target: Target, out: Path) -> None:
    method, adapted, files = loaded.trained.method, loaded.model, loaded.files
    if target == "luthier":
        if loaded.untied:  # weights go onto their base, and it has no place for two matrices
            raise LuthierError(
                f"embedding and output were trained apart, and {files.name} has one matrix for both",
                where="--to luthier",
                mend="convert it --to huggingface, and name that folder as the model",
            )
        method.save(adapted, out)
        loaded.trained.write(out)
    elif target == "adapterhub":
        with tempfile.TemporaryDirectory() as place:
            method.save(adapted, Path(place))
            write_adapterhub(Path(place), load_model(files, head=loaded.trained.head), out)
    elif target == "litgpt":
        model = adapted if isinstance(method, LoRA) else merge_checked(method, adapted)
        write_litgpt(model, load_tokenizer(files), out, base=files.name)
    else:
        merge_checked(method, adapted).save_pretrained(str(out))
        load_tokenizer(files).save_pretrained(str(out))


def _tied(model: Any) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight
