"""Methods that train some of the base's own weights: which, what is saved, and several on one base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from luthier.core.errors import LuthierError
from luthier.methods.method import Method, trainable
from luthier.methods.selective.attention import Attention
from luthier.methods.selective.bitfit import BitFit
from luthier.methods.selective.head_only import HeadOnly
from luthier.methods.selective.layers import Layers
from luthier.methods.selective.norms import Norms
from luthier.models.anatomy import anatomy_of
from luthier.models.families import FAMILIES
from luthier.models.head import head_weights
from luthier.objectives.supervised import Supervised
from tests.families import attach_to, family_batch, family_model, family_rows, logits
from tests.golden.test_lora_counts import llama, t5
from tests.models.decoders import decoder

TIED = ("gpt2", "bloom", "gemma", "t5", "bart")


def moved(method: Method, family: str) -> set[str]:
    """What is to be trained, a classifier's head apart."""
    model = attach_to(family, method)
    return {name for name, value in model.named_parameters() if value.requires_grad} - set(head_weights(model))


def disturbed(method: Method, family: str, seed: int) -> Any:
    """A model whose trained weights have moved."""
    model = attach_to(family, method)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def saved(method: Method, family: str, folder: Path, seed: int = 1) -> torch.Tensor:
    """Save such a model, and give what it says."""
    model = disturbed(method, family, seed)
    method.save(model, folder)
    return logits(model, family_rows(family, 4))


def test_bitfit_trains_every_bias_and_nothing_else() -> None:
    model = family_model("bert")
    biases = {name for name, value in model.named_parameters() if name.endswith("bias")} - set(head_weights(model))
    assert moved(BitFit(), "bert") == biases
    assert {name for name in biases if ".0." in name} == {
        f"bert.encoder.layer.0.{name}.bias"
        for name in (
            *("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
            *("attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"),
        )
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_bitfit_refuses_the_families_that_have_no_biases_and_no_others(family: str) -> None:
    model = family_model(family)
    biases = [name for name, _ in model.named_parameters() if name.endswith(".bias")]
    assert (BitFit().refusal(FAMILIES[family], family) is None) == bool(biases)
    if not biases:
        with pytest.raises(LuthierError, match="bitfit finds nothing to train"):
            BitFit().attach(model, None)


def test_a_first_t5_has_no_biases_either() -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=32, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, feed_forward_proj="relu")
    assert not BitFit().chosen(T5ForConditionalGeneration(config))


def test_bitfit_takes_a_model_of_another_type_by_what_it_has() -> None:
    model = BitFit().attach(decoder("qwen2"), None)
    assert {name for name, value in model.named_parameters() if value.requires_grad} == {
        f"model.layers.{layer}.self_attn.{matrix}_proj.bias" for layer in (0, 1) for matrix in "qkv"
    }


def test_norms_are_those_within_the_layers_and_outside_of_them() -> None:
    assert moved(Norms(), "llama") == {
        "model.norm.weight",
        *(
            f"model.layers.{n}.{name}.weight"
            for n in (0, 1)
            for name in ("input_layernorm", "post_attention_layernorm")
        ),
    }
    assert {"model.encoder.layernorm_embedding.bias", "model.decoder.layers.2.encoder_attn_layer_norm.weight"} <= moved(
        Norms(), "bart"
    )


def test_attention_is_its_matrices_with_their_biases() -> None:
    assert moved(Attention(), "gpt2") == {
        f"transformer.h.{n}.attn.{name}.{kind}"
        for n in (0, 1)
        for name in ("c_attn", "c_proj")
        for kind in ("weight", "bias")
    }
    cross = "decoder.block.0.layer.1.EncDecAttention.v.weight"
    assert cross in moved(Attention(), "t5")
    assert not {name for name in moved(Attention(), "t5") if "relative" in name or "Dense" in name or "norm" in name}


@pytest.mark.parametrize(
    ("method", "layers"),
    [
        (Layers(), {"encoder.block.1", "decoder.block.2"}),
        (Layers(count=2), {"encoder.block.0", "encoder.block.1", "decoder.block.1", "decoder.block.2"}),
        (Layers(which="bottom"), {"encoder.block.0", "decoder.block.0"}),
    ],
    ids=lambda value: value.label() if isinstance(value, Method) else "",
)
def test_layers_are_counted_in_each_stack(method: Layers, layers: set[str]) -> None:
    model = family_model("t5")
    whole = {name for name, _ in model.named_parameters() if name.startswith(tuple(f"{layer}." for layer in layers))}
    assert moved(method, "t5") == whole


def test_a_quarter_of_the_layers_is_the_default() -> None:
    for depth, quarter in ((1, 1), (4, 1), (5, 2), (8, 2)):
        names = Layers().chosen(llama(num_hidden_layers=depth))
        assert {int(name.split(".")[2]) for name in names} == set(range(depth - quarter, depth))


def test_more_layers_than_there_are_is_an_error() -> None:
    with pytest.raises(LuthierError, match=r"layers\(count=3\) asks for 3 layers, and encoder.block has 2"):
        attach_to("t5", Layers(count=3))


class Watched:
    """Which layers a backward pass goes through, and which of them were handed a tensor that requires gradients."""

    def __init__(self, model: Any, layers: list[str]):
        self.passed: set[str] = set()
        self.required: set[str] = set()
        for name in layers:
            model.get_submodule(name).register_forward_hook(self._hook(name), with_kwargs=True)

    def _hook(self, name: str) -> Any:
        def hook(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            if hidden.requires_grad:
                self.required.add(name)
            out = output[0] if isinstance(output, tuple) else output
            if out.requires_grad:
                out.register_hook(lambda gradient: self.passed.add(name))

        return hook


@pytest.mark.parametrize("family", FAMILIES)
def test_the_backward_pass_ends_at_the_lowest_trained_layer(family: str) -> None:
    method = Layers(count=1)
    model = attach_to(family, method)
    stacks = [list(stack) for stack in anatomy_of(model).stacks]
    watched = Watched(model, [layer for stack in stacks for layer in stack])
    Supervised().loss(model.train(), family_batch(model, family_rows(family, 4))).backward()
    # A decoder with an encoder below it is passed through to reach that: all of its layers attend to what it gives.
    below_nothing = {layer for stack in stacks[1:] for layer in stack}
    assert watched.passed == {stacks[0][-1]} | below_nothing
    assert watched.required == below_nothing - {stack[0] for stack in stacks[1:]}
    frozen = [value for value in model.parameters() if not value.requires_grad]
    assert all(value.grad is None for value in frozen)


@pytest.mark.parametrize("family", TIED)
def test_a_tied_head_is_one_matrix_with_the_input_embedding_and_stays_so(family: str) -> None:
    model = attach_to(family, HeadOnly())
    (weight,) = trainable(model)
    assert weight is model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_an_untied_head_moves_alone() -> None:
    assert moved(HeadOnly(), "llama") == {"lm_head.weight"}


def test_the_head_of_an_encoder_is_all_that_its_linear_probing_trains() -> None:
    model = attach_to("bert", HeadOnly())
    names = {name for name, value in model.named_parameters() if value.requires_grad}
    assert names == set(head_weights(model)) and "classifier.weight" in names


ALL = [(BitFit(), "bert"), (Norms(), "t5"), (Layers(), "gpt2"), (Attention(), "bart"), (HeadOnly(), "gemma")]
every = pytest.mark.parametrize(("method", "family"), ALL, ids=lambda value: getattr(value, "name", value))


@every
def test_two_on_one_base_leak_nothing_and_the_base_is_never_lost(method: Method, family: str, tmp_path: Path) -> None:
    asked = family_rows(family, 4)
    first, second = (saved(method, family, tmp_path / name, seed) for seed, name in ((1, "a"), (2, "b")))
    base = family_model(family)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    untouched = logits(base, asked)
    model = method.load(method.load(base, tmp_path / "a", "a"), tmp_path / "b", "b")
    assert model.state_dict().keys() == before.keys() and not any(True for _ in trainable(model))
    assert torch.equal(logits(model, asked), second)
    for name, expected in (("a", first), ("b", second), ("a", first)):
        method.switch(model, name)
        assert torch.equal(logits(model, asked), expected)
        with method.disabled(model):
            assert torch.equal(logits(model, asked), untouched)
        assert torch.equal(logits(model, asked), expected)
    assert not torch.equal(first, untouched) and not torch.equal(first, second)
    model = method.remove(method.remove(model, "a"), "b")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_others_may_have_trained_other_layers(tmp_path: Path) -> None:
    asked = family_rows("llama", 4)
    top, bottom = Layers(), Layers(which="bottom", count=2)
    said = [saved(method, "llama", tmp_path / method.which) for method in (top, bottom)]
    model = family_model("llama")
    untouched = logits(model, asked)
    for method in (bottom, top):
        model = top.load(model, tmp_path / method.which, method.which)
    for method, expected in zip((top, bottom), said, strict=True):
        top.switch(model, method.which)
        assert torch.equal(logits(model, asked), expected)
    with top.disabled(model):
        assert torch.equal(logits(model, asked), untouched)


@every
def test_a_merged_model_is_the_plain_one_with_what_was_trained_in_it(
    method: Method, family: str, tmp_path: Path
) -> None:
    asked, said = family_rows(family, 4), saved(method, family, tmp_path)
    merged = method.merge(method.load(family_model(family), tmp_path))
    assert torch.equal(logits(merged, asked), said)
    with pytest.raises(LuthierError, match="base's own weights are not kept"), method.disabled(merged):
        pass


def test_a_failed_load_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    asked, said = family_rows("llama", 4), saved(Norms(), "llama", tmp_path / "good")
    saved(Norms(), "gpt2", tmp_path / "wrong")
    saved(Norms(), "llama", tmp_path / "odd")
    save_file({"model.norm.weight": torch.ones(64)}, tmp_path / "odd" / "trained.safetensors")
    model = Norms().load(family_model("llama"), tmp_path / "good")
    for folder in ("wrong", "odd"):
        with pytest.raises(LuthierError, match="trained on another model"):
            Norms().load(model, tmp_path / folder, "other")
        assert torch.equal(logits(model, asked), said)
    with pytest.raises(LuthierError, match="nothing called other was loaded"):
        Norms().switch(model, "other")


@pytest.mark.parametrize("base", [t5(), llama(num_hidden_layers=3), llama(hidden_size=32), llama(intermediate_size=64)])
def test_another_base_is_refused(base: Any, tmp_path: Path) -> None:
    method = Layers(count=1)
    method.save(method.attach(llama(), None), tmp_path)
    with pytest.raises(LuthierError, match="these weights were trained on another model"):
        method.load(base, tmp_path)


@pytest.mark.parametrize("name", ["trained.safetensors", "trained.json"])
def test_a_missing_or_a_broken_file_is_named(name: str, tmp_path: Path) -> None:
    Norms().save(attach_to("llama", Norms()), tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(LuthierError, match="cannot be read"):
        Norms().load(family_model("llama"), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(LuthierError, match="no such file") as raised:
        Norms().load(family_model("llama"), tmp_path)
    assert raised.value.where == str(tmp_path / name)


def test_weights_too_few_or_too_many_are_refused(tmp_path: Path) -> None:
    Norms().save(attach_to("llama", Norms()), tmp_path)
    path = tmp_path / "trained.safetensors"
    whole = load_file(path)
    for odd in ({"model.norm.weight": whole["model.norm.weight"]}, {**whole, "lm_head.weight": torch.zeros(320, 64)}):
        save_file(odd, path)
        with pytest.raises(LuthierError, match="holds other weights than norms trains"):
            Norms().load(family_model("llama"), tmp_path)


def test_what_another_method_saved_is_refused(tmp_path: Path) -> None:
    Norms().save(attach_to("gpt2", Norms()), tmp_path)
    with pytest.raises(LuthierError, match="this was trained with norms, not with bitfit"):
        BitFit().load(family_model("gpt2"), tmp_path)


def test_settings_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    Layers().save(attach_to("llama", Layers()), tmp_path)
    path = tmp_path / "trained.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, "settings": {"which": "middle"}}))
    with pytest.raises(LuthierError, match="which"):
        Layers().load(family_model("llama"), tmp_path)
