"""Record what litgpt computes, for `tests/deploy/test_litgpt.py`.

litgpt pins other versions of what it needs, so it runs in an environment of its own, and its numbers are kept:

    python -m venv litgpt
    litgpt/bin/pip install torch==2.13.0 && litgpt/bin/pip install litgpt==0.5.13 requests safetensors
    litgpt/bin/python tests/reference/record_litgpt.py

A case is a tiny random model of litgpt's, all of its weights moved away from where they start, with or without LoRA.
Recorded are its weights under litgpt's names, its configuration, and its logits.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from litgpt import lora as with_lora
from litgpt.config import Config
from litgpt.model import GPT
from safetensors.torch import save_file

HERE = Path(__file__).parent / "fixtures"
SIZES = {"block_size": 64, "n_layer": 2, "n_embd": 16, "vocab_size": 32, "padded_vocab_size": 32, "n_head": 4}
LLAMA = {
    **SIZES, "name": "Llama", "n_query_groups": 2, "head_size": 4, "rotary_percentage": 1.0,
    "parallel_residual": False, "bias": False, "norm_class_name": "RMSNorm", "norm_eps": 1e-6,
    "mlp_class_name": "LLaMAMLP", "intermediate_size": 24,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "llama3": {
        **LLAMA, "n_query_groups": 4, "head_size": 8, "rope_base": 500000,
        "rope_adjustments": {
            "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_seq_len": 8,
        },
    },
    "mistral": {**LLAMA, "name": "Mistral", "sliding_window_size": 5},
    "gemma": {
        **LLAMA, "name": "Gemma", "n_query_groups": 1, "head_size": 8, "mlp_class_name": "GemmaMLP",
        "gelu_approximate": "tanh", "scale_embeddings": True,
    },
    "qwen2": {**LLAMA, "name": "Qwen2.5", "attn_bias": True},
    "gpt_neox": {**SIZES, "name": "pythia", "head_size": 4, "intermediate_size": 24, "rotary_percentage": 0.5},
}  # fmt: skip
LORAS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-default": ("llama", {"lora_r": 4, "lora_alpha": 6, "lora_query": True, "lora_value": True}),
    "llama3-all": (
        "llama3",
        {
            "lora_r": 2, "lora_alpha": 16, "lora_dropout": 0.05, "lora_query": True, "lora_key": True,
            "lora_value": True, "lora_projection": True, "lora_mlp": True, "lora_head": True,
        },
    ),
    "gemma-key": ("gemma", {"lora_r": 2, "lora_alpha": 2, "lora_key": True, "lora_mlp": True}),
}  # fmt: skip


def moved(model: Any, seed: int) -> Any:
    """All weights drawn anew, norms and biases and B too, so that none of them can be left out unseen."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            start = 1.0 if "norm" in name or "ln_f" in name else 0.0
            parameter.copy_(start + 0.3 * torch.randn_like(parameter))
    return model.eval()


def main() -> None:
    HERE.mkdir(exist_ok=True)
    ids = torch.randint(3, 32, (2, 12), generator=torch.Generator().manual_seed(2))
    tensors: dict[str, torch.Tensor] = {}
    about: dict[str, Any] = {"litgpt": version("litgpt"), "input_ids": ids.tolist(), "cases": {}, "loras": {}}
    about["defaults"] = {one.name: {} if one.default is MISSING else one.default for one in fields(Config)}
    for name, settings in CASES.items():
        config = Config(**settings)
        model = moved(GPT(config), seed=0)
        tensors[f"{name}.logits"] = model(ids).detach()
        tensors |= {f"{name}.weight.{key}": value.clone() for key, value in model.state_dict().items()}
        about["cases"][name] = asdict(config)
    for name, (base, settings) in LORAS.items():
        model = with_lora.GPT(with_lora.Config(**CASES[base], **settings))
        start = len(f"{base}.weight.")
        weights = {key[start:]: value for key, value in tensors.items() if key.startswith(f"{base}.weight.")}
        model = moved(model, seed=1)
        model.load_state_dict(weights, strict=False)
        tensors[f"{name}.logits"] = model(ids).detach()
        only = {key: value.clone() for key, value in model.state_dict().items() if "lora_" in key}
        tensors |= {f"{name}.weight.{key}": value for key, value in only.items()}
        about["loras"][name] = {"base": base, "settings": settings}
    save_file({key: value.contiguous() for key, value in tensors.items()}, HERE / "litgpt.safetensors")
    (HERE / "litgpt.safetensors").chmod(0o644)
    (HERE / "litgpt.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
