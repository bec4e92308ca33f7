"""What adapters between the layers have in common: they are attached, saved, loaded, stacked and switched alike.

A saved one is a folder with `adapter.safetensors`, its weights by place and those of a classifier's head, and
`adapter.json`: the method's word, its settings, the base that it was trained on, and the digests of what lay below it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.methods.method import DEFAULT, Method, MethodClass, Switching
from luthier.methods.trained_on import base_shape
from luthier.models.head import train_head

WEIGHTS, ABOUT = "adapter.safetensors", "adapter.json"


class PlacedMethod(Method):
    """A method whose modules stand between the frozen layers; a subclass says which, and where."""

    belongs_to: ClassVar[MethodClass] = "additive"
    switching: ClassVar[Switching] = "row"
    starts_at_base: ClassVar[bool] = False

    def build(self, model: Any, name: str, about: Mapping[str, Any] | None) -> None:
        """Put the modules into the model, where they answer under `name` but are not active yet.

        Args:
            model: a plain transformers model, perhaps with others on it.
            name: what this one is called.
            about: of a saved one, what stands beside its weights; None for a new one.
        """
        raise NotImplementedError

    def about(self, model: Any, name: str) -> dict[str, Any]:
        """What `build` must know of a saved one beside the settings."""
        return {}

    def learned(self, model: Any, name: str) -> list[Any]:
        """The parameters that are trained, a head's apart: all that `build` made."""
        from luthier.methods.additive.adapter_places import weights_of

        return list(weights_of(model, name).values())

    def attach(self, model: Any, tokenizer: Any) -> Any:
        from luthier.methods.additive.adapter_places import setup_of

        self.build(model, DEFAULT, None)
        model.requires_grad_(False)
        for parameter in self.learned(model, DEFAULT):
            parameter.requires_grad_(True)
        setup_of(model).active = DEFAULT
        return train_head(model)

    def save(self, model: Any, folder: Path) -> None:
        """Write the active one: `adapter.safetensors` and `adapter.json`."""
        from safetensors.torch import save_file

        from luthier.methods.additive.adapter_heads import head_of
        from luthier.methods.additive.adapter_places import setup_of, weights_of

        setup = setup_of(model)
        name = setup.active
        weights = {**weights_of(model, name), **head_of(model, name)}
        *below, _ = setup.chain(name)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({path: value.detach().cpu().contiguous() for path, value in weights.items()}, folder / WEIGHTS)
        about = {"method": self.name, "settings": self.model_dump(mode="json"), "base": base_shape(model)}
        about |= {"below": below, **self.about(model, name)}
        (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """Put a saved one, with the settings that it was saved with, onto a base; nothing requires gradients.

        Raises:
            LuthierError: it is not there, is of another method or base, what lay below it is not below it here, its
                weights are not those of its settings, or the name is taken. What was loaded before stays as it was.
        """
        from luthier.methods.additive.adapter_heads import copy_head
        from luthier.methods.additive.adapter_places import setup_of, weights_of

        about = read_about(folder, self.name, model)
        saved = read(type(self), about["settings"], where=str(folder / ABOUT))
        saved.build(model, name, about)
        try:
            below = list(setup_of(model).chains[name][:-1])
            if below != about["below"]:
                raise LuthierError(
                    f"it was trained on top of {_listed(about['below'])}; below it here is {_listed(below)}",
                    where=str(folder),
                    mend="load what was below it first, as it was then",
                )
            copy_weights({**weights_of(model, name), **copy_head(model, name)}, folder)
        except BaseException:
            self.remove(model, name)
            raise
        setup_of(model).active = name
        return model.requires_grad_(False)

    def switch(self, model: Any, name: str) -> None:
        from luthier.methods.additive.adapter_places import setup_of

        setup = setup_of(model)
        setup.chain(name)
        setup.active = name

    @contextmanager
    def disabled(self, model: Any) -> Iterator[None]:
        from luthier.methods.additive.adapter_places import setup_of
        from luthier.models.row_adapters import BASE

        setup = setup_of(model)
        before, setup.active = setup.active, BASE
        try:
            yield
        finally:
            setup.active = before

    def remove(self, model: Any, name: str) -> Any:
        from luthier.methods.additive.adapter_heads import drop_head
        from luthier.methods.additive.adapter_places import remove

        remove(model, name)
        drop_head(model, name)
        return model

    def merge(self, model: Any) -> Any:
        raise LuthierError(
            f"{self.name} cannot be merged: what was trained has no place in the base's own weights",
            where=self.name,
            mend="keep it beside the base, or train with a method that can be merged, such as lora",
        )

    @property
    def leads_on(self) -> bool:
        return True

    def settle(self, model: Any, folder: Path) -> Any:
        """The base with the loaded one frozen in it: what the next stage attaches stands on top."""
        from luthier.methods.additive.adapter_heads import adopt_head
        from luthier.methods.additive.adapter_places import settle_below, setup_of

        name = setup_of(model).active
        adopt_head(model, name)
        settle_below(model, name, digest_of(folder))
        return model


def read_about(folder: Path, method: str, model: Any) -> dict[str, Any]:
    """What `save` wrote beside the weights.

    Raises:
        LuthierError: it is not there, or it is of another method or base.
    """
    for path in (folder / ABOUT, folder / WEIGHTS):
        if not path.is_file():
            raise LuthierError("no such file", where=str(path), mend="name the folder of a saved adapter")
    about = read_object(folder / ABOUT)
    if about is None or not {"method", "settings", "base", "below"} <= about.keys():
        raise LuthierError("not what a saved adapter has here", where=str(folder / ABOUT), mend="train it again")
    if about["method"] != method:
        raise LuthierError(
            f"this was saved by {about['method']}, not by {method}", where=str(folder), mend="name the other method"
        )
    if about["base"] != base_shape(model):
        raise LuthierError(
            f"the adapter was trained on {_described(about['base'])}; this is {_described(base_shape(model))}",
            where=str(folder),
            mend="load it onto the model that it was trained on",
        )
    return about


def copy_weights(weights: Mapping[str, Any], folder: Path, beside: AbstractSet[str] = frozenset()) -> None:
    """Fill parameters from a saved adapter's file, which must hold these and no others.

    Args:
        weights: by their names in the file.
        folder: of the saved adapter.
        beside: names of weights in the file that are not wanted (a head's).

    Raises:
        LuthierError: it does not, or cannot be read.
    """
    import torch

    saved = {path: value for path, value in stored_weights(folder).items() if path not in beside}
    if {path: value.shape for path, value in saved.items()} != {path: value.shape for path, value in weights.items()}:
        raise LuthierError(
            "the adapter's weights are not those that its settings speak of",
            where=str(folder / WEIGHTS),
            mend="train it again: one of the two files has been changed",
        )
    with torch.no_grad():
        for path, value in weights.items():
            value.copy_(saved[path])


def stored_weights(folder: Path) -> dict[str, Any]:
    """The tensors of a saved adapter by name.

    Raises:
        LuthierError: the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise LuthierError(
            f"cannot be read: {error}", where=str(folder / WEIGHTS), mend="copy or train it again"
        ) from None


def digest_of(folder: Path) -> str:
    """Sixteen hex digits of the SHA-256 of a saved adapter's weights: what it is called where it lies below others."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:16]


def contents_of(folders: Sequence[str]) -> list[str | None]:
    """The digest of each folder's weights, None where there are none yet: for the fingerprint of settings that name
    folders, so that results of other weights are not taken for theirs."""
    return [digest_of(Path(folder)) if (Path(folder) / WEIGHTS).is_file() else None for folder in folders]


def _described(base: Mapping[str, Any]) -> str:
    return f"{base.get('model_type')} with {base.get('layers')} layers of width {base.get('width')}"


def _listed(digests: Sequence[str]) -> str:
    return f"the adapters {', '.join(digests)}" if digests else "the bare base"
