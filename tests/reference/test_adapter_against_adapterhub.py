"""Adapters against AdapterHub's `adapters` 1.3.0, whose numbers `record_adapterhub.py` has written down."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from luthier.deploy.adapterhub import read_adapterhub, write_adapterhub
from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.adapter_places import parts_of
from luthier.methods.additive.compacter import Compacter
from luthier.methods.additive.fusion import Fusion
from luthier.methods.method import trainable
from luthier.models.encoder_decoder import has_encoder

FIXTURES = Path(__file__).parent / "fixtures"
RECORD: dict[str, Any] = json.loads((FIXTURES / "adapterhub.json").read_text(encoding="utf-8"))
IDS = torch.tensor(RECORD["input_ids"])
KINDS = ("pfeiffer", "houlsby", "parallel", "compacter", "compacter_pp")
STEPPED = KINDS[:4]
CASES = [(family, kind) for family in RECORD["cases"] for kind in KINDS]
every_case = pytest.mark.parametrize(("family", "kind"), CASES, ids=["-".join(case) for case in CASES])
PAIRS = ("bert", "llama", "bart")
LIVE = os.environ.get("LUTHIER_ADAPTERHUB_PYTHON")
"""The Python of an environment with `adapters` 1.3.0, as `record_adapterhub.py` tells how to make."""


def method_of(kind: str) -> Adapter | Compacter:
    if kind.startswith("compacter"):
        placement = {"compacter": "houlsby", "compacter_pp": "pfeiffer"}[kind]
        return Compacter.model_validate({"placement": placement, "reduction": RECORD["reduction"]})
    return Adapter.model_validate({"placement": kind, "reduction": RECORD["reduction"]})


def stored(family: str) -> dict[str, torch.Tensor]:
    return load_file(FIXTURES / f"adapterhub_{family}.safetensors")


def base(family: str) -> Any:
    """The recorded base in the transformers of today."""
    case = RECORD["cases"][family]
    cls = getattr(transformers, case["class"])
    model: Any = cls(cls.config_class(**case["settings"], bos_token_id=1, eos_token_id=2))
    weights = {name.removeprefix("base."): value for name, value in stored(family).items() if name.startswith("base.")}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    tied = {name for name in missing if name.endswith(("embed_tokens.weight", "lm_head.weight"))}
    assert not unexpected and set(missing) - tied <= {"final_logits_bias"}  # zeros, and no weight
    model.tie_weights()
    return model.eval()


def logits_of(model: Any) -> torch.Tensor:
    """Of the ids; an encoder-decoder reads them twice, moved right by one before its decoder."""
    inputs = {"input_ids": IDS}
    if has_encoder(model):
        inputs["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(IDS)
    logits: torch.Tensor = model(**inputs).logits
    return logits


def loss_of(model: Any) -> torch.Tensor:
    logits = logits_of(model)
    if logits.ndim == 2:
        return torch.nn.functional.cross_entropy(logits, torch.arange(len(IDS)))
    scored, targets = (logits, IDS) if has_encoder(model) else (logits[:, :-1], IDS[:, 1:])
    return torch.nn.functional.cross_entropy(scored.flatten(0, 1), targets.flatten())


def theirs(family: str, kind: str, prefix: str, name: str, folder: Path) -> Path:
    """A checkpoint of AdapterHub's, of recorded weights."""
    folder.mkdir(parents=True)
    weights = {path.removeprefix(prefix): value for path, value in stored(family).items() if path.startswith(prefix)}
    save_file({path: value for path, value in weights.items() if f".{name}." in path}, folder / "adapter.safetensors")
    about = {"config": RECORD["cases"][family][kind]["configuration"], "hidden_size": 16, "model_type": family}
    about |= {"name": name, "version": "adapters.1.3.0"}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    return folder


def ours(family: str, kind: str, folder: Path, prefix: str = "weight", name: str = "task") -> Path:
    """The same as a saved adapter of ours."""
    prefix = f"{kind}.{prefix}." if name == "task" else prefix
    source = theirs(family, kind, prefix, name, folder / f"theirs-{prefix}-{name}")
    return read_adapterhub(source, base(family), folder / f"ours-{prefix}-{name}")


@every_case
def test_outputs_are_adapterhubs(family: str, kind: str, tmp_path: Path) -> None:
    expected = stored(family)[f"{kind}.logits"]
    method = method_of(kind)
    with torch.no_grad():
        found = logits_of(method.load(base(family), ours(family, kind, tmp_path)))
        plain = logits_of(base(family))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    # What is compared is far from the base: no adapter, or one in another place, would not pass.
    moved = float((plain - expected).abs().max())
    assert moved == pytest.approx(RECORD["cases"][family][kind]["change"], abs=1e-4)
    assert moved > (0.1 if plain.ndim == 2 else 1)


@pytest.mark.parametrize("kind", STEPPED)
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "bart"])
def test_one_step_of_gradient_descent_is_adapterhubs(family: str, kind: str, tmp_path: Path) -> None:
    model = method_of(kind).attach(base(family), None)
    before, after = (
        load_file(ours(family, kind, tmp_path, what) / "adapter.safetensors") for what in ("weight", "after")
    )
    assert sum(value.numel() for value in trainable(model)) == RECORD["cases"][family][kind]["trainable"]
    named = {name.replace("of_default.", ""): value for name, value in model.named_parameters() if value.requires_grad}
    assert named.keys() == before.keys()
    with torch.no_grad():
        for name, value in named.items():
            value.copy_(before[name])
    loss = loss_of(model)
    assert loss.item() == pytest.approx(RECORD["cases"][family][kind]["loss"], abs=1e-6)
    loss.backward()
    for name, value in named.items():
        assert value.grad is not None
        torch.testing.assert_close(value.detach() - value.grad, after[name], atol=1e-5, rtol=1e-5)
    assert max(float((after[name] - before[name]).abs().max()) for name in before) > 0.01
    assert all(value.grad is None for value in model.parameters() if not value.requires_grad)


@pytest.mark.parametrize("family", PAIRS)
def test_a_stack_is_adapterhubs(family: str, tmp_path: Path) -> None:
    lower, upper = (ours(family, "pfeiffer", tmp_path, "pair.", name) for name in ("a", "b"))
    model = Adapter(on=(str(lower),), reduction=RECORD["reduction"]).attach(base(family), None)
    weights = load_file(upper / "adapter.safetensors")
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.copy_(weights[name.replace("of_default.", "")])
        torch.testing.assert_close(logits_of(model), stored(family)["stack.logits"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", PAIRS)
def test_a_fusion_is_adapterhubs(family: str, tmp_path: Path) -> None:
    folders = tuple(str(ours(family, "pfeiffer", tmp_path, "pair.", name)) for name in ("a", "b"))
    method = Fusion(adapters=folders)
    model = method.attach(base(family), None)
    prefix = "fusion.weight."
    theirs = {name.removeprefix(prefix): value for name, value in stored(family).items() if name.startswith(prefix)}
    by_place: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in theirs.items():
        place, _, inner = name.partition(".adapter_fusion_layer.a,b.")
        by_place.setdefault(place, {})[inner] = value
    parts = [part for _, part in parts_of(model, "default")]
    places = sorted(by_place, key=lambda place: ("decoder" in place, place))
    assert len(parts) == len(places)
    with torch.no_grad():
        for part, place in zip(parts, places, strict=True):
            part.query.weight.copy_(by_place[place]["query.weight"])
            part.query.bias.copy_(by_place[place]["query.bias"])
            part.key.copy_(by_place[place]["key.weight"])  # its bias is seen by no softmax
            part.value.copy_(by_place[place]["value.weight"])
        torch.testing.assert_close(logits_of(model), stored(family)["fusion.logits"], atol=1e-5, rtol=0)
    penalty = method.penalty(model)
    assert penalty is not None
    torch.testing.assert_close(penalty.detach(), stored(family)["fusion.penalty"])


def test_the_other_placement_gives_other_logits() -> None:
    """Pfeiffer's weights in Houlsby's place after the feed-forward: the residual is not read, and it shows."""
    model = Adapter(placement="houlsby", reduction=RECORD["reduction"], nonlinearity="relu").attach(base("llama"), None)
    theirs = {name: value for name, value in stored("llama").items() if name.startswith("pfeiffer.weight.")}
    layers = [part for path, part in parts_of(model, "default") if "feed_forward" in path]
    with torch.no_grad():
        for path, part in parts_of(model, "default"):
            if "attention" in path:
                part.up.weight.zero_()
        for index, part in enumerate(layers):
            place = f"pfeiffer.weight.model.layers.{index}.output_adapters.adapters.task."
            part.down.weight.copy_(theirs[f"{place}adapter_down.0.weight"])
            part.down.bias.copy_(theirs[f"{place}adapter_down.0.bias"])
            part.up.weight.copy_(theirs[f"{place}adapter_up.weight"])
            part.up.bias.copy_(theirs[f"{place}adapter_up.bias"])
        found = logits_of(model)
    assert float((found - stored("llama")["pfeiffer.logits"]).abs().max()) > 0.1


@pytest.mark.parametrize("family", RECORD["cases"])
@pytest.mark.parametrize("kind", ["pfeiffer", "houlsby"])
def test_it_starts_as_adapterhubs_does(family: str, kind: str) -> None:
    """N(0, 0.02) for the matrices, zero for the biases, hence nearly the base."""
    start = RECORD["cases"][family][kind]["at_first"]
    assert start["biases"] == 0 and start["matrices"][1] == pytest.approx(0.02, rel=0.1)
    torch.manual_seed(0)
    model = Adapter.model_validate({"placement": kind, "reduction": 1}).attach(base(family), None)
    drawn = [value.detach() for value in trainable(model)]
    matrices = torch.cat([value.flatten() for value in drawn if value.ndim == 2])
    assert matrices.numel() >= 1024
    assert float(matrices.std()) == pytest.approx(0.02, rel=0.05) and abs(float(matrices.mean())) < 2e-3
    assert all(not value.any() for value in drawn if value.ndim == 1)


@pytest.mark.parametrize("family", RECORD["cases"])
def test_parallel_and_compacter_start_as_adapterhubs_do(family: str) -> None:
    """Exactly the base, and the base but for rounding."""
    cases = RECORD["cases"][family]
    assert cases["parallel"]["at_first"]["change"] == 0 and cases["compacter"]["at_first"]["change"] < 1e-5
    with torch.no_grad():
        plain = logits_of(base(family))
        assert torch.equal(logits_of(method_of("parallel").attach(base(family), None)), plain)
        found = logits_of(method_of("compacter").attach(base(family), None))
    assert 0 < float((found - plain).abs().max()) < 1e-5


def test_a_checkpoint_that_the_library_saved_is_read(tmp_path: Path) -> None:
    folder = read_adapterhub(FIXTURES / "adapterhub_checkpoint", base("bert"), tmp_path)
    with torch.no_grad():
        found = logits_of(Adapter().load(base("bert"), folder))
    torch.testing.assert_close(found, stored("bert")["checkpoint.logits"], atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.skipif(not LIVE, reason="LUTHIER_ADAPTERHUB_PYTHON names no Python with `adapters`")
def test_what_we_write_the_library_reads(tmp_path: Path) -> None:
    asked = []
    for family, kind in CASES:
        folder = tmp_path / f"{family}-{kind}"
        write_adapterhub(ours(family, kind, folder), base(family), folder / "written", name="ours")
        asked += ["--read", family, str(folder / "written")]
    done = subprocess.run(
        [str(LIVE), str(FIXTURES.parent / "record_adapterhub.py"), *asked],
        capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = [line.removeprefix("logits: ") for line in done.stdout.splitlines() if line.startswith("logits: ")]
    for (family, kind), line in zip(CASES, lines, strict=True):
        expected = stored(family)[f"{kind}.logits"]
        torch.testing.assert_close(torch.tensor(json.loads(line)), expected, atol=1e-5, rtol=0)
