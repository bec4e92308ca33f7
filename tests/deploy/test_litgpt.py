"""litgpt's checkpoints, both ways, against what litgpt 0.5.13 computed (`tests/reference/record_litgpt.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from luthier.core.errors import LuthierError
from luthier.deploy.litgpt import read_litgpt, write_litgpt
from luthier.methods.full import Full
from luthier.methods.reparameterised.lora import LoRA
from tests.tiny import tiny_tokenizer

FIXTURES = Path(__file__).parents[1] / "reference" / "fixtures"
RECORDED = json.loads((FIXTURES / "litgpt.json").read_text(encoding="utf-8"))
TENSORS = load_file(FIXTURES / "litgpt.safetensors")
IDS = torch.tensor(RECORDED["input_ids"])
CLASSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (transformers.LlamaConfig, {}),
    "llama3": (
        transformers.LlamaConfig,
        {
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 500000.0, "factor": 4.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 8,
            },
        },
    ),
    "mistral": (transformers.MistralConfig, {"sliding_window": 5}),
    "gemma": (transformers.GemmaConfig, {}),
    "qwen2": (transformers.Qwen2Config, {}),
    "gpt_neox": (
        transformers.GPTNeoXConfig,
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
    ),
}  # fmt: skip


def base(case: str, *, seed: int = 5) -> Any:
    """A transformers model of the recorded architecture, its weights drawn at random."""
    cls, more = CLASSES[case]
    of_litgpt = RECORDED["cases"][case]
    settings = {
        "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
        "max_position_embeddings": 64, "num_key_value_heads": of_litgpt["n_query_groups"],
        "head_dim": of_litgpt["head_size"],
    }  # fmt: skip
    if case == "gpt_neox":
        del settings["num_key_value_heads"], settings["head_dim"]
    torch.manual_seed(seed)
    return transformers.AutoModelForCausalLM.from_config(cls(**settings, **more)).eval()


def recorded(case: str) -> dict[str, torch.Tensor]:
    """litgpt's weights by its own names."""
    start = f"{case}.weight."
    return {key.removeprefix(start): value for key, value in TENSORS.items() if key.startswith(start)}


def checkpoint(case: str, folder: Path) -> Path:
    """A folder as litgpt leaves it."""
    folder.mkdir(exist_ok=True)
    if case in RECORDED["loras"]:
        torch.save({"model": recorded(case)}, folder / "lit_model.pth.lora")
        about = {"checkpoint_dir": "checkpoints/base", **RECORDED["loras"][case]["settings"]}
        (folder / "hyperparameters.yaml").write_text(yaml.safe_dump(about))
    else:
        torch.save({"model": recorded(case)}, folder / "lit_model.pth")
        (folder / "model_config.yaml").write_text(yaml.safe_dump(RECORDED["cases"][case]))
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def full(case: str, folder: Path) -> Any:
    return read_litgpt(checkpoint(case, folder), base(case), allow_pickle=True)[1]


@pytest.mark.parametrize("case", CLASSES)
def test_full_weights_answer_as_litgpt_does(case: str, tmp_path: Path) -> None:
    method, model = read_litgpt(checkpoint(case, tmp_path), base(case), allow_pickle=True)
    assert isinstance(method, Full)
    torch.testing.assert_close(logits(model), TENSORS[f"{case}.logits"], rtol=1e-5, atol=1e-5)
    model.save_pretrained(tmp_path / "saved")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(logits(again), TENSORS[f"{case}.logits"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CLASSES)
def test_full_weights_are_written_as_litgpt_has_them(case: str, tmp_path: Path) -> None:
    write_litgpt(full(case, tmp_path / "from"), tiny_tokenizer(vocab_size=300), tmp_path / "to", base="tiny")
    written = torch.load(tmp_path / "to" / "lit_model.pth", weights_only=True)
    assert written.keys() == recorded(case).keys()
    for name, tensor in recorded(case).items():
        assert torch.equal(written[name], tensor), name
    described = yaml.safe_load((tmp_path / "to" / "model_config.yaml").read_text())
    completed = {**RECORDED["defaults"], **described}
    if "sliding_window_size" in described:  # litgpt takes all layers, then
        completed["sliding_window_indices"] = [1, 1]
    assert completed == RECORDED["cases"][case]
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json"):
        assert (tmp_path / "to" / name).is_file()


@pytest.mark.parametrize("case", RECORDED["loras"])
def test_a_lora_answers_as_litgpt_does_and_goes_through_its_own_folder(case: str, tmp_path: Path) -> None:
    entry = RECORDED["loras"][case]
    under = full(entry["base"], tmp_path / "base")
    method, model = read_litgpt(checkpoint(case, tmp_path / "lora"), under, allow_pickle=True)
    assert isinstance(method, LoRA)
    assert (method.rank, method.alpha) == (entry["settings"]["lora_r"], entry["settings"]["lora_alpha"])
    torch.testing.assert_close(logits(model), TENSORS[f"{case}.logits"], rtol=1e-5, atol=1e-5)
    method.save(model, tmp_path / "saved")
    again = LoRA().load(full(entry["base"], tmp_path / "base"), tmp_path / "saved")
    torch.testing.assert_close(logits(again), TENSORS[f"{case}.logits"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", RECORDED["loras"])
def test_a_lora_is_written_as_litgpt_has_it(case: str, tmp_path: Path) -> None:
    entry = RECORDED["loras"][case]
    under = full(entry["base"], tmp_path / "base")
    _, model = read_litgpt(checkpoint(case, tmp_path / "lora"), under, allow_pickle=True)
    write_litgpt(model, tiny_tokenizer(vocab_size=300), tmp_path / "to", base="checkpoints/tiny")
    written = torch.load(tmp_path / "to" / "lit_model.pth.lora", weights_only=True)
    assert written.keys() == recorded(case).keys()
    for name, tensor in recorded(case).items():
        assert torch.equal(written[name], tensor), name
    about = yaml.safe_load((tmp_path / "to" / "hyperparameters.yaml").read_text())
    assert about["checkpoint_dir"] == "checkpoints/tiny"
    assert {key: value for key, value in about.items() if key.startswith("lora_") and value} == entry["settings"]
    assert not (tmp_path / "to" / "lit_model.pth").exists()


def test_a_lora_on_some_layers_is_zero_on_the_others(tmp_path: Path) -> None:
    config = LoraConfig(r=2, target_modules=["model.layers.1.self_attn.q_proj", "model.layers.0.mlp.up_proj"])
    model = get_peft_model(base("llama"), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    write_litgpt(model.eval(), tiny_tokenizer(vocab_size=300), tmp_path, base="tiny")
    _, again = read_litgpt(tmp_path, base("llama"), allow_pickle=True)
    torch.testing.assert_close(logits(again), logits(model), rtol=1e-5, atol=1e-5)


def test_a_pickle_is_read_only_where_that_is_allowed(tmp_path: Path) -> None:
    checkpoint("llama", tmp_path)
    with pytest.raises(LuthierError, match="CVE-2025-32434") as caught:
        read_litgpt(tmp_path, base("llama"))
    assert "--allow-pickle" in str(caught.value.mend)


class Runs:
    """What a hostile pickle would do."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_code_in_a_pickle_does_not_run_even_then(tmp_path: Path) -> None:
    torch.save({"transformer.wte.weight": Runs(tmp_path / "ran")}, tmp_path / "lit_model.pth")
    with pytest.raises(LuthierError, match="more than weights"):
        read_litgpt(tmp_path, base("llama"), allow_pickle=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "damage", ["missing", "truncated", "empty", "no pickle", "another size", "another architecture", "no settings"]
)
def test_what_cannot_be_read_says_so(damage: str, tmp_path: Path) -> None:
    path = checkpoint("llama", tmp_path) / "lit_model.pth"
    model, message = base("llama"), "not of this model"
    if damage == "missing":
        path.unlink()
        message = "no such file"
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
        message = "cannot be read"
    elif damage in ("empty", "no pickle"):
        path.write_bytes(b"" if damage == "empty" else b"hello")
        message = "cannot be read"
    elif damage == "another size":
        model = base("mistral")
        model.resize_token_embeddings(40)
    elif damage == "another architecture":
        model, message = base("gpt_neox"), "no weight of such a model"
    else:
        path.unlink()
        checkpoint("llama-default", tmp_path)
        (tmp_path / "hyperparameters.yaml").unlink()
        message = "settings of the LoRA"
    with pytest.raises(LuthierError, match=message):
        read_litgpt(tmp_path, model, allow_pickle=True)


@pytest.mark.parametrize(
    ("case", "settings", "message"),
    [
        ("llama", {"use_dora": True}, "plain LoRA"),
        ("llama", {"rank_pattern": {"q_proj": 3}}, "one rank"),
        ("llama", {"target_modules": ["embed_tokens"]}, "no biases, embeddings"),
        ("gpt_neox", {"target_modules": ["query_key_value"]}, "fused"),
    ],
    ids=["dora", "ranks", "embeddings", "fused"],
)
def test_a_lora_that_litgpt_cannot_have_is_refused(
    case: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    config = LoraConfig(**{"r": 2, "target_modules": ["q_proj", "v_proj"], **settings})
    model = get_peft_model(base(case), config)
    with pytest.raises(LuthierError, match=message):
        write_litgpt(model, tiny_tokenizer(vocab_size=300), tmp_path / "to", base="tiny")
    assert not (tmp_path / "to").exists()


def test_a_model_that_litgpt_does_not_have_is_refused(tmp_path: Path) -> None:
    config = transformers.GPT2Config(vocab_size=32, n_embd=16, n_layer=1, n_head=2)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(LuthierError, match="type gpt2"):
        write_litgpt(model, tiny_tokenizer(vocab_size=300), tmp_path / "to", base="tiny")
