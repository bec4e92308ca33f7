"""Full fine-tuning: every weight moves.

theta <- theta - lr * dL/dtheta        for all theta
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from luthier.core.errors import LuthierError
from luthier.methods.method import DEFAULT, Method, MethodClass, Switching, rate_between


class Full(Method):
    """Train every weight of the model."""

    name: ClassVar[str] = "full"
    belongs_to: ClassVar[MethodClass] = "full"
    mergeable: ClassVar[bool] = True
    switching: ClassVar[Switching] = "never"
    moves: ClassVar[str] = "every weight"
    paper: ClassVar[str] = ""

    def learning_rate(self, parameters: int) -> float:
        """1e-3 at 6M parameters (measured, docs/log.md), 1e-5 at 7B (Touvron et al. 2023, arXiv 2307.09288, used 2e-5
        for chat tuning), on a log-log line between."""
        return rate_between(parameters, (6e6, 1e-3), (7e9, 1e-5))

    def encoder_learning_rate(self, parameters: int) -> float:
        """3e-4 at 4.4M parameters, 3e-5 at 110M, on a log-log line between: the ends of what Turc et al. 2019 (arXiv
        1908.08962) swept for BERTs from tiny to base, the smaller the higher; Devlin et al. 2018 (arXiv 1810.04805)
        swept 2e-5 to 5e-5 from 110M on. The rates for decoders are beyond what they found stable."""
        return rate_between(parameters, (4.4e6, 3e-4), (110e6, 3e-5))

    def attach(self, model: Any, tokenizer: Any) -> Any:
        model.requires_grad_(True)
        return model

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """Put what `save` wrote into a model of the same shape.

        Raises:
            LuthierError: there are no weights, they are damaged, or they are not this model's.
        """
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        weights: dict[str, torch.Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            try:
                weights |= load_file(path)
            except SafetensorError as error:
                raise LuthierError(f"cannot be read: {error}", where=str(path), mend="copy or train it again") from None
        if not weights:
            raise LuthierError("no weights (*.safetensors)", where=str(folder), mend="name the folder of a saved model")
        try:
            missing, unexpected = model.load_state_dict(weights, strict=False)
        except RuntimeError as error:  # another width
            raise _misfit(folder, str(error).splitlines()[-1].strip()) from None
        # Tied weights are stored once: what is missing must share its storage with something that was loaded.
        tied = {name for name in missing if _shares_storage(model, name, weights)}
        if odd := sorted({*unexpected, *missing} - tied):
            raise _misfit(folder, f"{odd[0]} is in only one of them")
        return model.requires_grad_(False)


def _misfit(folder: Path, why: str) -> LuthierError:
    return LuthierError(
        f"these weights are another model's: {why}", where=str(folder), mend="load them into a model of their shape"
    )


def _shares_storage(model: Any, name: str, loaded: dict[str, Any]) -> bool:
    tensors = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    place = tensors[name].data_ptr()
    return any(tensors[other].data_ptr() == place for other in loaded if other in tensors)
