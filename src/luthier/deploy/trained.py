"""What a study trained, found again by its folder: `method.json` beside the weights says whose they are.

`{"method": {"lora": {...}}, "model": "house/decoder", "identity": "<digest>", "head": null}`
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luthier.core.durable import read_object, replacing
from luthier.core.errors import LuthierError
from luthier.core.settings import Settings, read
from luthier.core.store import Store, write_json
from luthier.methods.method import Method
from luthier.models.head import Head
from luthier.models.load import ModelFiles, find_model, load_model, load_tokenizer
from luthier.registry import METHODS, AnyMethod, method_named
from luthier.run_spec import RunSpec

_FILE = "method.json"
_ADAPTER, _PEFT_CONFIG = "adapter.json", "adapter_config.json"


class Origin(Settings):
    """What is known of trained weights beside the weights: whose they are, and of which model."""

    method: AnyMethod
    """Whose they are, with its settings."""
    model: str | None = None
    """The model that they were trained on; none where that stands nowhere by itself (what earlier stages left, or
    weights drawn at random)."""
    identity: str | None = None
    """The digest of that model's configuration, tokenizer and weights."""
    below: str | None = None
    """Where that is none, the digest of the model that is further below: these weights do not go onto it."""
    head: Head | None = None
    """What an encoder was to answer with."""

    def write(self, folder: Path) -> None:
        """Put it beside the weights."""
        write_json(folder / _FILE, self.model_dump(mode="json"))


def weights_of(path: Path) -> Path:
    """The folder of trained weights that is meant by a run's folder, a training's, or the weights' own.

    Raises:
        LuthierError: there is none, or the run trained nothing.
    """
    if (spec := read_object(path / "spec.json")) is not None:
        keys = read(RunSpec, spec, where=str(path / "spec.json")).train_keys()
        if not keys:
            raise LuthierError("this run trained nothing", where=str(path), mend="name the run of an arm that trains")
        weights = Store(path.resolve().parent.parent).step("train", keys[-1]).weights
    else:
        weights = path / "weights" if (path / "weights").is_dir() else path
    if not any(weights.glob("*.safetensors")):
        raise LuthierError(
            "no trained weights are there",
            where=str(weights),
            mend="name a run (runs/<name>), a training (train/<key>), or the folder of a saved adapter",
        )
    return weights


def trained_in(weights: Path, method: str | None = None) -> Origin:
    """What `method.json` says, or the adapter's own configuration: that of ours between the layers, or peft's.

    Args:
        weights: the folder.
        method: the word of the method, where neither is there.

    Raises:
        LuthierError: nothing says whose weights these are, or it is another method than the one named.
    """
    data = read_object(weights / _FILE)
    if data is None and (about := read_object(weights / _ADAPTER)) is not None:
        data = {"method": {about.get("method"): about.get("settings")}}
    if data is not None:
        found = read(Origin, data, where=str(weights / _FILE))
        if method not in (None, found.method.name):
            raise LuthierError(
                f"these are weights of {found.method.name}, not of {method}", where=str(weights), mend="drop --method"
            )
        return found
    peft_type = str((read_object(weights / _PEFT_CONFIG) or {}).get("peft_type", "")).lower()
    word = method or (peft_type if peft_type in {cls.name for cls in METHODS} else None)
    if word is None:
        raise LuthierError(
            f"nothing says which method trained these weights: there is no {_FILE}",
            where=str(weights),
            mend="name it with --method",
        )
    return Origin(method=method_named(word))


def method_of(folder: Path) -> Method:
    """The method whose weights a folder holds, with its settings.

    Raises:
        LuthierError: nothing there says so.
    """
    return trained_in(folder).method


def base_for(trained: Origin, model: str | None, where: Path) -> tuple[ModelFiles, Any]:
    """The base that weights were trained on, found and loaded in float32.

    Args:
        trained: what is known of the weights.
        model: its name, where it is known.
        where: the weights, for the errors.

    Raises:
        LuthierError: it is not known, or it is another one.
    """
    name = model or trained.model
    if name is None:
        raise LuthierError("the model below these weights is not known", where=str(where), mend="name it with --model")
    files = find_model(name)
    if trained.below == files.digest:
        raise LuthierError(
            f"these weights were trained on what earlier stages left of {name}, or on random weights in its place",
            where=str(where),
            mend="merge the stages before them (luthier merge train/<key>), and name that folder with --model",
        )
    if trained.identity not in (None, files.digest):
        raise LuthierError(
            f"these weights were trained on another model ({trained.model}, {trained.identity}), not on {name} "
            f"({files.digest})",
            where=str(where),
            mend="name the model that they were trained on",
        )
    return files, load_model(files, head=trained.head)


def merge_trained(path: Path, out: Path, model: str | None = None, method: str | None = None) -> Path:
    """Fold trained weights into their base, checked, and save the plain model with its tokenizer.

    Args:
        path: a run, a training or a saved adapter.
        out: the folder to write; it may not exist.
        model: the base, where the weights do not say.
        method: the method's word, where the weights do not say.

    Returns:
        The folder: transformers loads it by itself.

    Raises:
        LuthierError: the weights or the base are not to be had, or merging would change the answers
            (`methods/merging.py`).
    """
    from luthier.methods.merging import merge_checked

    refuse_existing(out)
    weights = weights_of(path)
    trained = trained_in(weights, method)
    files, base = base_for(trained, model, weights)
    merged = merge_checked(trained.method, trained.method.load(base, weights))
    with replacing(out, "the merged model") as beside:
        merged.save_pretrained(str(beside))
        load_tokenizer(files).save_pretrained(str(beside))
    return out


def refuse_existing(out: Path) -> None:
    """Nothing, or an error where something is there already.

    Raises:
        LuthierError: something is.
    """
    if out.exists() or out.resolve().exists():  # `new/..` is a place that is there
        raise LuthierError("this is there already", where=str(out), mend="give another folder with --out")
