"""Checkpoints of litgpt 0.5: full weights, and what `litgpt finetune lora` leaves.

```
lit_model.pth          all weights, or
lit_model.pth.lora     A and B alone, with hyperparameters.yaml
model_config.yaml      the model
config.json tokenizer.json tokenizer_config.json generation_config.json
```

litgpt keeps one A and one B for the fused matrix of queries, keys and values, a rank each, which is one LoRA each for
q_proj, k_proj and v_proj:

    A = [A_q; A_k; A_v]: (3 r, d_in)        B = [B_q; B_k; B_v]: (d_q + 2 d_kv, r)        update (alpha / r) B_q A_q ...

**A `.pth` file is a pickle, and a pickle can run code while it is read** (CVE-2025-32434: until torch 2.6 even with
`weights_only=True`). One is read only where the user has allowed it, with `weights_only=True`. Writing for litgpt is
the one place where anything but safetensors is written: it reads nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from luthier.core.errors import LuthierError
from luthier.deploy.litgpt_names import LitGPTNames, litgpt_config
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA

if TYPE_CHECKING:
    import torch

_FULL, _LORA = "lit_model.pth", "lit_model.pth.lora"
_HYPERPARAMETERS = "hyperparameters.yaml"
_FLAGS = {
    "lora_query": ("q_proj",),
    "lora_key": ("k_proj",),
    "lora_value": ("v_proj",),
    "lora_projection": ("o_proj",),
    "lora_mlp": ("gate_proj", "up_proj", "down_proj"),
    "lora_head": ("lm_head",),
}
"""litgpt's switch -> the modules that it gives a LoRA."""


def read_litgpt(folder: Path, model: Any, *, allow_pickle: bool = False) -> tuple[Method, Any]:
    """What a litgpt checkpoint holds, on its base.

    Args:
        folder: with `lit_model.pth` or `lit_model.pth.lora`.
        model: the transformers model of that architecture; for LoRA, with the weights that it was trained on.
        allow_pickle: whether the checkpoint may be read at all; see above.

    Returns:
        The method that it was trained with, `full` or `lora`, and the model that answers as litgpt's does. Where litgpt
        has trained embeddings apart that the base ties, they are untied.

    Raises:
        LuthierError: it may not be read, is not there or is damaged, or is of another architecture, size or method.
    """
    if (folder / _LORA).is_file() and not (folder / _FULL).is_file():  # merged, both are there
        return _read_lora(folder, model, _load(folder / _LORA, allow_pickle))
    weights: dict[str, torch.Tensor] = {}
    for name, tensor in _load(folder / _FULL, allow_pickle).items():
        weights |= LitGPTNames(model.config).from_litgpt(name, tensor)
    _untie_if_trained_apart(model, weights)
    wanted = model.state_dict()
    odd = sorted(
        name
        for name in weights.keys() | wanted.keys()
        if name not in weights or name not in wanted or weights[name].shape != wanted[name].shape
    )
    if odd:
        raise _other_model(folder, f"{odd[0]} is in only one of them, or of another shape")
    model.load_state_dict(weights)
    return Full(), model


def write_litgpt(model: Any, tokenizer: Any, folder: Path, *, base: str) -> None:
    """Write a checkpoint that litgpt reads.

    Args:
        model: a plain model, or one with LoRA on it; then what is written are A and B, and `litgpt merge_lora` wants
            the base's own checkpoint beside it (`--pretrained_checkpoint_dir`).
        tokenizer: of the model.
        folder: to write into.
        base: what `hyperparameters.yaml` calls the base.

    Raises:
        LuthierError: litgpt has no such model, or no such LoRA.
    """
    import torch
    from peft import PeftModel

    adapted = isinstance(model, PeftModel)
    plain = model.get_base_model() if adapted else model
    described, names = litgpt_config(plain.config), LitGPTNames(plain.config)
    tensors, settings = _lora_tensors(model, names) if adapted else (names.to_litgpt(plain.state_dict()), None)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, folder / (_LORA if adapted else _FULL))
    if settings is not None:
        settings |= {"checkpoint_dir": base, "precision": "32-true"}
        (folder / _HYPERPARAMETERS).write_text(yaml.safe_dump(settings), encoding="utf-8")
    (folder / "model_config.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    plain.config.save_pretrained(folder)
    plain.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _load(path: Path, allow_pickle: bool) -> dict[str, torch.Tensor]:
    """The tensors of a `.pth` file."""
    if not path.is_file():
        raise LuthierError("no such file", where=str(path), mend=f"name a folder with {_FULL} or {_LORA}")
    if not allow_pickle:
        raise LuthierError(
            f"{path.name} is a pickle, which can run code while it is read (CVE-2025-32434)",
            where=str(path),
            mend="if you trust those who made it, say --allow-pickle: it is then read as weights only",
        )
    import pickle

    import torch

    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise LuthierError(
            "this file holds more than weights, so it was not read",
            where=str(path),
            mend="let litgpt save it again: a checkpoint is a dictionary of tensors",
        ) from None
    except Exception as error:  # what is no pickle at all fails in many ways: KeyError, EOFError without a word
        why = f"{type(error).__name__} {error}".strip().splitlines()[0]
        raise LuthierError(f"this file cannot be read: {why}", where=str(path), mend="copy it again") from None
    data = data.get("model", data) if isinstance(data, Mapping) else data
    if not isinstance(data, Mapping) or not all(isinstance(value, torch.Tensor) for value in data.values()):
        raise LuthierError("this is no checkpoint of litgpt", where=str(path), mend="a checkpoint is a dictionary")
    return dict(data)


def _untie_if_trained_apart(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """litgpt ties nothing: where the base does, what it trained apart must stay so."""
    import torch

    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head.weight is not embedding.weight:
        return
    named = {module: name for name, module in model.named_modules()}
    first, second = (weights.get(f"{named[module]}.weight") for module in (embedding, head))
    if first is None or second is None or torch.equal(first, second):
        return
    model.config.tie_word_embeddings = False
    head.weight = torch.nn.Parameter(embedding.weight.detach().clone())


def _read_lora(folder: Path, model: Any, tensors: Mapping[str, torch.Tensor]) -> tuple[Method, Any]:
    import torch

    path = folder / _HYPERPARAMETERS
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        rank, alpha = int(settings["lora_r"]), float(settings["lora_alpha"])
        dropout = float(settings.get("lora_dropout", 0.0))
        enabled = [flag for flag in _FLAGS if settings.get(flag)]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        raise LuthierError(
            "the settings of the LoRA cannot be read", where=str(path), mend="copy the folder that litgpt wrote, whole"
        ) from None
    names = _names_for_lora(model.config)
    factors = {module: _factors(tensors, names, module, enabled, rank, folder) for module in names.modules}
    targets = tuple(target for flag in enabled for target in _FLAGS[flag])
    method = LoRA(rank=rank, alpha=alpha, dropout=dropout, targets=targets)
    attached = method.attach(model, None).eval()
    base, left = attached.get_base_model(), set(tensors)
    with torch.no_grad():
        for module, parts in factors.items():
            for one, (a, b) in parts.items():
                layer = base.get_submodule(one)
                for own, given in ((layer.lora_A, a), (layer.lora_B, b)):
                    if own.default.weight.shape != given.shape:
                        raise _other_model(folder, f"the LoRA of {one} is of another shape")
                    own.default.weight.copy_(given)
            left -= {f"{module}.lora_A", f"{module}.lora_B"}
    if left:
        raise _other_model(folder, f"{min(left)} has no place in it")
    return method, attached


def _factors(
    tensors: Mapping[str, torch.Tensor],
    names: LitGPTNames,
    module: str,
    enabled: list[str],
    rank: int,
    folder: Path,
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A and B of every module of transformers that this one of litgpt's stands for and that has a LoRA."""
    leaves = {leaf for flag in enabled for leaf in _FLAGS[flag]}
    meant = [one for one in names.modules[module] if one.rpartition(".")[2] in leaves]
    if not meant:
        return {}
    try:
        a, b = tensors[f"{module}.lora_A"], tensors[f"{module}.lora_B"]
    except KeyError:
        raise _other_model(folder, f"there is no LoRA of {module}") from None
    if len(names.modules[module]) == 1:
        return {meant[0]: (a, b)}
    rows = [count for one, count in zip(names.modules[module], names.rows, strict=True) if one in meant]
    if len(a) != rank * len(meant) or len(b) != sum(rows):
        raise _other_model(folder, f"the LoRA of {module} is of another shape")
    return dict(zip(meant, zip(a.split(rank), b.split(rows), strict=True), strict=True))


def _lora_tensors(model: Any, names: LitGPTNames) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """litgpt's A and B, and what its `hyperparameters.yaml` says of them.

    litgpt's switches hold for all layers: a module that has no LoRA in one of them gets one of zeros.
    """
    import torch

    name = model.active_adapter
    config, base = model.peft_config[name], model.get_base_model()
    found = {path: layer for path, layer in base.named_modules() if name in getattr(layer, "r", ())}
    _refuse_other_loras(config, base, found, name)
    names = _names_for_lora(base.config)
    leaves = {path.rpartition(".")[2] for path in found}
    flags = {flag: bool(leaves & set(meant)) for flag, meant in _FLAGS.items()}
    wanted = {leaf for flag, meant in _FLAGS.items() if flags[flag] for leaf in meant}
    rank, scaling = next((layer.r[name], layer.scaling[name]) for layer in found.values())
    tensors: dict[str, torch.Tensor] = {}
    for module, meant in names.modules.items():
        parts = []
        for path in meant:
            if path in found:
                parts.append((found[path].lora_A[name].weight.detach(), found[path].lora_B[name].weight.detach()))
            elif path.rpartition(".")[2] in wanted:
                rows, columns = base.get_submodule(path).weight.shape
                parts.append((torch.zeros(rank, columns), torch.zeros(rows, rank)))
        if parts:
            for place, factor in enumerate(("lora_A", "lora_B")):
                tensors[f"{module}.{factor}"] = torch.cat([part[place] for part in parts]).contiguous().cpu()
    alpha = scaling * rank
    about = {"lora_r": rank, "lora_alpha": int(alpha) if alpha == int(alpha) else alpha, **flags}
    return tensors, {**about, "lora_dropout": config.lora_dropout}


def _refuse_other_loras(config: Any, base: Any, found: Mapping[str, Any], name: str) -> None:
    """What litgpt cannot say: anything but plain LoRA, of one rank and scale, on the linear layers that it knows."""
    modules = LitGPTNames(base.config).modules
    known = {path for meant in modules.values() for path in meant}
    why = None
    if config.peft_type != "LORA" or config.use_dora or any(layer.lora_variant for layer in found.values()):
        why = "plain LoRA alone"
    elif config.bias != "none" or config.modules_to_save or any(layer.lora_embedding_A for layer in found.values()):
        why = "no biases, embeddings or other modules beside A and B"
    elif not found or set(found) - known:
        why = f"LoRA on the linear layers of such a model alone, not on {min(set(found) - known, default='nothing')}"
    elif len({(layer.r[name], layer.scaling[name]) for layer in found.values()}) > 1:
        why = "one rank and one alpha for all layers"
    if why:
        raise LuthierError(
            f"litgpt has {why}", where="litgpt", mend="merge it into its base (luthier merge), and convert the model"
        )


def _names_for_lora(config: Any) -> LitGPTNames:
    names = LitGPTNames(config)
    if config.model_type == "gpt_neox":
        raise LuthierError(
            "litgpt's LoRA on a fused matrix, with a rank each for query, key and value, has no counterpart in peft",
            where="litgpt",
            mend="merge it first (litgpt merge_lora, or luthier merge), and convert the whole model",
        )
    return names


def _other_model(folder: Path, why: str) -> LuthierError:
    return LuthierError(
        f"these weights are not of this model: {why}",
        where=str(folder),
        mend="name the model that litgpt was given as --model",
    )
