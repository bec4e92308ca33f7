"""FourierFT: the update is the inverse transform of few coefficients, and its scale follows the width."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from luthier.methods.method import trainable
from luthier.methods.reparameterised.fourierft import FourierFT
from luthier.models.anatomy import anatomy_of
from tests.families import attach_to, family_data, family_model, family_rows, logits
from tests.training.small import fit


def test_the_update_is_numpys_inverse_transform_of_the_coefficients() -> None:
    method = FourierFT(frequencies=50, scale=30.0, targets="k_proj")
    model = attach_to("llama", method)
    layer = model.base_model.model.model.layers[1].self_attn.k_proj
    with torch.no_grad():
        layer.fourierft_spectrum["default"].normal_(generator=torch.Generator().manual_seed(0))
        update = layer.get_delta_weight("default")
    rows, columns = layer.indices["default"].numpy()
    dense = np.zeros(tuple(update.shape))
    dense[rows, columns] = layer.fourierft_spectrum["default"].detach().numpy()
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 50
    np.testing.assert_allclose(update.numpy(), 30 * np.fft.ifft2(dense).real, atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_every_matrix_has_n_weights_to_train(family: str) -> None:
    model = attach_to(family, FourierFT(frequencies=100))
    names = [name for name, weight in model.named_parameters() if "fourierft" in name and weight.requires_grad]
    assert len(names) == len(anatomy_of(family_model(family)).linears)
    assert {weight.numel() for name, weight in model.named_parameters() if name in names} == {100}


def test_more_frequencies_than_the_smallest_matrix_has_weights_are_cut() -> None:
    model = attach_to("llama", FourierFT(frequencies=10**6, targets=("k_proj", "up_proj")))
    smallest = family_model("llama").model.layers[0].self_attn.k_proj.weight.numel()
    assert all(weight.numel() == smallest for weight in trainable(model))


def test_the_scale_is_the_papers_in_proportion_to_the_weights() -> None:
    config = FourierFT(targets="q_proj").peft_config(family_model("llama"), None)
    assert config.scaling == pytest.approx(150 * 64 * 64 / 768**2)
    assert FourierFT(scale=7.0).peft_config(family_model("llama"), None).scaling == 7


@pytest.mark.slow
def test_it_learns_on_a_tiny_t5() -> None:
    """Where peft's own scale and start do not: they drown the base."""
    method = FourierFT()
    model = attach_to("t5", method)
    data = family_data(model, family_rows("t5", 16))
    losses = fit(model, data, method, learning_rate=0.15, steps=20, validations=0).losses
    assert sum(losses[-3:]) / 3 < 0.8 * losses[0]


def test_merging_on_t5_is_within_what_it_states() -> None:
    method, rows = FourierFT(), family_rows("t5", 4)
    model = attach_to("t5", method)
    with torch.no_grad():
        for weight in trainable(model):
            weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    before = logits(model, rows)
    after = logits(method.merge(model), rows)
    assert (after - before).abs().max() <= method.merge_tolerance * before.abs().max()
