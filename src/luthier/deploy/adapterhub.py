"""Checkpoints of AdapterHub's `adapters` (arXiv 2311.11077): bottleneck adapters and Compacter, read and written.

    read_adapterhub(Path("theirs"), model, Path("ours"))    # then: Adapter().load(model, Path("ours"))
    write_adapterhub(Path("ours"), model, Path("theirs"))   # then: model.load_adapter("theirs", use_safetensors=True)

Theirs is a folder with `adapter_config.json` and `adapter.safetensors` (or `pytorch_adapter.bin`, a pickle). Of a head,
`model_head.safetensors` is read where it is the same head; none is written. Prompt tuning is refused: there the virtual
tokens come after the whole embedding layer, with its positions and its norm, and here they come before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.deploy.adapterhub_config import their_config, their_method
from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.compacter import Compacter
from luthier.methods.additive.placed import ABOUT, WEIGHTS, stored_weights
from luthier.methods.trained_on import base_shape
from luthier.models.head import head_weights

FAMILIES = ("bert", "roberta", "gpt2", "llama", "mistral", "t5", "bart")
"""The model types whose outputs were compared with AdapterHub's. It has neither BLOOM nor Gemma 1, and reads in Gemma 2
and 3 what the norm after the feed-forward gives out."""
_CONFIG, _SAFE, _PICKLE, _HEAD = (
    "adapter_config.json", "adapter.safetensors", "pytorch_adapter.bin", "model_head.safetensors"
)  # fmt: skip
_VERSION = "adapters.1.3.0"
"""Of their format: what it lacks is read by older rules."""


def read_adapterhub(folder: Path, model: Any, into: Path, *, pickle: bool = False) -> Path:
    """Make a saved adapter of ours from one of AdapterHub's.

    Args:
        folder: theirs.
        model: the base, plain; it is only looked at. The head that is saved beside is theirs, where they have the same
            one, or else the model's own.
        into: where ours is written.
        pickle: whether a pickle may be read, by torch's restricted reader; a file of unknown origin should not be.

    Returns:
        `into`, for `Adapter.load` or `Compacter.load`.

    Raises:
        LuthierError: a file is missing or a pickle, it was made for another base, or it does what ours cannot.
    """
    from safetensors.torch import save_file

    config = read_object(folder / _CONFIG)
    if config is None or not isinstance(config.get("config"), dict):
        raise LuthierError(
            "not the configuration of one of AdapterHub's adapters",
            where=str(folder / _CONFIG),
            mend="name a folder that `save_adapter` wrote",
        )
    shape = base_shape(model)
    _refuse_family(shape["model_type"], str(folder))
    theirs = (config.get("model_type"), config.get("hidden_size"))
    if theirs != (shape["model_type"], shape["width"]):
        raise LuthierError(
            f"it was trained on {theirs[0]} of width {theirs[1]}, not on {shape['model_type']} of width "
            f"{shape['width']}",
            where=str(folder),
            mend="name the base that it was trained on",
        )
    method = their_method(config, shape["width"], where=str(folder / _CONFIG))
    stored = {_bare(model, name): value for name, value in _their_weights(folder, pickle).items()}
    names = _names(model, method, str(config.get("name")))
    if odd := sorted(names.values() ^ stored.keys()):
        raise LuthierError(
            f"{odd[0]} is in only one of the checkpoint and the base",
            where=str(folder),
            mend="name the base that it was trained on",
        )
    weights = {ours: stored[their].contiguous() for ours, their in names.items()}
    weights |= _their_head(folder, model)
    into.mkdir(parents=True, exist_ok=True)
    save_file(weights, into / WEIGHTS)
    about = {"method": method.name, "settings": method.model_dump(mode="json"), "base": shape, "below": []}
    (into / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return into


def write_adapterhub(ours: Path, model: Any, folder: Path, name: str = "luthier") -> Path:
    """Make one of AdapterHub's adapters from a saved one of ours; its head, if any, is left out.

    Args:
        ours: what `Adapter.save` or `Compacter.save` wrote.
        model: the base, plain; it is only looked at.
        folder: where theirs is written, `adapter_config.json` and `adapter.safetensors`.
        name: what the adapter is called there.

    Returns:
        `folder`, for `model.load_adapter(folder, use_safetensors=True)`.

    Raises:
        LuthierError: it is no adapter or compacter for this base, stands on top of others, or AdapterHub could not do
            what it does.
    """
    from safetensors.torch import save_file

    about = read_object(ours / ABOUT) or {}
    classes: dict[Any, type[Adapter | Compacter]] = {Adapter.name: Adapter, Compacter.name: Compacter}
    shape = base_shape(model)
    if about.get("method") not in classes or about.get("base") != shape or about.get("below"):
        raise LuthierError(
            f"this is no adapter or compacter on a bare {shape['model_type']} with {shape['layers']} layers of width "
            f"{shape['width']}",
            where=str(ours),
            mend="name the folder of one, and the base that it was trained on",
        )
    _refuse_family(shape["model_type"], str(ours))
    if not name or "." in name:
        raise LuthierError("a name there has no dot", where=name, mend="take another name")
    method = read(classes[about["method"]], about["settings"], where=str(ours / ABOUT))
    prefix = f"{model.base_model_prefix}." if hasattr(model, model.base_model_prefix) else ""
    stored = stored_weights(ours)
    weights = {prefix + their: stored[mine] for mine, their in _names(model, method, name).items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / _SAFE)
    config = {
        "config": their_config(method, shape["width"], where=str(ours / ABOUT)), "hidden_size": shape["width"],
        "model_class": type(model).__name__, "model_name": "", "model_type": shape["model_type"], "name": name,
        "version": _VERSION,
    }  # fmt: skip
    (folder / _CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return folder


def _names(model: Any, method: Adapter | Compacter, name: str) -> dict[str, str]:
    """Our name of every weight -> theirs, without what comes before the layers of the base model."""
    from luthier.methods.additive.adapter_spots import spots

    inner = {"down.weight": "adapter_down.0.weight", "down.bias": "adapter_down.0.bias"}
    inner |= {"up.weight": "adapter_up.weight", "up.bias": "adapter_up.bias"}
    if isinstance(method, Compacter):
        factors = {"left": "W_left", "right": "W_right", "bias": "b"}
        inner = {f"down.{mine}": f"adapter_down.0.{their}" for mine, their in factors.items()}
        inner |= {f"up.{mine}": f"adapter_up.{their}" for mine, their in factors.items()}
    found = {}
    for index, spot in enumerate(spots(model, method.placement)):
        here = f"{spot.path}.{spot.name}"
        attention = spot.name == "attention_adapter"
        if model.config.model_type in ("bert", "roberta"):
            there = "attention.output" if attention else "output"
        elif model.config.model_type == "t5":
            there = f"layer.{0 if attention else len(spot.layer.get_submodule('layer')._modules) - 1}"
        else:
            there = "attention_adapters" if attention else "output_adapters"
        for mine, their in inner.items():
            found[f"{here}.{mine}"] = f"{_bare(model, spot.path)}.{there}.adapters.{name}.{their}"
        if index == 0 and isinstance(method, Compacter):
            found[f"{here}.down.rule"] = f"shared_parameters.{name}.phm_rule"
    return found


def _bare(model: Any, name: str) -> str:
    """A name within the base model, whatever class wraps it."""
    return name.removeprefix(f"{model.base_model_prefix}.")


def _their_weights(folder: Path, pickle: bool) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if (folder / _SAFE).is_file():
        try:
            return load_file(folder / _SAFE)
        except SafetensorError as error:
            raise LuthierError(f"cannot be read: {error}", where=str(folder / _SAFE), mend="copy it again") from None
    path = folder / _PICKLE
    if not path.is_file():
        raise LuthierError("no such file", where=str(folder / _SAFE), mend="name a folder that `save_adapter` wrote")
    if not pickle:
        raise LuthierError(
            "the weights are a pickle, which may run code as it is read",
            where=str(path),
            mend="save it there with `save_adapter(folder, name, use_safetensors=True)`, or, if you trust its origin, "
            "say --allow-pickle (`pickle=True`)",
        )
    return _unpickled(path)


def _unpickled(path: Path) -> dict[str, Any]:
    import torch

    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no pickle at all fails in many ways: KeyError, EOFError without a word
        why = f"{type(error).__name__} {error}".strip().splitlines()[0]
        raise LuthierError(f"more than tensors, or damaged: {why}", where=str(path), mend="do not use it") from None
    if not isinstance(weights, Mapping) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise LuthierError("more than tensors", where=str(path), mend="do not use it")
    return dict(weights)


def _their_head(folder: Path, model: Any) -> dict[str, Any]:
    """The weights of a classifier's head: theirs where there are such, and otherwise the model's own."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights = {name: value.detach().cpu().contiguous() for name, value in head_weights(model).items()}
    if weights and (folder / _HEAD).is_file():
        try:
            theirs = load_file(folder / _HEAD)
        except SafetensorError as error:
            raise LuthierError(f"cannot be read: {error}", where=str(folder / _HEAD), mend="copy it again") from None
        for name, value in theirs.items():
            if name in weights and weights[name].shape == value.shape:
                weights[name] = value
            else:
                raise LuthierError(
                    f"the head has {name} of shape {tuple(value.shape)}, and the model's has not",
                    where=str(folder / _HEAD),
                    mend=f"load a model with the same head, or remove {_HEAD} to go on with the model's",
                )
    return weights


def _refuse_family(model_type: str, where: str) -> None:
    if model_type not in FAMILIES:
        raise LuthierError(
            f"adapters of {model_type} are not exchanged: its outputs were not compared with AdapterHub's",
            where=where,
            mend=f"take one of {', '.join(FAMILIES)}",
        )
