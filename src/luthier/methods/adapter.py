"""Bottleneck adapters (Houlsby et al. 2019, arXiv 1902.00751; Pfeiffer et al. 2020, arXiv 2005.00247).

    h <- h + W_up f(W_down h + b_down) + b_up

    W_down: (d_model / reduction, d_model), W_up: (d_model, d_model / reduction), drawn small, so nearly h at first

`houlsby`: h is the output of the attention, and again that of the feed-forward, each before its residual add.
`pfeiffer`: h is the output of the layer, the feed-forward's with its residual added. Both are where AdapterHub's
`adapters` 1.3.0 (arXiv 2311.11077) puts them, and its numbers are ours. Encoder-decoders have them in the layers of
both, after self-attention and feed-forward, and none after cross-attention, as there. Where a norm of the sum with the
residual closes a layer (BERT, BART), `pfeiffer` reads what the norm gives, and adds to the sum before it is normed:

    x = feed-forward + residual        layer = LN(x + W_up f(W_down LN(x) + b_down) + b_up)

A layer of width 256 at reduction 16 gains 2 * 256 * 16 + 16 + 256 = 8,464 weights (pfeiffer), or twice that (houlsby).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.methods.method import DEFAULT, Method, MethodClass, rate_between
from luthier.models.head import head_weights, train_head

Placement = Literal["pfeiffer", "houlsby"]
Nonlinearity = Literal["relu", "swish", "gelu", "tanh"]

_USUAL: dict[Placement, Nonlinearity] = {"pfeiffer": "relu", "houlsby": "swish"}
"""The nonlinearity of each placement in AdapterHub's SeqBnConfig and DoubleSeqBnConfig."""
_WEIGHTS, _SETTINGS = "adapter.safetensors", "adapter.json"


class Adapter(Method):
    """Train small bottleneck layers that are put between the frozen ones."""

    name: ClassVar[str] = "adapter"
    belongs_to: ClassVar[MethodClass] = "additive"
    moves: ClassVar[str] = "a bottleneck after each layer, or after each sublayer"
    paper: ClassVar[str] = "Houlsby et al. 2019, arXiv 1902.00751; Pfeiffer et al. 2020, arXiv 2005.00247"

    placement: Placement = "pfeiffer"
    """One bottleneck a layer, after the feed-forward (`pfeiffer`: chosen by a search over places in arXiv 2005.00247,
    at half the weights), or two, after attention and after the feed-forward (`houlsby`)."""
    reduction: int = Field(default=16, ge=1)
    """The bottleneck is d_model / reduction wide, at least 1 (AdapterHub's default)."""
    nonlinearity: Nonlinearity | None = None
    """f; AdapterHub's choice where it is not given: `relu` for pfeiffer, `swish` for houlsby."""

    def learning_rate(self, parameters: int) -> float:
        """1e-2 at 5M parameters (measured: on generated/support_desk, 96 examples and two epochs, the house decoder
        reached 4.10, 3.43 and 2.79 nats with 1e-3, 3e-3 and 1e-2), 3e-4 at 7B (the commands of Hu et al. 2023, arXiv
        2304.01933), on a log-log line between; BERT-large's 340M get 1.3e-3, within what Houlsby et al. swept there,
        3e-5 to 3e-3."""
        return rate_between(parameters, (5e6, 1e-2), (7e9, 3e-4))

    def attach(self, model: Any, tokenizer: Any) -> Any:
        from luthier.methods.bottleneck import insert, inserted

        model.requires_grad_(False)
        insert(model, self.placement, self.reduction, self.nonlinearity or _USUAL[self.placement])
        for bottleneck in inserted(model):
            bottleneck.requires_grad_(True)
        return train_head(model)

    def save(self, model: Any, folder: Path) -> None:
        """`adapter.safetensors`, and `adapter.json` with the settings and what they were put on."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.detach().contiguous() for name, value in _weights(model).items()}, folder / _WEIGHTS)
        about = {"settings": self.model_dump(mode="json"), "base": _base(model)}
        (folder / _SETTINGS).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """Put a saved adapter, with the settings that it was saved with, onto a fresh base; nothing requires gradients.

        Raises:
            LuthierError: the base is not of the architecture, depth or width that the adapter was trained on.
        """
        import torch
        from safetensors.torch import load_file

        about = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        base = _base(model)
        if base != about["base"]:
            raise LuthierError(
                f"the adapter was trained on {_described(about['base'])}; this is {_described(base)}",
                where=str(folder),
                mend="load it onto the model that it was trained on",
            )
        model = type(self)(**about["settings"]).attach(model, None)
        saved, weights = load_file(folder / _WEIGHTS), _weights(model)
        if {name: value.shape for name, value in saved.items()} != {n: value.shape for n, value in weights.items()}:
            raise LuthierError(
                "the adapter's weights are not those that its settings speak of",
                where=str(folder / _WEIGHTS),
                mend="train it again: one of the two files has been changed",
            )
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(saved[name])
        return model.requires_grad_(False)


def _weights(model: Any) -> dict[str, Any]:
    """The parameters of the bottlenecks and of a classifier's head, by their names in the model."""
    from luthier.methods.bottleneck import inserted

    own = {id(parameter) for bottleneck in inserted(model) for parameter in bottleneck.parameters()}
    trained = {name: parameter for name, parameter in model.named_parameters() if id(parameter) in own}
    return {**trained, **head_weights(model)}


def _base(model: Any) -> dict[str, Any]:
    config = model.config.get_text_config(decoder=True)
    return {"model_type": config.model_type, "layers": config.num_hidden_layers, "width": config.hidden_size}


def _described(base: dict[str, Any]) -> str:
    return f"{base['model_type']} with {base['layers']} layers of width {base['width']}"
