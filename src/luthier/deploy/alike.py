"""Whether trained weights are alike enough to be combined; if not, in which respect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.deploy.trained import Origin

_NO_UPDATE_OF_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Starts of LoRA that take something out of the base's weights first, and put it into the factors."""


def refuse_strangers(folders: Sequence[Path], trained: Sequence[Origin]) -> None:
    """Two or more, of one method and one base.

    Raises:
        LuthierError: they are not.
    """
    if len(folders) < 2:
        raise LuthierError("there is nothing to combine it with", where=str(folders[0]), mend="name two or more")
    first = trained[0]
    for folder, other in zip(folders[1:], trained[1:], strict=True):
        if type(other.method) is not type(first.method):
            raise LuthierError(
                f"{first.method.name} and {other.method.name} cannot be combined",
                where=f"{folders[0]} and {folder}",
                mend="name weights of one method",
            )
        if other.head != first.head:
            raise LuthierError(
                f"their heads answer with different labels: {_labels(first)} and {_labels(other)}",
                where=f"{folders[0]} and {folder}",
                mend="name weights that were trained on tasks with the same labels, in the same order",
            )
        shapes = [_base_shape(place) for place in (folders[0], folder)]
        if None not in (first.identity, other.identity) and first.identity != other.identity:
            bases = f"{first.model} ({first.identity}) and {other.model} ({other.identity})"
        elif None not in shapes and shapes[0] != shapes[1]:
            bases = f"{shapes[0]} and {shapes[1]}"
        else:
            continue
        raise LuthierError(
            f"they were trained on different models: {bases}",
            where=f"{folders[0]} and {folder}",
            mend="name weights that were trained on one model",
        )


def _base_shape(folder: Path) -> dict[str, Any] | None:
    """Of the model below: what was trained on it may be of several sizes (ranks)."""
    about = read_object(folder / "base.json")
    return None if about is None else {key: value for key, value in about.items() if key != "numbers"}


def _labels(trained: Origin) -> str:
    return ", ".join(trained.head.labels) if trained.head is not None else "none"


def refuse_variants(loaded: Any, folder: Path) -> None:
    """Where an update is more than B A, peft would combine B and A, and drop the rest.

    Args:
        loaded: a base with adapters of LoRA on it, within peft.
        folder: where they are from.

    Raises:
        LuthierError: it is more.
    """
    for config in loaded.peft_config.values():
        if config.modules_to_save or config.bias != "none":
            raise LuthierError(
                "beside the update, whole modules or biases were trained, which are no product of two matrices",
                where=str(folder),
                mend="say --how linear: parameter by parameter",
            )
        start = str(config.init_lora_weights).lower()
        odd = "use_dora" if config.use_dora else next((s for s in _NO_UPDATE_OF_THE_BASE if start.startswith(s)), None)
        if odd or any(getattr(module, "lora_variant", None) for module in loaded.modules()):
            raise LuthierError(
                f"what it adds to the base is more than a product of two matrices ({odd or 'a variant of LoRA'})",
                where=str(folder),
                mend="combine plain LoRA, or merge each into its base",
            )


def refuse_other_shapes(folders: Sequence[Path], trained: Sequence[Origin]) -> None:
    """Parameters are of one meaning where names, shapes and settings are the same.

    Raises:
        LuthierError: they are not.
    """
    from safetensors import SafetensorError, safe_open

    def shapes(folder: Path) -> dict[tuple[str, str], list[int]]:
        found = {}
        for path in folder.glob("*.safetensors"):
            try:
                with safe_open(path, "pt") as file:
                    found.update({(path.name, name): file.get_slice(name).get_shape() for name in file.keys()})  # noqa: SIM118
            except SafetensorError as error:
                raise LuthierError(f"cannot be read: {error}", where=str(path), mend="copy it again") from None
        return found

    first = shapes(folders[0])
    for folder, its in zip(folders[1:], trained[1:], strict=True):
        if its.method.digest() != trained[0].method.digest() or _scale(folder) != _scale(folders[0]):
            raise LuthierError(
                f"they were trained with different settings: {trained[0].method.label()} and {its.method.label()}",
                where=f"{folders[0]} and {folder}",
                mend="name weights that were trained with the same settings",
            )
        other = shapes(folder)
        odd = sorted(key for key in first.keys() | other.keys() if first.get(key) != other.get(key))
        if odd:
            raise LuthierError(
                f"{odd[0][1]} is of another shape, or in only one of them",
                where=f"{folders[0]} and {folder}",
                mend="name weights that were trained with the same settings (rank, size, layers)",
            )


def _scale(folder: Path) -> list[Any]:
    """What peft multiplies the factors by: by its own configuration, for what another program trained says no more."""
    config = read_object(folder / "adapter_config.json") or {}
    return [config.get(key) for key in ("lora_alpha", "alpha", "alpha_pattern", "use_rslora", "scaling")]
