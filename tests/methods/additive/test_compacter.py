"""Compacter: its matrices, how few weights they have, and what it refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from luthier.core.errors import LuthierError
from luthier.methods.additive.adapter_places import parts_of
from luthier.methods.additive.compacter import Compacter
from luthier.methods.additive.kronecker import KroneckerSum
from luthier.methods.method import trainable
from tests.families import attach_to, family_data, family_model, family_rows, logits
from tests.training.small import fit


def test_a_matrix_is_the_sum_of_kronecker_products() -> None:
    torch.manual_seed(0)
    rule = torch.nn.Parameter(torch.randn(3, 3, 3))
    matrix = KroneckerSum(12, 6, rule)
    with torch.no_grad():
        matrix.bias.normal_()
        whole = sum(torch.kron(rule[i], matrix.left[i] @ matrix.right[i]) for i in range(3))
        hidden = torch.randn(2, 5, 12)
        torch.testing.assert_close(matrix(hidden), hidden @ whole + matrix.bias)
    assert sum(one.numel() for one in (matrix.left, matrix.right)) == 12 + 6


@pytest.mark.parametrize("family", ["roberta", "gpt2", "mistral", "bart"])
def test_it_learns_and_is_saved_with_one_rule(family: str, tmp_path: Path) -> None:
    method, rows = Compacter(), family_rows(family, 4, seed=1)
    model = attach_to(family, method)
    assert float((logits(model, rows) - logits(family_model(family), rows)).abs().max()) < 1e-4
    fitted = fit(model, family_data(model, family_rows(family, 16)), method, steps=10, validations=0)
    assert sum(fitted.losses[-2:]) < 0.97 * sum(fitted.losses[:2])
    rules = [matrix.rule for _, part in parts_of(model, "default") for matrix in (part.down, part.up)]
    assert all(rule is rules[0] for rule in rules)
    method.save(model, tmp_path)
    stored = load_file(tmp_path / "adapter.safetensors")
    assert sum(name.endswith(".rule") for name in stored) == 1
    assert sum(value.numel() for value in stored.values()) == sum(p.numel() for p in trainable(model))
    assert torch.equal(logits(method.load(family_model(family), tmp_path), rows), logits(model, rows))


def test_a_copy_has_a_rule_of_its_own() -> None:
    model = attach_to("llama", Compacter())
    twin = copy.deepcopy(model)
    rules = [matrix.rule for _, part in parts_of(twin, "default") for matrix in (part.down, part.up)]
    assert all(rule is rules[0] for rule in rules)
    assert rules[0] is not parts_of(model, "default")[0][1].down.rule


def test_weights_of_t5_base() -> None:
    """12 + 12 layers of width 768: after each of two sublayers, 2 (768 + 24) factors and 768 + 24 biases; n^3 once."""
    from transformers import T5Config, T5ForConditionalGeneration

    with torch.device("meta"):
        model = T5ForConditionalGeneration(T5Config(d_model=768, num_layers=12, num_heads=12, d_ff=3072))
        attached = Compacter().attach(model, None)
    assert sum(one.numel() for one in trainable(attached)) == 24 * 2 * 3 * (768 + 24) + 64


def test_the_size_is_a_multiple_of_n() -> None:
    for reduction, size in ((1, 64), (5, 12), (32, 4), (1000, 4)):
        part = parts_of(attach_to("llama", Compacter(reduction=reduction)), "default")[0][1]
        assert part.down.bias.numel() == size


class TestRefused:
    def test_a_width_that_is_no_multiple(self) -> None:
        with pytest.raises(LuthierError, match="width of 64 is no multiple of 5"):
            Compacter(products=5).attach(family_model("llama"), None)

    def test_another_number_of_products(self, tmp_path: Path) -> None:
        method = Compacter()
        method.save(attach_to("llama", method), tmp_path)
        about = json.loads((tmp_path / "adapter.json").read_text())
        about["settings"]["products"] = 2
        (tmp_path / "adapter.json").write_text(json.dumps(about))
        with pytest.raises(LuthierError, match="not those"):
            method.load(family_model("llama"), tmp_path)
