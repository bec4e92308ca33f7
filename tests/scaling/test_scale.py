"""A scaling study, whole and tiny: nine runs of some steps and a tenth, the law, its file and its picture."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.types import Progress
from luthier.scaling import fit
from luthier.scaling.results import Scaling, read_point
from luthier.scaling.scale import conclude, jobs, scale
from luthier.scaling.scale_file import Run, ScaleSpec, read_runs
from luthier.scaling.scale_table import sentences
from tests.scaling.synthetic import FEW_STARTS
from tests.scaling.test_scale_file import FILE
from tests.tiny import SENTENCES

pytestmark = pytest.mark.xdist_group("scale")  # the runs of the fixture are done once

WORDS = [word for sentence in SENTENCES for word in sentence.split()]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ScaleSpec:
    path = tmp_path_factory.mktemp("text") / "letters.jsonl"
    stream = random.Random(0)
    texts = [" ".join(stream.choices(WORDS, k=40)) for _ in range(60)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    data: dict[str, Any] = json.loads(json.dumps(FILE))
    data["base"]["sources"]["letters"] |= {"data": str(path), "held_out_bytes": 1500}
    data["base"]["training"] = {"batch_size": 4, "learning_rate": 0.01, "precision": "fp32"}
    data |= {"tokens": [640, 1280, 2560], "held_out": {"model": {"d_model": 64}, "tokens": 3840}}
    return read(ScaleSpec, data, "small.yaml").model_copy(update={"draws": 15})  # fewer than a file may ask for


@pytest.fixture(scope="module")
def runs(spec: ScaleSpec) -> tuple[Run, ...]:
    return read_runs(spec, "small.yaml")


@pytest.fixture(scope="module")
def done(spec: ScaleSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scaling, list[Progress]]:
    out = tmp_path_factory.mktemp("scale")
    heard: list[Progress] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "STARTS", FEW_STARTS)
        found = scale(spec, out, listener=heard.append)
    return out, found, heard


def test_every_run_is_a_pretraining_of_its_own(
    done: tuple[Path, Scaling, list[Progress]], runs: tuple[Run, ...]
) -> None:
    out, found, heard = done
    assert [event.run for event in heard if event.phase == "done"] == [run.name for run in runs]
    points = {point.name: point for point in (*found.points, found.held_out)}
    for run in runs:
        evaluation = json.loads((out / "runs" / run.folder / "evaluation.json").read_text())
        assert points[run.name].loss == evaluation["validation_loss"]
        assert points[run.name].parameters == evaluation["parameters"] == run.parameters
        assert points[run.name].tokens == evaluation["tokens"] == pytest.approx(run.spec.tokens, rel=0.05)


def test_the_text_is_prepared_once(done: tuple[Path, Scaling, list[Progress]], runs: tuple[Run, ...]) -> None:
    files = [done[0] / "runs" / run.folder / "tokens" / "letters.train.npy" for run in runs]
    assert len({path.stat().st_ino for path in files}) == 1


def test_the_held_out_run_takes_no_part(done: tuple[Path, Scaling, list[Progress]]) -> None:
    _, found, _ = done
    assert found.held_out.name == "d64x2-3840" and len(found.points) == 9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "STARTS", FEW_STARTS)
        assert fit.fit(found.points).law == found.law


def test_what_it_leaves(done: tuple[Path, Scaling, list[Progress]]) -> None:
    out, found, _ = done
    written = json.loads((out / "scale.json").read_text())
    assert written["constants"]["E"]["value"] == found.law.irreducible
    assert set(written["constants"]) == {"E", "A", "B", "alpha", "beta"}
    assert written["foretold"]["low"] <= written["foretold"]["value"] <= written["foretold"]["high"]
    assert written["error"] == pytest.approx(found.foretold.value / found.held_out.loss - 1)
    assert len(written["grid"]) == 9 and written["counts"] == "all parameters"
    assert (out / "scale.png").read_bytes().startswith(b"\x89PNG")
    assert f"measured {found.held_out.loss:.3f}" in sentences(found)[0]


def test_what_is_done_is_not_done_again(
    done: tuple[Path, Scaling, list[Progress]], spec: ScaleSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "STARTS", FEW_STARTS)
    heard: list[Progress] = []
    assert scale(spec, done[0], listener=heard.append).law == done[1].law
    assert {event.phase for event in heard} == {"done"}


@pytest.mark.parametrize("loss", [None, float("nan"), float("inf"), "missing"])
def test_a_run_without_a_loss_is_named(tmp_path: Path, loss: object) -> None:
    evaluation: dict[str, Any] = {"parameters": 100, "tokens": 1000, "validation_loss": loss}
    if loss == "missing":
        del evaluation["validation_loss"]
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    with pytest.raises(LuthierError, match="d16x2-1000 has no held-out loss") as caught:
        read_point("d16x2-1000", tmp_path)
    assert caught.value.exit_code == 1


def test_a_run_that_has_not_finished_is_named(spec: ScaleSpec, runs: tuple[Run, ...], tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="d16x2-640 has not finished"):
        conclude(spec, runs, tmp_path)


@pytest.mark.slow  # each process imports torch
def test_workers_leave_what_one_process_does(
    done: tuple[Path, Scaling, list[Progress]],
    spec: ScaleSpec,
    runs: tuple[Run, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit, "STARTS", FEW_STARTS)
    found = scale(spec, tmp_path, workers=2)
    assert [point.loss for point in found.points] == [point.loss for point in done[1].points]
    assert all(job.done for job in jobs(runs, tmp_path))
