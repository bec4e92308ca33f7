"""The house models: that they are what their cards say, and real language models."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from luthier.core.settings import read, read_yaml
from luthier.models.load import find_model, load_model, load_tokenizer
from luthier.models.names import HOUSE, house_models
from luthier.models.tokenizer_training import SPECIAL_TOKENS
from luthier.pretrain_file import PretrainSpec
from luthier.suites.figures import FILE, Figures
from luthier.suites.held_out import bits_per_byte
from luthier.tasks.corpus import read_source

ROOT = Path(__file__).parents[2]
DECODER = "house/decoder"
MODELS = {"decoder": "decoder", "encoder": "encoder", "instruct": "decoder", "seq2seq": "encoder-decoder"}
FIRST = {"novels": 1.789, "wikipedia": 1.919, "dialogues": 0.798}
"""Held-out bits per byte of the first house decoder (docs/log.md)."""
SHARED = ROOT.parent / "shared" / "data" / "pretrain"


@pytest.fixture(scope="module")
def spec() -> PretrainSpec:
    return read(PretrainSpec, read_yaml(str(ROOT / "studies" / "pretrain" / "decoder.yaml")), "decoder.yaml")


def figures(name: str) -> Figures:
    return read(Figures, json.loads((HOUSE / name / FILE).read_text(encoding="utf-8")), name)


@pytest.mark.parametrize("name", MODELS)
def test_a_house_model_is_small_and_stored_in_bf16(name: str) -> None:
    files = find_model(f"house/{name}")
    assert files.kind == MODELS[name]
    assert 4_000_000 < files.parameters < 12_000_000
    with safe_open(HOUSE / name / "model.safetensors", framework="pt") as weights:
        assert {weights.get_tensor(key).dtype for key in weights.keys()} == {torch.bfloat16}  # noqa: SIM118


def test_the_family_is_small_enough_to_ship() -> None:
    assert {f"house/{name}" for name in MODELS} == set(house_models())
    assert sum(path.stat().st_size for path in HOUSE.rglob("*.safetensors")) <= 85e6


@pytest.mark.parametrize("name", MODELS)
def test_the_family_shares_one_vocabulary(name: str) -> None:
    assert load_tokenizer(find_model(f"house/{name}")).get_vocab() == load_tokenizer(find_model(DECODER)).get_vocab()


def test_its_tokenizer_reserves_what_a_family_needs() -> None:
    tokenizer = load_tokenizer(find_model("house/decoder"))
    assert tokenizer.convert_ids_to_tokens(range(len(SPECIAL_TOKENS))) == list(SPECIAL_TOKENS)
    text = "Agent: 12 é 😀\n\n  Customer: no\tthanks"
    assert tokenizer.decode(tokenizer(text)["input_ids"][1:]) == text


@pytest.mark.parametrize("name", MODELS)
def test_a_card_names_its_sources_and_says_the_figures(name: str, spec: PretrainSpec) -> None:
    card, found = (HOUSE / name / "README.md").read_text(encoding="utf-8"), figures(name)
    assert set(found.sources) == set(spec.sources)
    for source, one in found.sources.items():
        assert f"| {source} | {spec.sources[source].licence} |" in card
        assert f"**{one.model:.3f}**" in card and f"{one.ngram:.3f}" in card


@pytest.mark.parametrize("name", ["decoder", "instruct"])
@pytest.mark.parametrize("source", FIRST)
def test_a_decoder_is_below_xz_the_ngram_and_the_first_checkpoint(name: str, source: str) -> None:
    one = figures(name).sources[source]
    assert one.xz is not None and one.ngram_of_all is not None
    assert one.model < min(one.xz, one.ngram, one.ngram_of_all, FIRST[source])


@pytest.mark.parametrize("source", [pytest.param("novels", marks=pytest.mark.slow), "wikipedia", "dialogues"])
def test_it_compresses_held_out_text_better_than_xz(spec: PretrainSpec, source: str) -> None:
    settings = spec.sources[source]
    paths = [ROOT / path for path in settings.data]
    if not all(path.exists() for path in paths):
        pytest.skip("the pretraining data is not beside the project (../shared/data/pretrain)")
    files = find_model("house/decoder")
    settings = settings.model_copy(
        update={"data": tuple(map(str, paths)), "held_out_bytes": 8_000, "held_out_bytes_per_document": 8_000}
    )
    held_out = read_source(source, settings).held_out
    ours = bits_per_byte(load_model(files), load_tokenizer(files), held_out, files.context or 2048)
    text = "\n".join(held_out).encode()
    assert ours < 0.8 * 8 * len(lzma.compress(text, preset=9)) / len(text)
    assert ours < 2.5
