"""Selective methods: some of the base's own weights are trained where they stand, and the rest is frozen.

    theta_i <- theta_i - lr * dL/dtheta_i    for i in S        S: what the subclass chooses

Nothing is added, so nothing is slower and merging has nothing to do. What is saved is what moved, by its names in the
model; loading puts it into its place and keeps the base's values beside it, so that several can be switched between.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.methods.method import DEFAULT, Method, MethodClass
from luthier.methods.trained_on import base_shape, wrong_base
from luthier.models.head import head_weights, train_head

if TYPE_CHECKING:
    import torch

    from luthier.methods.selective.replaced import Values

_WEIGHTS, _ABOUT = "trained.safetensors", "trained.json"


class Selective(Method):
    """Base of the selective methods: a subclass says which weights move."""

    belongs_to: ClassVar[MethodClass] = "selective"
    mergeable: ClassVar[bool] = True
    merge_tolerance: ClassVar[float] = 1e-9  # there is nothing to round

    def chosen(self, model: Any) -> list[str]:
        """The parameters that move, by their names in `named_parameters()` of a plain model.

        A classifier's head, which every method trains, need not be among them.

        Raises:
            LuthierError: the settings ask for more than this model has.
        """
        raise NotImplementedError

    def attach(self, model: Any, tokenizer: Any) -> Any:
        model.requires_grad_(False)
        chosen = set(self.chosen(model))
        if not chosen:
            raise LuthierError(
                f"{self.label()} finds nothing to train in {type(model).__name__}",
                where=self.name,
                mend="take another method, such as lora",
            )
        for name, parameter in model.named_parameters():
            if name in chosen:
                parameter.requires_grad_(True)
        return train_head(model)

    def trained(self, model: Any) -> dict[str, torch.Tensor]:
        """What `save` writes, by name: the weights that move, and a classifier's head."""
        names = {*self.chosen(model), *head_weights(model)}
        return {name: parameter for name, parameter in model.named_parameters() if name in names}

    def replacements(self, model: Any, saved: dict[str, torch.Tensor]) -> dict[str, Values] | None:
        """What stands where in the base once it is loaded; None where `saved` does not fit it.

        Args:
            model: the base, with its own values.
            saved: what `trained` gave when it was saved.
        """
        from luthier.methods.selective.replaced import Values

        wanted = {name: parameter.shape for name, parameter in self.trained(model).items()}
        if {name: value.shape for name, value in saved.items()} != wanted:
            return None
        return {name: Values(value) for name, value in saved.items()}

    def save(self, model: Any, folder: Path) -> None:
        """`trained.safetensors`, and `trained.json` with the method, its settings and the shape of the base."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.detach().contiguous() for name, value in self.trained(model).items()}, folder / _WEIGHTS)
        about = {"method": self.name, "settings": self.model_dump(mode="json"), "base": base_shape(model)}
        (folder / _ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """Put what `save` wrote into its place in a base, beside others of the same method.

        Raises:
            LuthierError: it is not there or cannot be read, another method saved it, or it was trained on a base of
                another architecture, depth or width; the model is then as it was.
        """
        from luthier.methods.selective.replaced import replaced_in

        about, saved = self._read(folder)
        if about["base"] != base_shape(model):
            raise wrong_base(folder, f"{about['base']}, not {base_shape(model)}")
        method, replaced = read(type(self), about["settings"], where=str(folder / _ABOUT)), replaced_in(model)
        shown = replaced.shown
        replaced.show(model, None)
        try:
            values = method.replacements(model, saved)
        finally:
            replaced.show(model, shown)
        if values is None:
            raise wrong_base(folder, f"{_WEIGHTS} holds other weights than {self.name} trains in this model")
        replaced.kept[name] = values
        replaced.show(model, name)
        return model.requires_grad_(False)

    def switch(self, model: Any, name: str) -> None:
        """Put the values of another one into the model.

        Raises:
            LuthierError: none of that name was loaded.
        """
        from luthier.methods.selective.replaced import replaced_in

        replaced_in(model).show(model, name)

    def disabled(self, model: Any) -> AbstractContextManager[None]:
        """Within it, the base's own values are back, bit for bit.

        Raises:
            LuthierError: nothing was loaded: a model in training has moved away from its base.
        """
        from luthier.methods.selective.replaced import replaced_in

        return replaced_in(model).hidden(model)

    def remove(self, model: Any, name: str) -> Any:
        """The model without the values of that one; where they are those that it shows, the base's own stand there
        afterwards.

        Raises:
            LuthierError: none of that name was loaded.
        """
        from luthier.methods.selective.replaced import replaced_in

        replaced_in(model).drop(model, name)
        return model

    def merge(self, model: Any) -> Any:
        """The same model, without the base's values: what was trained stands in its place already."""
        from luthier.methods.selective.replaced import forget

        forget(model)
        return model

    def _read(self, folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        for path in (folder / _WEIGHTS, folder / _ABOUT):
            if not path.is_file():
                raise LuthierError("no such file", where=str(path), mend="name the folder of what a training saved")
        about = read_object(folder / _ABOUT) or {}
        try:
            saved = load_file(folder / _WEIGHTS)
        except SafetensorError:
            saved = {}
        if not saved or not {"method", "settings", "base"} <= about.keys():
            raise LuthierError("what was saved cannot be read", where=str(folder), mend="train it again")
        if about["method"] != self.name:
            raise LuthierError(
                f"this was trained with {about['method']}, not with {self.name}",
                where=str(folder),
                mend="load it with the method that saved it",
            )
        return about, saved
