"""Checkpoints of a training under way: safetensors and JSON, written beside and renamed, resumed exactly.

```
checkpoint/step-000120/  weights.safetensors optimizer.safetensors state.json
checkpoint/best/         the same, of the best validation, where early stopping wants it
```
Kept: the latest and the best. One that cannot be read whole is incomplete: it is skipped, and the one before is taken
where a kill has left it. Everything is read before anything is restored.
"""

from __future__ import annotations

import json
import random
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.durable import read_object, replacing, tidy
from luthier.training import parallel

if TYPE_CHECKING:
    import torch

    from luthier.methods.method import Method

_OF_METHOD = "method."
"""What the names of a method's own tensors begin with."""


def save_checkpoint(
    place: Path,
    model: Any,
    optimizers: list[torch.optim.Optimizer],
    state: dict[str, Any],
    *,
    method: Method | None = None,
    name: str | None = None,
) -> None:
    """Write everything that the next step depends on; the previous checkpoint stays until this one is whole.

    Args:
        place: the `checkpoint/` folder.
        model: its trainable parameters are saved.
        optimizers: their states are saved.
        state: plain data (step, best validation, ...); the random-number states are added here.
        method: its state is saved.
        name: the folder's name; `step-<step>` by default, which then replaces the older steps.

    Raises:
        LuthierError: it cannot be written (exit code 1).
    """
    from safetensors.torch import save_file

    folder = place / (name or f"step-{state['step']:08d}")
    weights = {key: value.detach().contiguous() for key, value in _trained(model).items()}
    tensors, text = _everything_else(optimizers, state)
    if method is not None:
        tensors |= {f"{_OF_METHOD}{key}": value.detach().clone() for key, value in method.state(model).items()}
    size = len(text) + sum(tensor.nbytes for tensor in (*weights.values(), *tensors.values()))
    with replacing(folder, f"the checkpoint's {size:,} bytes") as beside:
        save_file(weights, beside / "weights.safetensors")
        save_file(tensors, beside / "optimizer.safetensors")
        (beside / "state.json").write_text(text, encoding="utf-8")
    if name is None:
        for other in place.glob("step-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)


def load_checkpoint(
    place: Path,
    model: Any,
    optimizers: list[torch.optim.Optimizer],
    *,
    method: Method | None = None,
    name: str | None = None,
) -> dict[str, Any] | None:
    """Restore the latest whole checkpoint (or the one of that name) in place; gives its state, or None.

    What kills have left half written is removed first.
    """
    import torch

    if parallel.first():
        tidy(place)
    trained = _trained(model)
    folders = [place / name] if name else sorted(place.glob("step-*"), reverse=True)
    found = next((whole for folder in folders if folder.is_dir() and (whole := _read(folder, trained))), None)
    if found is None:
        return None
    state, weights, tensors = found
    random_state, plain = state.pop("random"), state.pop("optimizers")
    with torch.no_grad():
        for key, parameter in trained.items():
            parameter.copy_(weights[key])
    of_method = {key: tensors.pop(key) for key in list(tensors) if key.startswith(_OF_METHOD)}
    if method is not None:
        method.restore(model, {key.removeprefix(_OF_METHOD): value for key, value in of_method.items()})
    if name is None:
        random.setstate((random_state[0], tuple(random_state[1]), random_state[2]))
        torch.set_rng_state(tensors.pop("random.torch"))
        cuda_state = tensors.pop("random.cuda", None)
        if cuda_state is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(cuda_state)
        for optimizer, entry in zip(optimizers, _unflatten(tensors, plain), strict=True):
            optimizer.load_state_dict(entry)
    return state


_Read = tuple[dict[str, Any], dict[str, "torch.Tensor"], dict[str, "torch.Tensor"]]


def _read(folder: Path, trained: dict[str, torch.Tensor]) -> _Read | None:
    """A checkpoint's state, weights and other tensors; None, with a warning, where it is not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    state = read_object(folder / "state.json")
    try:
        weights, tensors = (load_file(folder / f"{part}.safetensors") for part in ("weights", "optimizer"))
    except (OSError, SafetensorError):
        state = None
    if state is None or {key: value.shape for key, value in weights.items()} != {
        key: value.shape for key, value in trained.items()
    }:
        warnings.warn(f"{folder}: incomplete, skipped", stacklevel=3)
        return None
    return state, weights, tensors


def _everything_else(
    optimizers: list[torch.optim.Optimizer], state: dict[str, Any]
) -> tuple[dict[str, torch.Tensor], str]:
    """What the next step depends on beside the weights: tensors, and plain data as JSON."""
    import torch

    tensors, plain = _flatten([optimizer.state_dict() for optimizer in optimizers])
    tensors["random.torch"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    version, numbers, gauss = random.getstate()
    return tensors, json.dumps({**state, "optimizers": plain, "random": [version, list(numbers), gauss]})


def _trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _flatten(states: list[dict[str, Any]]) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Optimizer states as named tensors and plain data."""
    import torch

    tensors: dict[str, torch.Tensor] = {}
    plain: list[dict[str, Any]] = []
    for index, state in enumerate(states):
        rest: dict[str, Any] = {}
        for parameter, values in state["state"].items():
            for key, value in values.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"{index}.{parameter}.{key}"] = value.detach().contiguous()
                else:
                    rest.setdefault(str(parameter), {})[key] = value
        plain.append({"param_groups": state["param_groups"], "rest": rest})
    return tensors, plain


def _unflatten(tensors: dict[str, torch.Tensor], plain: list[dict[str, Any]]) -> list[dict[str, Any]]:
    states: list[dict[str, Any]] = []
    for entry in plain:
        states.append(
            {
                "state": {int(parameter): dict(values) for parameter, values in entry["rest"].items()},
                "param_groups": entry["param_groups"],
            }
        )
    for name, tensor in tensors.items():
        index, parameter, key = name.split(".", 2)
        states[int(index)]["state"].setdefault(int(parameter), {})[key] = tensor
    return states
