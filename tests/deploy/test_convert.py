"""`luthier convert`: there and back between the libraries, by what the models answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from luthier import cli
from luthier.deploy.trained import Origin, trained_in
from luthier.methods.additive.adapter import Adapter
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.head import Head, head_weights, train_head
from luthier.models.load import find_model, load_model
from tests.models.encoders import tiny_encoder
from tests.tiny import tiny_model

Convert = Callable[..., tuple[int, str]]
IDS = torch.tensor([[5, 17, 9, 101, 44, 7], [8, 90, 12, 33, 21, 6]])


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model of a family."""
    made: dict[str, Path] = {}

    def base(family: str) -> Path:
        if family not in made:
            made[family] = tiny_model(family, tmp_path_factory.mktemp(family))
        return made[family]

    return base


@pytest.fixture
def convert(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Convert:
    """Calls the command in this process: exit code, and what it says."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["luthier", "convert", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, printed.out + printed.err

    return call


def answers(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def trained(base: Path, method: Method, folder: Path) -> torch.Tensor:
    """Save what a training could have left; gives what the model answers with it."""
    torch.manual_seed(0)
    model = method.attach(load_model(find_model(str(base))), None).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    method.save(model, folder)
    return answers(model)


def test_lora_to_litgpt_and_back(bases: Callable[[str], Path], convert: Convert, tmp_path: Path) -> None:
    base, method = bases("llama"), LoRA(rank=2, alpha=3.0, targets=("q_proj", "v_proj"))
    wanted = trained(base, method, tmp_path / "ours")
    code, said = convert(
        *(tmp_path / "ours", "--from", "luthier", "--to", "litgpt", "--model", base, "--out", tmp_path / "litgpt")
    )
    assert code == 0 and f"litgpt: {tmp_path / 'litgpt'}\n" in said
    assert yaml.safe_load((tmp_path / "litgpt" / "hyperparameters.yaml").read_text())["lora_alpha"] == 3
    back = (tmp_path / "litgpt", "--from", "litgpt", "--model", base)
    code, said = convert(*back, "--to", "luthier", "--out", tmp_path / "again")
    assert code == 2 and "CVE-2025-32434" in said and "--allow-pickle" in said
    assert not (tmp_path / "again").exists()
    assert convert(*back, "--to", "luthier", "--out", tmp_path / "again", "--allow-pickle")[0] == 0
    found = trained_in(tmp_path / "again")
    assert isinstance(found.method, LoRA) and found.model == str(base) and found.identity
    again = found.method.load(load_model(find_model(str(base))), tmp_path / "again")
    torch.testing.assert_close(answers(again), wanted, rtol=1e-5, atol=1e-5)
    assert {path.suffix for path in (tmp_path / "again").iterdir()} <= {".safetensors", ".json", ".md"}
    assert convert(*back, "--to", "huggingface", "--out", tmp_path / "merged", "--allow-pickle")[0] == 0
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(answers(merged), wanted, rtol=1e-4, atol=1e-4)


def test_what_litgpt_has_no_word_for_is_merged_and_the_whole_model_written(
    bases: Callable[[str], Path], convert: Convert, tmp_path: Path
) -> None:
    base = bases("gemma")
    wanted = trained(base, Full(), tmp_path / "ours")
    there = (tmp_path / "ours", "--from", "luthier", "--method", "full", "--model", base)
    assert convert(*there, "--to", "litgpt", "--out", tmp_path / "litgpt")[0] == 0
    back = (tmp_path / "litgpt", "--from", "litgpt", "--model", base, "--allow-pickle")
    assert convert(*back, "--to", "luthier", "--out", tmp_path / "again")[0] == 0
    again = Full().load(load_model(find_model(str(base))), tmp_path / "again")
    torch.testing.assert_close(answers(again), wanted, rtol=1e-5, atol=1e-5)
    # litgpt ties nothing: what it has trained apart has no place in a base that ties, and one in a model of its own.
    weights = torch.load(tmp_path / "litgpt" / "lit_model.pth", weights_only=True)
    weights["lm_head.weight"] += 0.1
    torch.save(weights, tmp_path / "litgpt" / "lit_model.pth")
    code, said = convert(*back, "--to", "luthier", "--out", tmp_path / "apart")
    assert code == 2 and "trained apart" in said
    assert convert(*back, "--to", "huggingface", "--out", tmp_path / "apart")[0] == 0
    apart = AutoModelForCausalLM.from_pretrained(tmp_path / "apart")
    assert torch.equal(apart.lm_head.weight, weights["lm_head.weight"])
    assert torch.equal(apart.model.embed_tokens.weight, weights["transformer.wte.weight"])


def test_an_adapter_to_adapterhub_and_back(bases: Callable[[str], Path], convert: Convert, tmp_path: Path) -> None:
    base = bases("llama")
    wanted = trained(base, Adapter(), tmp_path / "ours")
    there = (tmp_path / "ours", "--from", "luthier", "--method", "adapter", "--model", base)
    assert convert(*there, "--to", "adapterhub", "--out", tmp_path / "theirs")[0] == 0
    back = (tmp_path / "theirs", "--from", "adapterhub", "--model", base)
    assert convert(*back, "--to", "luthier", "--out", tmp_path / "again")[0] == 0
    found = trained_in(tmp_path / "again")
    assert isinstance(found.method, Adapter)
    again = found.method.load(load_model(find_model(str(base))), tmp_path / "again")
    torch.testing.assert_close(answers(again), wanted, rtol=1e-5, atol=1e-5)
    code, said = convert(*back, "--to", "huggingface", "--out", tmp_path / "merged")
    assert code == 2 and "cannot be merged" in said
    assert not (tmp_path / "merged").exists()


def test_an_encoders_head_is_named_by_its_labels(convert: Convert, tmp_path: Path) -> None:
    base, head = tiny_encoder("bert", tmp_path / "bert"), Head("class", ("no", "yes"))
    torch.manual_seed(0)
    model = train_head(Adapter().attach(load_model(find_model(str(base)), head=head), None)).eval()
    wanted = answers(model)
    Adapter().save(model, tmp_path / "ours")
    Origin(method=Adapter(), model=str(base), head=head).write(tmp_path / "ours")
    there = (tmp_path / "ours", "--from", "luthier", "--to", "adapterhub", "--out", tmp_path / "theirs")
    assert convert(*there)[0] == 0
    save_file(
        {name: weights.detach().contiguous() for name, weights in head_weights(model).items()},
        tmp_path / "theirs" / "model_head.safetensors",
    )
    back = (tmp_path / "theirs", "--from", "adapterhub", "--model", base, "--to", "luthier")
    code, said = convert(*back, "--out", tmp_path / "again")
    assert code == 2 and "encoder" in said
    assert convert(*back, "--out", tmp_path / "again", "--label", "no", "--label", "yes")[0] == 0
    found = trained_in(tmp_path / "again")
    assert found.head == head
    again = found.method.load(load_model(find_model(str(base)), head=found.head), tmp_path / "again")
    torch.testing.assert_close(answers(again), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--from": "litpgt"}, "litpgt: no such kind of checkpoint; did you mean litgpt"),
        ({"--to": "pytorch"}, "pytorch: no such kind of checkpoint"),
        ({"--model": None}, "the model below these weights is not known"),
    ],
    ids=["from", "to", "model"],
)
def test_a_mistake_says_how_to_mend_it(
    changed: dict[str, str | None], message: str, bases: Callable[[str], Path], convert: Convert, tmp_path: Path
) -> None:
    given = {"--from": "litgpt", "--to": "luthier", "--model": bases("llama"), "--out": tmp_path / "out", **changed}
    options = [part for option, value in given.items() if value is not None for part in (option, value)]
    code, said = convert(tmp_path, *options)
    assert code == 2 and message in said and "mend:" in said


def test_what_cannot_be_said_there_is_refused(bases: Callable[[str], Path], convert: Convert, tmp_path: Path) -> None:
    base = bases("llama")
    trained(base, PromptTuning(virtual_tokens=3), tmp_path / "ours")
    there = (tmp_path / "ours", "--from", "luthier", "--method", "prompt_tuning", "--model", base)
    for target in ("litgpt", "adapterhub", "huggingface"):
        code, said = convert(*there, "--to", target, "--out", tmp_path / target)
        assert code == 2 and "mend:" in said, target
        assert not (tmp_path / target).exists()
