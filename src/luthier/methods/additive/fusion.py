"""AdapterFusion (Pfeiffer et al. 2020, arXiv 2005.00247): an attention over several trained adapters.

    h <- h + sum_i a_i V u_i        u_i = update_i(h) of adapter i, a = softmax_i((W_q h + b_q) . (W_k u_i))

    loss <- loss + strength sum_layers ||V - I||^2

The adapters are trained before, each by itself on a task of its own, and stay frozen; W_q, b_q, W_k and V, each of
d_model x d_model, are trained in every layer on the task that they are to serve together. A layer of width 256 gains
3 * 256 * 256 + 256 = 196,864 weights. Its numbers are those of AdapterHub's `adapters` 1.3.0 without dropout.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.placed import ABOUT, PlacedMethod, contents_of, copy_weights, read_about, stored_weights
from luthier.methods.method import rate_between
from luthier.models.head import head_weights
from luthier.models.kinds import Kind

if TYPE_CHECKING:
    import torch


class Fusion(PlacedMethod):
    """Train, in each layer, an attention over the outputs of trained adapters."""

    name: ClassVar[str] = "fusion"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"adapters": ("FIRST", "SECOND")},)
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.02, "encoder-decoder": 0.03}
    moves: ClassVar[str] = "an attention in each layer over trained adapters"
    paper: ClassVar[str] = "Pfeiffer et al. 2020, arXiv 2005.00247"

    adapters: tuple[str, ...] = ()
    """The folders of the trained adapters, two or more of one placement; a training needs them."""
    strength: float = Field(default=0.01, ge=0)
    """How strongly each V is held to the identity (0.01, AdapterHub's)."""

    def fingerprint(self) -> Any:
        """With what is in the folders."""
        return {**super().fingerprint(), "contents": contents_of(self.adapters)}

    def refusal(self, kind: Kind, family: str) -> str | None:
        return None if len(self.adapters) > 1 else "it joins trained adapters: name the folders of two or more"

    def learning_rate(self, parameters: int) -> float:
        """1e-3 at 5M parameters (measured: on two adapters of the house decoder, 20 steps took 3.9 nats to 3.35 and
        3.26 with 3e-4 and 1e-3), 5e-5 at 110M (the paper's, on BERT-base), on a log-log line between."""
        return rate_between(parameters, (5e6, 1e-3), (110e6, 5e-5))

    def build(self, model: Any, name: str, about: Mapping[str, Any] | None) -> None:
        """The adapters and the attention; a new one takes the adapters' weights from their folders.

        Raises:
            LuthierError: there are less than two folders, they hold no adapters for this base, or their adapters
                stand in different places.
        """
        from luthier.methods.additive.adapter_attention import AdapterAttention
        from luthier.methods.additive.adapter_places import put, weights_of

        adapters = self._read(model) if about is None else [Adapter(**settings) for settings in about["adapters"]]

        described = [adapter.model_dump(mode="json") for adapter in adapters]

        def make(width: int) -> AdapterAttention:
            return AdapterAttention(width, [adapter.bottleneck(width) for adapter in adapters], described)

        put(model, name, adapters[0].placement, make)
        if about is not None:
            return
        weights = weights_of(model, name)
        for index, folder in enumerate(map(Path, self.adapters)):
            inside = f".adapters.{index}."
            own = {path.replace(inside, "."): value for path, value in weights.items() if inside in path}
            copy_weights(own, folder, beside=set(stored_weights(folder)) - own.keys())

    def _read(self, model: Any) -> list[Adapter]:
        """The settings of the adapters in the folders."""
        if len(self.adapters) < 2:
            raise LuthierError(
                "there is nothing to fuse",
                where="fusion: adapters",
                mend="name the folders of two or more trained adapters: `fusion: {adapters: [a, b]}`",
            )
        found = []
        for folder in map(Path, self.adapters):
            about = read_about(folder, Adapter.name, model)
            if about["below"]:
                raise LuthierError(
                    "this adapter stands on top of others", where=str(folder), mend="fuse adapters that stand alone"
                )
            found.append(read(Adapter, about["settings"], where=str(folder / ABOUT)))
        if len({adapter.placement for adapter in found}) > 1:
            raise LuthierError(
                f"these adapters stand in different places: {', '.join(adapter.placement for adapter in found)}",
                where="fusion: adapters",
                mend="fuse adapters of one placement",
            )
        return found

    def about(self, model: Any, name: str) -> dict[str, Any]:
        """The settings of the adapters, whose weights are saved too: what is saved is whole without their folders."""
        from luthier.methods.additive.adapter_places import parts_of

        return {"adapters": parts_of(model, name)[0][1].described}

    def learned(self, model: Any, name: str) -> list[Any]:
        from luthier.methods.additive.adapter_places import parts_of

        return [parameter for _, part in parts_of(model, name) for parameter in part.attention()]

    def stored(self, model: Any) -> int:
        """The adapters' weights too."""
        from luthier.methods.additive.adapter_places import setup_of, weights_of

        weights = {**weights_of(model, setup_of(model).active), **head_weights(model)}
        return sum(parameter.numel() for parameter in weights.values())

    def penalty(self, model: Any) -> torch.Tensor | None:
        """strength ||V - I||^2, over all layers."""
        from luthier.methods.additive.adapter_places import parts_of, setup_of

        strains = [part.strain() for _, part in parts_of(model, setup_of(model).active)]
        return self.strength * sum(strains[1:], strains[0]) if strains else None
