"""New metrics on stored answers: of a study, of evaluations, and added to a study's store."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from luthier import cli, run
from luthier.core.errors import LuthierError
from luthier.core.store import Store, write_json
from luthier.core.types import ChoicePrediction, Example, Message, Prediction, TextPrediction
from luthier.report.summary import summarise
from luthier.rescoring.rescore import Rescored, read_metrics, rescore
from luthier.rescoring.write import add_to_study, write_metrics
from luthier.study import Study
from luthier.suites.items import Item, write_items
from tests.small_study import everything_in, small_study, steps, write_rows

pytestmark = pytest.mark.xdist_group("rescoring")


@pytest.fixture(scope="module")
def study_file(decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rescoring")
    rows = write_rows(folder)
    path = folder / "small.yaml"
    settings = small_study(decoder, rows, arms=["zero_shot", "lora"], seeds=[0])
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def ran(study_file: Path) -> Path:
    """The folder of a study that has run; tests that write copy it."""
    out = study_file.parent / "out"
    Study.load(study_file).run(out, device="cpu")
    return out


@pytest.fixture
def copied(ran: Path, tmp_path: Path) -> Path:
    return shutil.copytree(ran, tmp_path / "out")


def only(rows: Sequence[Rescored], arm: str, measure: str) -> Rescored:
    (row,) = (row for row in rows if (row.arm, row.measure) == (arm, measure))
    return row


class TestMetricsAsGiven:
    def test_a_word_and_settings(self) -> None:
        plain, with_settings = read_metrics(["chrf", "rouge: {stemmer: false}"])
        assert (plain.name, with_settings.label()) == ("chrf", "rouge(stemmer=False)")

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ([], "no metric is named"),
            (["rogue"], "did you mean rouge"),
            (["rouge: {stemer: false}"], "did you mean stemmer"),
            (["rouge: {"], "not a YAML value"),
            (["chrf", "chrf"], "named twice"),
        ],
    )
    def test_bad_ones_are_refused(self, given: list[str], says: str) -> None:
        with pytest.raises(LuthierError, match=says):
            read_metrics(given)


class TestStudy:
    def test_a_measure_that_the_study_has_comes_out_the_same(self, ran: Path) -> None:
        (group,) = summarise(Store(ran)).groups
        rows = rescore(ran, read_metrics(["rouge", "nll"])).rows
        for arm in group.contenders:
            for measure in ("rougeL", "nll"):
                assert only(rows, arm.arm, measure).estimate == arm.scores[measure]
        reported = group.arms[1].against["zero_shot"]["rougeL"]
        against = only(rows, "lora", "rougeL").against
        assert against is not None and reported.p_holm == against.p_holm
        assert (against.difference, against.low, against.high) == (reported.difference, reported.low, reported.high)

    def test_a_new_metric_writes_and_asks_nothing(self, ran: Path) -> None:
        before = everything_in(ran)
        found = rescore(ran, read_metrics(["chrf"]))
        assert everything_in(ran) == before
        row = only(found.rows, "lora", "chrf")
        assert row.estimate is not None and row.estimate.n == 4 and row.unscored == 0
        assert row.against is not None and row.against.other == "zero_shot" == found.reference
        assert only(found.rows, "zero_shot", "chrf").against is None
        json.dumps(found.to_json())

    def test_arms_can_be_chosen(self, ran: Path) -> None:
        found = rescore(ran, read_metrics(["chrf"]), ["lora"])
        assert {row.arm for row in found.rows} == {"lora"}
        assert found.notes == ("no differences: the reference zero_shot is not among the arms",)
        with pytest.raises(LuthierError, match=r"lara: no such arm; did you mean lora\?"):
            rescore(ran, read_metrics(["chrf"]), ["lara"])

    def test_what_the_study_did_not_keep_cannot_be_judged(self, ran: Path) -> None:
        with pytest.raises(LuthierError, match="texts and likelihoods of choices are stored, and no tags"):
            rescore(ran, read_metrics(["entity_f1"]))

    def test_data_that_changed_is_refused(self, ran: Path, copied: Path, study_file: Path) -> None:
        test = study_file.parent / "test.jsonl"
        before = test.read_text()
        try:
            test.write_text(before.replace("cats", "dogs"))
            run._loaded.cache_clear()  # another command is another process
            with pytest.raises(LuthierError, match="the data is another than the one that was asked about"):
                rescore(copied, read_metrics(["chrf"]))
        finally:
            test.write_text(before)

    def test_unfinished_runs_are_said_to_be_left_out(self, copied: Path) -> None:
        names = Store(copied).study()["runs"]
        lora = [name for name in names if name.startswith("lora")]
        (copied / "runs" / lora[0] / "result.json").unlink()
        found = rescore(copied, read_metrics(["chrf"]))
        assert f"{lora[0]} is left out: not finished" in found.notes
        shutil.rmtree(copied / "runs" / lora[0])
        assert f"{lora[0]} is left out: not begun" in rescore(copied, read_metrics(["chrf"])).notes
        with pytest.raises(LuthierError, match="the study is not finished"):
            add_to_study(Store(copied), read_metrics(["chrf"]))
        for name in names:
            (copied / "runs" / name / "result.json").unlink(missing_ok=True)
        with pytest.raises(LuthierError, match="no finished answers are stored"):
            rescore(copied, read_metrics(["chrf"]))


class TestWriting:
    def test_it_leaves_what_the_study_with_the_metric_would(self, copied: Path, study_file: Path) -> None:
        old = Store(copied).study()["runs"]
        before = (steps(Store(copied), "train"), steps(Store(copied), "predict"))
        page = write_metrics(copied, read_metrics(["chrf"]))
        assert page == copied / "report.html"
        (group,) = summarise(Store(copied)).groups
        assert "chrf" in group.measures and "chrf" in group.arms[0].scores
        written = {name: (copied / "runs" / name / "result.json").read_text() for name in Store(copied).study()["runs"]}
        assert not set(written) & set(old) and all((copied / "runs" / name).is_dir() for name in old)

        study = Study.load(study_file, ["tasks.0.metrics=[rouge, nll, chrf]"]).run(copied, device="cpu")
        assert (steps(Store(copied), "train"), steps(Store(copied), "predict")) == before
        assert Store(copied).study()["runs"] == list(written)  # the same folders: it found every run done
        assert {name: (copied / "runs" / name / "result.json").read_text() for name in written} == written
        assert all(result.status == "finished" for result in study.results)

    def test_measures_that_are_there_already_are_refused_and_nothing_is_written(self, copied: Path) -> None:
        before = everything_in(copied / "runs")
        with pytest.raises(LuthierError, match="two of them measure rougeL"):
            add_to_study(Store(copied), read_metrics(["rouge: {stemmer: false}"]))
        with pytest.raises(LuthierError, match="already there: rouge"):
            add_to_study(Store(copied), read_metrics(["rouge"]))
        assert everything_in(copied / "runs") == before

    def test_answers_that_are_missing_are_refused(self, copied: Path) -> None:
        store = Store(copied)
        for name in store.study()["runs"]:
            folder = store.step("predict", store.run(name).result().predict_key).folder  # type: ignore[union-attr, arg-type]
            shutil.rmtree(folder, ignore_errors=True)
        with pytest.raises(LuthierError, match="which are not stored"):
            add_to_study(store, read_metrics(["bits_per_byte"]))

    def test_an_evaluation_takes_no_metrics(self, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="only a study's store takes new metrics"):
            write_metrics(tmp_path, read_metrics(["chrf"]))


def item(number: int, prediction: Prediction, reference: str = "yes") -> Item:
    example = Example(
        id=f"{number:016x}",
        messages=(Message("user", f"Is {number} even?"),),
        references=(reference,),
        choices=("yes", "no"),
        task="parity",
    )
    return Item(example, replace(prediction, example_id=example.id), {"acc": 1.0})


def choice(yes: float, no: float = -1.0) -> ChoicePrediction:
    return ChoicePrediction("", ("yes", "no"), (yes, no), (1, 1))


def evaluation(out: Path, model: str, items: Sequence[Item]) -> None:
    folder = out / "numbers" / model
    write_items(folder, items)
    write_json(folder / "evaluation.json", {"model": model, "suite": "numbers"})


class TestEvaluations:
    def test_models_are_compared_with_the_first(self, tmp_path: Path) -> None:
        evaluation(tmp_path, "a", [item(n, choice(-0.5)) for n in range(12)])
        evaluation(tmp_path, "b", [item(n, choice(-0.5 if n < 3 else -2.0)) for n in range(12)])
        found = rescore(tmp_path, read_metrics(["accuracy", "calibration"]))
        assert found.reference == "a"
        row = only(found.rows, "b", "accuracy")
        assert row.estimate is not None and row.estimate.mean == 0.25
        assert row.against is not None and row.against.difference == -0.75
        assert row.against.p == pytest.approx(2 * 0.5**9)  # exact McNemar, nine of nine
        ece = only(found.rows, "a", "ece").estimate
        assert ece is not None and ece.mean == pytest.approx(1 - 1 / (1 + math.exp(-0.5))) and ece.low is None

    def test_unscored_is_counted_apart_and_is_not_zero(self, tmp_path: Path) -> None:
        evaluation(tmp_path, "a", [item(n, choice(-0.5 if n else math.nan)) for n in range(12)])
        row = only(rescore(tmp_path, read_metrics(["nll"])).rows, "a", "nll")
        assert row.unscored == 1
        assert row.estimate is not None and (row.estimate.n, row.estimate.mean) == (11, pytest.approx(0.5))

    def test_items_without_a_label_are_unscored(self, tmp_path: Path) -> None:
        known = [item(n, choice(-0.5)) for n in range(3)]
        held_back = item(3, choice(-0.5))
        held_back = replace(held_back, example=replace(held_back.example, references=()), values={})
        evaluation(tmp_path, "a", [*known, held_back])
        found = rescore(tmp_path, read_metrics(["accuracy", "nll", "f1", "bits_per_byte", "calibration"]))
        for measure in ("accuracy", "nll"):
            row = only(found.rows, "a", measure)
            assert row.unscored == 1 and row.estimate is not None
            assert (row.estimate.n, row.estimate.mean) == (3, 1.0 if measure == "accuracy" else 0.5)
        whole = {row.measure: row.estimate.mean for row in found.rows if row.estimate is not None}
        assert whole["f1"] == 1.0 and whole["ece"] == pytest.approx(1 - 1 / (1 + math.exp(-0.5)))

    def test_a_quantised_model_is_another_arm(self, tmp_path: Path) -> None:
        evaluation(tmp_path, "a", [item(n, choice(-0.5)) for n in range(4)])
        evaluation(tmp_path, "b", [item(n, choice(-2.0)) for n in range(4)])
        write_json(
            tmp_path / "numbers" / "b" / "evaluation.json", {"model": "a", "suite": "numbers", "quantisation": "nf4"}
        )
        found = rescore(tmp_path, read_metrics(["accuracy"]))
        means = {row.arm: row.estimate.mean for row in found.rows if row.estimate is not None}
        assert means == {"a": 1.0, "a (nf4)": 0.0}

    def test_two_evaluations_of_one_model_are_no_two_seeds(self, tmp_path: Path) -> None:
        for folder, nats in (("a-of-all", -0.5), ("a-of-four", -2.0)):
            evaluation(tmp_path, folder, [item(n, choice(nats)) for n in range(4)])
            write_json(tmp_path / "numbers" / folder / "evaluation.json", {"model": "a", "suite": "numbers"})
        with pytest.raises(LuthierError, match="a was evaluated twice on parity of numbers") as refused:
            rescore(tmp_path, read_metrics(["accuracy"]))
        assert "a-of-all" in str(refused.value) and "a-of-four" in str(refused.value)
        assert rescore(tmp_path / "numbers" / "a-of-all", read_metrics(["accuracy"])).reference == "a"

    def test_other_items_are_refused_with_their_ids(self, tmp_path: Path) -> None:
        evaluation(tmp_path, "a", [item(n, choice(-0.5)) for n in range(4)])
        evaluation(tmp_path, "b", [item(n, choice(-0.5)) for n in range(5)])
        with pytest.raises(LuthierError, match=r"a and b were not asked the same: 1 items .*0000000000000004"):
            rescore(tmp_path, read_metrics(["accuracy"]))
        assert rescore(tmp_path, read_metrics(["accuracy"]), ["b"]).reference == "b"

    @pytest.mark.parametrize(
        ("other", "says"),
        [
            ({"tasks": {"parity": {"shots": 0}}, "chat_template": False}, "with other shots: 5 and 0"),
            ({"tasks": {"parity": {"shots": 5}}, "chat_template": True}, "with other chat template: no and yes"),
            ({}, ""),
        ],
    )
    def test_models_that_were_asked_in_another_way_are_refused(
        self, tmp_path: Path, other: dict[str, object], says: str
    ) -> None:
        asked = {"tasks": {"parity": {"shots": 5}}, "chat_template": False}
        for model, how in (("a", asked), ("b", other)):
            evaluation(tmp_path, model, [item(n, choice(-0.5)) for n in range(4)])
            write_json(tmp_path / "numbers" / model / "evaluation.json", {"model": model, "suite": "numbers", **how})
        if not says:
            assert len(rescore(tmp_path, read_metrics(["accuracy"])).rows) == 2
            return
        with pytest.raises(LuthierError, match=says) as refused:
            rescore(tmp_path, read_metrics(["accuracy"]))
        assert all(str(tmp_path / "numbers" / model) in str(refused.value) for model in "ab")

    def test_tasks_without_references_are_left_out(self, tmp_path: Path) -> None:
        open_items = [
            replace(one, example=replace(one.example, references=(), task="story"))
            for one in (item(n, choice(-0.5)) for n in range(4, 6))
        ]
        evaluation(tmp_path, "a", [*(item(n, choice(-0.5)) for n in range(4)), *open_items])
        found = rescore(tmp_path, read_metrics(["accuracy"]))
        assert {row.task for row in found.rows} == {"parity"}
        assert found.notes == ("story is left out: no item has a reference",)
        evaluation(tmp_path, "a", open_items)
        with pytest.raises(LuthierError, match="has a reference"):
            rescore(tmp_path, read_metrics(["accuracy"]))

    def test_tasks_that_kept_something_else_are_named(self, tmp_path: Path) -> None:
        texts = [item(n, TextPrediction("", "yes")) for n in range(4)]
        other = [replace(one, example=replace(one.example, task="spelling")) for one in texts]
        evaluation(tmp_path, "a", [*(item(n, choice(-0.5)) for n in range(4)), *other])
        found = rescore(tmp_path, read_metrics(["chrf"]))
        assert {row.task for row in found.rows} == {"spelling"}
        assert found.notes == ("parity has no chrf: it kept likelihoods of choices",)

    @pytest.mark.parametrize(("folder", "says"), [("nowhere", "no such folder"), (".", "neither a study nor")])
    def test_a_folder_without_answers_is_refused(self, tmp_path: Path, folder: str, says: str) -> None:
        with pytest.raises(LuthierError, match=says):
            rescore(tmp_path / folder, read_metrics(["chrf"]))

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        evaluation(tmp_path, "a", [item(0, choice(-0.5))])
        with open(tmp_path / "numbers" / "a" / "items.jsonl", "a") as file:
            file.write('{"id": "cut')
        with pytest.raises(LuthierError, match="damaged"):
            rescore(tmp_path, read_metrics(["accuracy"]))


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["luthier", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


class TestCommand:
    def test_it_prints_a_table_or_plain_data(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        evaluation(tmp_path, "a", [item(n, choice(-0.5)) for n in range(12)])
        evaluation(tmp_path, "b", [item(n, choice(-2.0)) for n in range(12)])
        arguments = ("rescore", tmp_path, "--metric", "accuracy", "--metric", "nll")
        assert command(monkeypatch, *arguments) == 0
        printed = capsys.readouterr().out
        assert "parity on numbers" in printed and "less a" in printed and "lower is better: nll" in printed
        assert command(monkeypatch, *arguments, "--json") == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        assert {(row["arm"], row["measure"]): row["estimate"]["mean"] for row in rows if row["estimate"]} == {
            ("a", "accuracy"): 1.0,
            ("b", "accuracy"): 0.0,
            ("a", "nll"): 0.5,
            ("b", "nll"): 2.0,
            ("a", "corpus_nll"): 0.5,
            ("b", "corpus_nll"): 2.0,
        }

    def test_mistakes_end_with_2(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert command(monkeypatch, "rescore", tmp_path, "--metric", "chrf") == 2
        assert command(monkeypatch, "rescore", tmp_path) == 2
        assert command(monkeypatch, "leaks", tmp_path) == 2
