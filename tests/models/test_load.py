"""Models by name: what is found, what is refused before work starts, and what loads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.models import load, names, weights
from luthier.models.encoder_decoder import start_ids
from luthier.models.load import check_device, find_model, load_model, load_tokenizer
from tests.tiny import ENCODER_DECODERS, tiny_model, tiny_tokenizer


@pytest.fixture
def copy(llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llama, tmp_path / "copy"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def refusal(name: Path | str) -> LuthierError:
    with pytest.raises(LuthierError) as caught:
        find_model(str(name), offline=True)
    assert caught.value.mend
    assert caught.value.exit_code == 2
    return caught.value


def test_every_architecture_loads_and_gives_finite_logits(family_folder: Path) -> None:
    files = find_model(str(family_folder))
    assert files.kind == "decoder"
    assert files.context == (None if files.architecture == "BloomForCausalLM" else 256)
    model, tokenizer = load_model(files), load_tokenizer(files)
    assert not model.training
    assert files.parameters == sum(parameter.numel() for parameter in model.parameters())
    with torch.no_grad():
        logits = model(torch.tensor([tokenizer("What is the colour of grass?").input_ids])).logits
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not say what is mapped")
def test_weights_are_mapped_and_not_copied(family_folder: Path) -> None:
    """So that processes that leave them alone share one copy: in float32, as these are stored."""
    model = load_model(find_model(str(family_folder)))
    lines = Path("/proc/self/maps").read_text().splitlines()
    ranges = [line.split()[0].split("-") for line in lines if str(family_folder) in line]
    places = [range(int(start, 16), int(end, 16)) for start, end in ranges]
    unmapped = [name for name, p in model.named_parameters() if not any(p.data_ptr() in place for place in places)]
    assert not unmapped


def test_the_files_are_read_once_by_a_process(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_model(str(copy))
    assert find_model(str(copy)) is not first  # written a moment ago
    monkeypatch.setattr(load, "_MOMENT", 0)
    again = find_model(str(copy))
    assert again == first
    assert find_model(str(copy)) is again
    flip(copy / "model.safetensors", -1)
    assert find_model(str(copy)).digest != first.digest


def test_nothing_imports_torch_until_something_is_loaded(llama: Path) -> None:
    code = (
        "import sys; from luthier.models.load import find_model; import luthier.models.tokens;"
        f"print(find_model({str(llama)!r}).parameters, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["115008", "False", "False"]


def test_the_digest_is_of_the_content(llama: Path, copy: Path) -> None:
    digest = find_model(str(llama)).digest
    assert find_model(str(copy)).digest == digest
    flip(copy / "model.safetensors", -1)
    changed = find_model(str(copy)).digest
    edit(copy / "tokenizer_config.json", eos_token="<s>")
    assert len({digest, changed, find_model(str(copy)).digest}) == 3


def test_the_digest_of_a_large_file_sees_every_tensor(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WHOLE_UP_TO", 0)
    monkeypatch.setattr(weights, "SAMPLE", 16)
    path = copy / "model.safetensors"
    digests = {find_model(str(copy)).digest}
    tensors = weights.read_header(path).tensors.values()
    for tensor in tensors:
        flip(path, tensor.start + 1)
        digests.add(find_model(str(copy)).digest)
        flip(path, tensor.end - 1)
        digests.add(find_model(str(copy)).digest)
    assert len(digests) == 1 + 2 * len(tensors)


def test_shards_are_found_by_their_index(tmp_path: Path, llama: Path) -> None:
    sharded = find_model(str(tiny_model("llama", tmp_path / "m", shard_size="100KB")))
    whole = find_model(str(llama))
    assert len(list(sharded.folder.glob("model-*.safetensors"))) > 2
    assert sharded.parameters == whole.parameters
    ids = torch.tensor([[1, 40, 41, 42]])
    with torch.no_grad():
        assert torch.equal(load_model(sharded)(ids).logits, load_model(whole)(ids).logits)


def test_gpt2_stores_its_causal_mask_in_old_checkpoints_and_it_is_no_parameter() -> None:
    mask = weights.Tensor("F32", (1, 1, 1024, 1024), 0, 4 << 20)
    bias = weights.Tensor("F32", (192,), 0, 768)
    file = weights.WeightFile(Path("x"), {"h.0.attn.bias": mask, "h.0.attn.c_attn.bias": bias})
    assert weights.count_parameters([file]) == 192


def test_a_random_initialisation_has_the_shape_and_not_the_weights(llama: Path) -> None:
    files = find_model(str(llama))
    torch.manual_seed(5)
    first = load_model(files, random_init=True, dtype="bfloat16")
    torch.manual_seed(5)
    second = load_model(files, random_init=True, dtype="bfloat16")
    trained = load_model(files, dtype="bfloat16").state_dict()
    one = first.state_dict()
    assert {name: tensor.shape for name, tensor in one.items()} == {n: t.shape for n, t in trained.items()}
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in one.items())
    assert one["lm_head.weight"].dtype == torch.bfloat16
    assert not torch.equal(one["lm_head.weight"], trained["lm_head.weight"])
    assert not first.training


def test_loading_says_nothing(llama: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = find_model(str(llama))
    load_model(files)
    load_tokenizer(files)
    assert capfd.readouterr() == ("", "")


# What is refused -----------------------------------------------------------------------------------------------------


def test_a_truncated_file_is_named(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole = path.read_bytes()
    for keep in (len(whole) - 1, len(whole) // 2, 100, 8, 3, 0):
        path.write_bytes(whole[:keep])
        error = refusal(copy)
        assert "model.safetensors is truncated" in error.what
        assert error.where == str(path)
    assert f"needs {len(whole):,}" in _refused_size(path, whole[:-1], copy)


def _refused_size(path: Path, content: bytes, folder: Path) -> str:
    path.write_bytes(content)
    return refusal(folder).what


def _with_header(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (_with_header(b"{not json"), "header is not readable"),
        (_with_header([1, 2]), "header is not readable"),
        (_with_header({"a": {"dtype": "F32", "shape": [2]}}), "header is not readable"),
        (_with_header({"a": {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)), "unknown type X9"),
        (_with_header({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8)), "not as long as"),
        (_with_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, bytes(12)), "makes no sense"),
        (_with_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(9)), "1 bytes follow"),
    ],
)
def test_a_corrupt_file_is_named(copy: Path, content: bytes, why: str) -> None:
    (copy / "model.safetensors").write_bytes(content)
    error = refusal(copy)
    assert "model.safetensors is corrupt" in error.what
    assert why in error.what


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth"])
def test_pickled_weights_are_refused_and_never_opened(copy: Path, name: str) -> None:
    (copy / "model.safetensors").rename(copy / name)
    error = refusal(copy)
    assert name in error.what
    assert "safetensors" in error.what
    assert "save_pretrained" in str(error.mend)


def _drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _adapter(folder: Path) -> None:
    _drop_weights(folder)
    (folder / "adapter_config.json").write_text("{}")


def _lose_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _index_out_of_folder(folder: Path) -> None:
    _drop_weights(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))


def _index_lies(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"absent": "one.safetensors"}}))


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_drop_weights, "holds no weights"),
        (_adapter, "an adapter, not a model"),
        (_lose_shard, "model-00002-of-00002.safetensors: the index names this shard"),
        (_index_out_of_folder, "no safetensors file beside it"),
        (_index_lies, "one.safetensors does not hold absent"),
        (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is not readable"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "holds no tokenizer"),
    ],
)
def test_a_spoilt_folder_is_refused(copy: Path, spoil: Callable[[Path], None], what: str) -> None:
    spoil(copy)
    assert what in refusal(copy).what


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_the_models_own_is_refused_and_not_run(copy: Path, tmp_path: Path, file: str) -> None:
    ran = tmp_path / "ran"
    (copy / "modelling.py").write_text(f"open({str(ran)!r}, 'w')")
    edit(copy / file, auto_map={"AutoModelForCausalLM": "modelling.Model", "AutoTokenizer": ["modelling.T", None]})
    assert "auto_map" in refusal(copy).what
    assert not ran.exists()


def test_names_that_mean_nothing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing").what == "no such folder"
    file = tmp_path / "file"
    file.write_text("")
    assert "this is a file" in refusal(file).what
    assert "no such house model" in refusal("house/nothing").what
    assert "no such house model" in refusal("house/../names.py").what
    assert "not in the hub's cache" in refusal("nobody/nothing-at-all").what


def test_a_house_model_is_a_folder_of_the_package_and_a_near_name_is_suggested(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(llama, tmp_path / "house" / "decoder-tiny")
    monkeypatch.setattr(names, "HOUSE", tmp_path / "house")
    assert find_model("house/decoder-tiny").folder == tmp_path / "house" / "decoder-tiny"
    assert "did you mean house/decoder-tiny?" in refusal("house/decodr-tiny").what
    assert "house/decoder-tiny" in str(refusal("nobody/nothing-at-all").mend)


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        "from luthier.models.load import find_model\n"
        "from luthier.core.errors import LuthierError\n"
        "try: find_model('nobody/nothing-at-all')\n"
        "except LuthierError as error: print(error)"
    )
    # Port 9 of this machine (discard): nothing listens there.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the hub cannot be reached" in done.stdout
    assert "give a model's folder" in done.stdout
    assert done.stderr == ""


def test_weights_of_another_model_are_refused_and_gaps_never_filled_at_random(copy: Path) -> None:
    edit(copy / "config.json", num_hidden_layers=3)
    with pytest.raises(LuthierError, match=r"the weights lack model\.layers\.2"):
        load_model(find_model(str(copy)))
    edit(copy / "config.json", num_hidden_layers=2, intermediate_size=96)
    with pytest.raises(LuthierError, match="cannot be loaded"):
        load_model(find_model(str(copy)))


def test_an_architecture_that_transformers_does_not_know(copy: Path) -> None:
    edit(copy / "config.json", model_type="luthier-test", architectures=["LuthierTestForCausalLM"])
    with pytest.raises(LuthierError, match="cannot be loaded"):
        load_model(find_model(str(copy)))


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "encoder"),
        ({"model_type": "roberta", "architectures": None}, "encoder"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "encoder-decoder"),
        ({"model_type": "other", "is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "decoder"),
        ({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]}, "decoder"),
    ],
)
def test_the_kind_is_read_from_the_config(copy: Path, config: dict[str, Any], kind: str) -> None:
    edit(copy / "config.json", **config)
    files = find_model(str(copy))
    assert files.kind == kind
    if kind == "encoder":
        with pytest.raises(LuthierError, match="a causal language model is needed"):
            load_model(files)


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_an_encoder_decoder_loads_with_its_tied_weights(family: str, tmp_path: Path) -> None:
    files = find_model(str(tiny_model(family, tmp_path)))
    assert files.kind == "encoder-decoder"
    assert files.context == {"t5": None, "bart": 256}[family]  # a T5's positions are differences
    model = load_model(files)
    assert files.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    ids = torch.tensor([load_tokenizer(files)("What is the colour of grass?").input_ids])
    with torch.no_grad():
        assert torch.isfinite(model(input_ids=ids, decoder_input_ids=ids).logits).all()


def test_what_answers_begin_with_is_part_of_an_encoder_decoder(tmp_path: Path) -> None:
    folder = tiny_model("bart", tmp_path)
    files = find_model(str(folder))
    begins = start_ids(load_model(files))
    assert len(begins) == 2 and start_ids(load_model(files, random_init=True)) == begins
    edit(folder / "generation_config.json", forced_bos_token_id=None)
    changed = find_model(str(folder))
    assert changed.digest != files.digest and start_ids(load_model(changed)) == begins[:1]


def test_an_encoder_decoder_that_does_not_say_how_answers_begin(tmp_path: Path) -> None:
    folder = tiny_model("t5", tmp_path)
    for name in ("config.json", "generation_config.json"):
        edit(folder / name, decoder_start_token_id=None)
    with pytest.raises(LuthierError, match="which token its decoder begins with") as caught:
        load_model(find_model(str(folder)))
    assert caught.value.where == str(folder)


def test_tokens_without_an_embedding_are_refused(tmp_path: Path, copy: Path) -> None:
    tiny_tokenizer(added=["kitten", "puppy"]).save_pretrained(copy)
    with pytest.raises(LuthierError, match="2 tokens without an embedding in the model, such as 'kitten'"):
        load_tokenizer(find_model(str(copy)))
    grown = tiny_model("llama", tmp_path / "grown", tokenizer=tiny_tokenizer(added=["kitten", "puppy"]))
    assert "kitten" in load_tokenizer(find_model(str(grown))).get_vocab()


def test_a_padding_token_without_an_embedding_does_no_harm(copy: Path) -> None:
    tokenizer = tiny_tokenizer(pad=None)
    tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    tokenizer.save_pretrained(copy)
    assert load_tokenizer(find_model(str(copy))).pad_token_id == 320


def test_devices() -> None:
    assert check_device("cpu") == "cpu"
    assert check_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(LuthierError, match="no such device"):
        check_device("gpu")
    with pytest.raises(LuthierError, match="cuda:99 was asked for, and torch sees"):
        check_device("cuda:99")


def test_a_device_and_a_type_are_checked_before_loading(copy: Path) -> None:
    files = find_model(str(copy))
    shutil.rmtree(copy)
    with pytest.raises(LuthierError, match="cuda:99"):
        load_model(files, device="cuda:99")
    with pytest.raises(LuthierError, match="did you mean bfloat16"):
        load_model(files, dtype="bfloat")
