"""Record what AdapterHub's `adapters` computes, for `test_adapter_against_adapterhub.py`.

`adapters` pins an older transformers, so it runs in an environment of its own, and its numbers are kept as fixtures:

    python -m venv adapterhub
    adapterhub/bin/pip install torch==2.13.0 && adapterhub/bin/pip install adapters==1.3.0
    adapterhub/bin/python tests/reference/record_adapterhub.py

A case is a tiny random model with an adapter of one of AdapterHub's own configurations, all of its weights moved away
from where they start. Recorded are the base's weights, the adapter's, what comes out, and for one case of each kind the
loss, and the adapter's weights after one step of SGD at rate 1. Beside them: two adapters in a stack and in a fusion,
and one checkpoint as `save_adapter` writes it.

    adapterhub/bin/python tests/reference/record_adapterhub.py --read BASE FOLDER [--read BASE FOLDER ...]

loads adapters that Luthier has written onto recorded bases, and prints what comes out of each as a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import adapters
import torch
import transformers
from adapters import CompacterConfig, CompacterPlusPlusConfig, DoubleSeqBnConfig, ParBnConfig, SeqBnConfig
from adapters.composition import Fuse, Stack
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent / "fixtures"
RECORD = HERE / "adapterhub.json"
REDUCTION = 4
LLAMA = {
    "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "initializer_range": 0.2,
}  # fmt: skip
BERT = {
    "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 32, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "num_labels": 3,
    "initializer_range": 0.2,
}  # fmt: skip
BASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertForSequenceClassification", BERT),
    "roberta": ("RobertaForSequenceClassification", BERT),
    "llama": ("LlamaForCausalLM", LLAMA),
    "mistral": ("MistralForCausalLM", LLAMA),
    "gpt2": (
        "GPT2LMHeadModel",
        {
            "vocab_size": 32, "n_positions": 16, "n_embd": 16, "n_inner": 24, "n_layer": 2, "n_head": 4,
            "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "initializer_range": 0.2,
        },
    ),
    "t5": (
        "T5ForConditionalGeneration",
        {
            "vocab_size": 32, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_decoder_layers": 2,
            "num_heads": 4, "feed_forward_proj": "gated-silu", "dropout_rate": 0.0, "initializer_factor": 1.0,
            "decoder_start_token_id": 0,
        },
    ),
    "bart": (
        "BartForConditionalGeneration",
        {
            "vocab_size": 32, "max_position_embeddings": 32, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2,
            "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
            "dropout": 0.0, "init_std": 0.2, "decoder_start_token_id": 2,
        },
    ),
}  # fmt: skip
"""Class and settings of each base; the fixture holds them too, and the tests read them there."""
CONFIGS: dict[str, Any] = {
    "pfeiffer": SeqBnConfig(reduction_factor=REDUCTION),
    "houlsby": DoubleSeqBnConfig(reduction_factor=REDUCTION),
    "parallel": ParBnConfig(reduction_factor=REDUCTION),
    "compacter": CompacterConfig(reduction_factor=REDUCTION),
    "compacter_pp": CompacterPlusPlusConfig(reduction_factor=REDUCTION),
}
STEPPED = ("pfeiffer", "houlsby", "parallel", "compacter")
"""Those of which a step of gradient descent is recorded."""


def base(family: str) -> Any:
    name, settings = BASES[family]
    cls = getattr(transformers, name)
    config = cls.config_class(**settings, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(0)
    model = cls(config).eval()
    with torch.no_grad():  # norms and biases too, so that none of them can be left out unseen
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def inputs_of(model: Any, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """An encoder-decoder reads the ids twice, moved right by one before its decoder."""
    if not model.config.is_encoder_decoder:
        return {"input_ids": ids}
    return {"input_ids": ids, "decoder_input_ids": model.prepare_decoder_input_ids_from_labels(ids)}


def loss_of(model: Any, logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Of the next token, of the same token in an encoder-decoder, or of the classes 0, 1, ... in an encoder."""
    if logits.ndim == 2:
        return torch.nn.functional.cross_entropy(logits, torch.arange(len(ids)))
    scored, targets = (logits, ids) if model.config.is_encoder_decoder else (logits[:, :-1], ids[:, 1:])
    return torch.nn.functional.cross_entropy(scored.flatten(0, 1), targets.flatten())


def adapted(family: str, names: dict[str, str], seed: int = 1) -> Any:
    """The base with adapters (name -> kind), large weights in all of them."""
    model = base(family)
    adapters.init(model)
    torch.manual_seed(seed)
    for name, kind in names.items():
        model.add_adapter(name, config=CONFIGS[kind])
    return model.eval()


def own(model: Any, name: str) -> dict[str, torch.nn.Parameter]:
    parts = (f".adapters.{name}.", f"shared_parameters.{name}.")
    return {path: value for path, value in model.named_parameters() if any(part in path for part in parts)}


def enlarge(weights: Any) -> None:
    """Compacter's factors are multiplied three and four at a time, and so have to be larger."""
    with torch.no_grad():
        for path, value in weights.items():
            large = "W_" in path or "phm_rule" in path
            value.add_((1.0 if large else 0.3) * torch.randn_like(value))


def record(family: str, kind: str, ids: torch.Tensor) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    model = adapted(family, {"task": kind})
    model.train_adapter("task")
    trained = own(model, "task")
    inputs, plain = inputs_of(model, ids), base(family)
    plain = plain(**inputs).logits.detach()
    at_first = model.eval()(**inputs).logits.detach()
    matrices = torch.cat([value.detach().flatten() for value in trained.values() if value.ndim == 2] or [plain[:0]])
    biases = torch.cat([value.detach() for value in trained.values() if value.ndim == 1])
    enlarge(trained)
    logits = model(**inputs).logits
    loss = loss_of(model, logits, ids)
    loss.backward()
    tensors = {"logits": logits.detach(), **{f"weight.{name}": value.detach() for name, value in trained.items()}}
    if kind in STEPPED:
        tensors |= {f"after.{name}": value.detach() - value.grad for name, value in trained.items()}
    about = {
        "configuration": CONFIGS[kind].to_dict(),
        "trainable": sum(value.numel() for value in trained.values()),
        "loss": loss.item(),
        "at_first": {"biases": biases.abs().max().item(), "change": (at_first - plain).abs().max().item()},
        "change": (logits.detach() - plain).abs().max().item(),
    }
    if matrices.numel():
        about["at_first"]["matrices"] = [matrices.mean().item(), matrices.std().item()]
    return {f"{kind}.{name}": value.contiguous().clone() for name, value in tensors.items()}, about


def record_pair(family: str, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Two pfeiffer adapters, one on the other and in a fusion."""
    model = adapted(family, {"a": "pfeiffer", "b": "pfeiffer"})
    for name in ("a", "b"):
        enlarge(own(model, name))
    model.set_active_adapters(Stack("a", "b"))
    inputs = inputs_of(model, ids)
    tensors = {f"pair.{name}": value.detach() for one in ("a", "b") for name, value in own(model, one).items()}
    tensors["stack.logits"] = model(**inputs).logits.detach()
    model.add_adapter_fusion(Fuse("a", "b"))
    model.set_active_adapters(Fuse("a", "b"))
    fused = {path: value for path, value in model.named_parameters() if "adapter_fusion_layer" in path}
    enlarge(fused)
    tensors["fusion.logits"] = model.eval()(**inputs).logits.detach()
    tensors["fusion.penalty"] = model.base_model.get_fusion_regularization_loss().detach()
    tensors |= {f"fusion.weight.{path}": value.detach() for path, value in fused.items()}
    return {name: value.contiguous().clone() for name, value in tensors.items()}


def checkpoint(family: str, kind: str, folder: Path, ids: torch.Tensor) -> torch.Tensor:
    """Save an adapter as the library does, and give what comes out with it."""
    model = adapted(family, {"task": kind})
    enlarge(own(model, "task"))
    shutil.rmtree(folder, ignore_errors=True)
    model.save_adapter(str(folder), "task", use_safetensors=True, with_head=False)
    (folder / "adapter.safetensors").chmod(0o644)
    model.set_active_adapters("task")
    logits: torch.Tensor = model(**inputs_of(model, ids)).logits
    return logits.detach()


def read(family: str, folder: Path) -> list[Any]:
    """What comes out of the recorded base with the adapter in a folder."""
    model = base(family)
    stored = load_file(HERE / f"adapterhub_{family}.safetensors")
    weights = {name.removeprefix("base."): value for name, value in stored.items() if name.startswith("base.")}
    model.load_state_dict(weights, strict=False)
    adapters.init(model)
    info: dict[str, Any] = {}
    name = model.load_adapter(str(folder), use_safetensors=True, with_head=False, set_active=True, loading_info=info)
    assert name and not info.get("missing_keys") and not info.get("unexpected_keys"), info
    ids = torch.tensor(json.loads(RECORD.read_text(encoding="utf-8"))["input_ids"])
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(**inputs_of(model, ids)).logits
    return logits.tolist()


def main() -> None:
    HERE.mkdir(exist_ok=True)
    ids = torch.randint(3, 32, (2, 12), generator=torch.Generator().manual_seed(2))
    about: dict[str, Any] = {
        "versions": {"adapters": adapters.__version__, "transformers": transformers.__version__, "torch": "2.13.0"},
        "reduction": REDUCTION,
        "input_ids": ids.tolist(),
        "cases": {},
    }
    for family, (cls, settings) in BASES.items():
        model = base(family)
        # What is tied has one name here.
        tensors = {f"base.{name}": value.detach().clone() for name, value in model.named_parameters()}
        about["cases"][family] = {"class": cls, "settings": settings}
        for kind in CONFIGS:
            recorded, about["cases"][family][kind] = record(family, kind, ids)
            tensors |= recorded
        if family in ("bert", "llama", "bart"):  # a closing norm, none, and an encoder's beside a decoder's
            tensors |= record_pair(family, ids)
        if family == "bert":
            tensors["checkpoint.logits"] = checkpoint(family, "houlsby", HERE / "adapterhub_checkpoint", ids)
        path = HERE / f"adapterhub_{family}.safetensors"
        save_file(tensors, path)
        path.chmod(0o644)
    RECORD.write_text(json.dumps(about) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--read", nargs=2, metavar=("BASE", "FOLDER"), action="append")
    given = parser.parse_args()
    for family, folder in given.read or ():
        print("logits:", json.dumps(read(family, Path(folder))), flush=True)
    if not given.read:
        main()
