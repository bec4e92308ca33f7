"""Checkpoints of a training under way: safetensors and JSON, written beside and renamed, resumed exactly.

```
checkpoint/step-000120/  weights.safetensors optimizer.safetensors state.json
checkpoint/best/         the same, of the best validation, where early stopping wants it
```
Kept: the latest and the best. `state.json` is written last; a folder without it is incomplete and is passed over.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.errors import LuthierError

if TYPE_CHECKING:
    import torch


def save_checkpoint(
    place: Path, model: Any, optimizers: list[torch.optim.Optimizer], state: dict[str, Any], name: str | None = None
) -> None:
    """Write everything that the next step depends on; the previous checkpoint stays until this one is whole.

    Args:
        place: the `checkpoint/` folder.
        model: its trainable parameters are saved.
        optimizers: their states are saved.
        state: plain data (step, best validation, ...); the random-number states are added here.
        name: the folder's name; `step-<step>` by default, which then replaces the older steps.

    Raises:
        LuthierError: it cannot be written (exit code 1).
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder = place / (name or f"step-{state['step']:08d}")
    beside = place / f".{folder.name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        weights = {key: value.detach().contiguous() for key, value in _trained(model).items()}
        save_file(weights, beside / "weights.safetensors")
        tensors, plain = _flatten([optimizer.state_dict() for optimizer in optimizers])
        tensors["random.torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        save_file(tensors, beside / "optimizer.safetensors")
        python_state = random.getstate()
        text = json.dumps(
            {**state, "optimizers": plain, "random": [python_state[0], list(python_state[1]), python_state[2]]}
        )
        with open(beside / "state.json", "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _replace(folder, beside)
    except (OSError, SafetensorError) as error:  # safetensors tells of a full disk in its own way
        shutil.rmtree(beside, ignore_errors=True)
        raise LuthierError(
            f"the checkpoint cannot be written: {getattr(error, 'strerror', None) or error}",
            where=str(folder),
            mend="free some space and run the same command again: it goes on from the checkpoint before",
            exit_code=1,
        ) from None
    if name is None:
        for other in place.glob("step-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)


def load_checkpoint(
    place: Path, model: Any, optimizers: list[torch.optim.Optimizer], name: str | None = None
) -> dict[str, Any] | None:
    """Restore the latest whole checkpoint (or the one of that name) in place; gives its state, or None."""
    import torch
    from safetensors.torch import load_file

    folders = [place / name] if name else sorted(place.glob("step-*"), reverse=True)
    folder = next((folder for folder in folders if (folder / "state.json").exists()), None)
    if folder is None:
        return None
    state: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "weights.safetensors")
    with torch.no_grad():
        for key, parameter in _trained(model).items():
            parameter.copy_(weights[key])
    if name is None:
        tensors = load_file(folder / "optimizer.safetensors")
        random_state = state.pop("random")
        random.setstate((random_state[0], tuple(random_state[1]), random_state[2]))
        torch.set_rng_state(tensors.pop("random.torch"))
        cuda_state = tensors.pop("random.cuda", None)
        if cuda_state is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(cuda_state)
        for optimizer, plain in zip(optimizers, _unflatten(tensors, state.pop("optimizers")), strict=True):
            optimizer.load_state_dict(plain)
    return state


def _replace(folder: Path, beside: Path) -> None:
    """Move a whole checkpoint to its place; the one that stood there goes only when it stands."""
    before = folder.with_name(f".{folder.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if folder.exists():
        os.replace(folder, before)
    try:
        os.replace(beside, folder)
    except OSError:
        if before.exists():
            before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)


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
