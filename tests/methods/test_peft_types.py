"""peft's methods by peft's own names: what is read and refused, and several from attaching to loading."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftType
from pydantic import TypeAdapter

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.methods.method import refuse_misfit, trainable
from luthier.methods.peft_method import Peft
from luthier.methods.peft_types import ELSEWHERE, KNOWN, TYPES
from luthier.models.families import FAMILIES
from luthier.models.generate import generate
from luthier.models.sampling import Sampling
from tests.families import attach_to, family_data, family_model, family_rows, logits
from tests.training.small import differing, fit, weights


def of_type(name: str, **settings: Any) -> Peft:
    return Peft(type=name, settings={**TYPES[name].needs, **settings})


class TestReading:
    def test_every_type_of_pefts_is_known_and_no_other(self) -> None:
        assert {*KNOWN, *ELSEWHERE} == {one.value.lower() for one in PeftType}

    def test_what_is_read_is_what_is_written(self) -> None:
        method = read(Peft, {"type": "road", "settings": {"variant": "road_2"}, "targets": "attention"}, where="x")
        assert method.label() == "peft(type=road, targets=attention, variant=road_2)"
        again = TypeAdapter(Peft).validate_python(method.model_dump(mode="json"))
        assert again == method and again.digest() == method.digest() != Peft(type="road").digest()

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"type": "delroa"}, "did you mean delora"),
            ({"type": "adalora"}, "write the method `adalora`"),
            ({"type": "boft"}, "write the method `boft`"),
            ({"type": "vera"}, "write the method `vera`"),
            ({"type": "ln_tuning", "targets": "mlp"}, "works on the norms"),
            ({"type": "cpt", "targets": "mlp"}, "works on no module"),
            ({"type": "hra", "targets": "mlp", "settings": {"target_modules": ["q_proj"]}}, "give one of them"),
            ({"type": "trainable_tokens"}, "needs token_indices"),
            ({"type": "adamss", "settings": {"use_asa": True}}, "use_asa"),
            ({"type": "poly", "settings": {"n_tasks": 2}}, "n_tasks"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, given: dict[str, Any], said: str) -> None:
        with pytest.raises(LuthierError, match=said) as told:
            read(Peft, given, where="study.yaml")
        assert told.value.exit_code == 2

    def test_reading_needs_no_peft(self) -> None:
        code = (
            "import sys; from luthier.methods.peft_method import Peft; Peft(type='road'); print('peft' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"


class TestRefusing:
    def test_an_unknown_setting(self) -> None:
        with pytest.raises(LuthierError, match="variant: HRAConfig has no such setting") as told:
            attach_to("llama", of_type("hra", variant=1))
        assert "apply_GS" in str(told.value)
        with pytest.raises(LuthierError, match="did you mean variant"):
            attach_to("llama", of_type("road", varient="road_1"))

    def test_a_value_that_peft_refuses(self) -> None:
        with pytest.raises(LuthierError, match="Invalid variant road_9"):
            attach_to("llama", of_type("road", variant="road_9"))

    def test_what_leaves_nothing_to_train(self) -> None:
        with pytest.raises(LuthierError, match="nothing to train"):
            attach_to("llama", Peft(type="prompt_tuning", settings={"num_virtual_tokens": 0}))

    def test_a_token_that_the_model_does_not_have(self) -> None:
        with pytest.raises(LuthierError, match="does not fit this model"):
            attach_to("llama", of_type("trainable_tokens", token_indices=[10**6]))

    def test_a_target_that_matches_nothing(self) -> None:
        with pytest.raises(LuthierError, match="nowhere"):
            attach_to("llama", Peft(targets="nowhere"))
        with pytest.raises(LuthierError, match="nowhere"):
            attach_to("llama", of_type("hra", target_modules=["nowhere"]))

    @pytest.mark.parametrize(
        ("name", "family"), [("cpt", "t5"), ("shadow", "bert"), ("glora", "gpt2"), ("xlora", "llama")]
    )
    def test_what_cannot_work_says_why(self, name: str, family: str) -> None:
        with pytest.raises(LuthierError, match="cannot be used here"):
            refuse_misfit(of_type(name), FAMILIES[family], family, "arm")

    def test_no_merge_where_there_is_nothing_to_merge_into(self) -> None:
        assert of_type("beft").merge_refusal("decoder", "llama") and not of_type("beft").merge_refusal(
            "decoder", "gpt2"
        )
        assert of_type("lily").merge_refusal("decoder", "llama") and not of_type("lily").mergeable


ENDS = [
    ("hra", "bert"),
    ("supertuning", "gpt2"),
    ("c3a", "bloom"),
    ("poly", "llama"),
    ("glora", "bart"),
    ("pvera", "mistral"),
]


@pytest.mark.parametrize(("name", "family"), ENDS)
def test_from_attaching_to_loading(name: str, family: str, tmp_path: Path) -> None:
    method, asked = of_type(name), family_rows(family, 4, seed=1)
    base = family_model(family)
    plain = logits(base, asked)
    model = attach_to(family, method)
    assert torch.allclose(logits(model, asked), plain, atol=1e-5) == method.starts_at_base
    before = weights(model)
    required = sorted(key for key, value in model.named_parameters() if value.requires_grad)
    rate = method.learning_rate(sum(value.numel() for value in base.parameters()))
    fitted = fit(model, family_data(model, family_rows(family, 16)), method, learning_rate=rate, steps=6, validations=0)
    assert fitted.losses[-1] < fitted.losses[0]
    assert sorted(differing(before, weights(model))) == required
    trained = logits(model, asked)
    method.save(model, tmp_path)
    if not TYPES[name].beside:
        assert method.stored(model) == sum(value.numel() for value in trainable(model))
    loaded = method.load(family_model(family), tmp_path)
    assert torch.equal(logits(loaded, asked), trained)
    assert not any(value.requires_grad for value in loaded.parameters())
    with method.disabled(loaded):
        assert torch.equal(logits(loaded, asked), plain)
    if method.mergeable:
        merged = method.merge(copy.deepcopy(model))
        assert type(merged) is type(base) and merged.state_dict().keys() == base.state_dict().keys()
        assert (logits(merged, asked) - trained).abs().max() <= 1e-4 * trained.abs().max()


def test_sizes_are_made_to_fit_and_a_given_one_stands() -> None:
    assert attach_to("llama", of_type("road")).active_peft_config.group_size == 32
    assert attach_to("llama", of_type("road", group_size=16)).active_peft_config.group_size == 16
    assert attach_to("llama", of_type("waveft")).active_peft_config.n_frequency == 2048  # 64 x 32


def test_prompts_count_their_positions() -> None:
    assert of_type("cpt").added_positions == of_type("cartridge").added_positions == 20
    assert of_type("cpt", cpt_token_ids=[5, 6, 7]).added_positions == 3
    assert of_type("cartridge", num_virtual_tokens=8).added_positions == 8
    assert not of_type("hra").added_positions


def test_flat_rows_take_prompts_on_decoders_alone() -> None:
    assert of_type("cpt").flat_on("decoder") and not of_type("cartridge").flat_on("encoder-decoder")
    assert of_type("hra").flat_on("encoder") and not of_type("poly").flat_on("decoder")


@pytest.mark.parametrize("name", ["shadow", "poly", "cartridge"])
def test_it_writes_over_a_cache_what_it_says_without_one(name: str) -> None:
    """Greedily, rows of several lengths and ends: token by token, each answer is the likeliest after the whole row."""
    method = of_type(name)
    model = attach_to("llama", method)
    fit(model, family_data(model, family_rows("llama", 16)), method, learning_rate=1e-2, steps=4, validations=0)
    prompts, limit = [[20, 21, 22], [30, 31, 32, 33, 34], [40, 41]], 5
    answers = generate(
        model, prompts, request_ids=["a", "b", "c"], sampling=Sampling(max_new_tokens=limit), stop_ids={10}, pad_id=0,
        decode=lambda ids: " ".join(map(str, ids)),
    )  # fmt: skip
    for prompt, answer in zip(prompts, answers, strict=True):
        row = list(prompt)
        for token in answer.ids:
            with torch.no_grad():
                said = model(input_ids=torch.tensor([row]), use_cache=False).logits[0, -1]
            assert said[token] >= said.max() - 1e-3
            row.append(token)
