"""The page: whole, safe, and in need of nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from luthier.core.store import Store, write_lines
from luthier.core.types import Score
from luthier.report.html import write_html
from luthier.report.summary import summarise
from tests.report.made_up import HOSTILE, make_study, run_name

VOID = {"meta", "link", "br", "img", "hr", "input", "wbr"}


class Reader(HTMLParser):
    """Checks that tags are closed in order, and gathers tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def page_of(store: Store, path: Path) -> str:
    write_html(summarise(store), store, path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(store, tmp_path_factory.mktemp("page") / "report.html")


def test_it_parses_and_has_every_arm_and_number(page: str) -> None:
    text = read(page).text
    for arm in ("zero_shot", "lora", "full", "broken", "lead-3"):
        assert arm in text
    for said in ("support-desk", "house/decoder", "600 train", "0.343", "+0.155", "147K", "41 s", "720 MB", "2 of 3"):
        assert said in text
    assert "Too few seeds for a ranking; so far full scores best." in text
    assert "full has the highest mean rougeL" in text
    assert "luthier study studies/support-desk.yaml --out runs/support-desk" in text
    assert "train.jsonl:17" in text and "the reference is empty" in text
    assert "the learning rate is at the edge of its range" in text


def test_an_arm_that_warned_is_marked_in_the_table(page: str) -> None:
    rows = {row.split("</th>")[0]: row for row in page.split('<th scope="row">')[1:]}
    lora = next(row for row in rows if "lora" in row)
    assert '<a class="tag warned" href="#warnings-1">warning</a>' in lora
    assert sum("tag warned" in row for row in rows) == 1 and 'id="warnings-1"' in page


def test_sides_of_a_measure_stand_in_the_folded_table_alone(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    folder = store.run(run_name("lora", 0))
    folder.write_scores(Score(one.example_id, {**one.values, "rougeL_precision": 0.5}) for one in folder.scores())
    text = page_of(store, tmp_path / "r.html")
    assert text.count("rougeL_precision") == 1 and "All 5 measures" in text


def test_a_picture_with_nothing_to_show_is_left_out_and_said(tmp_path: Path) -> None:
    store = make_study(tmp_path, seeds=1)
    for arm in ("lora", "full"):
        folder = store.run(run_name(arm, 0))
        result = folder.result()
        assert result is not None
        cost = result.cost.model_copy(update={"trainable_parameters": 0, "train_seconds": 0.0})
        folder.finish(result.model_copy(update={"cost": cost}))
        lines = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.9}, {"step": 2, "validation_loss": 2.1}]
        write_lines(store.step("train", run_name(arm, 0)).log, lines)
    text = read(page_of(store, tmp_path / "r.html")).text
    assert "Not drawn: rougeL against trainable parameters: no arm here trains any; " in text
    assert "Not drawn: Validation loss: it was taken at fewer than two steps." in text
    assert "Training loss over the steps" in text and "rougeL against peak memory" in text
    assert "is logarithmic" not in text


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a study with all that there is, and no failed seed: it claims a ranking."""
    folder = tmp_path_factory.mktemp("grown")
    return page_of(make_study(folder, grown=True, failing=()), folder / "report.html")


def test_the_verdict_comes_first_and_answers_five_questions(grown: str) -> None:
    opening = grown.split('<section class="verdict"')[1].split("</section>")[0]
    assert "Take full: it scores best, and no cheaper arm is shown to come within 0.01 of it." in read(opening).text
    asked = ["Which arm?", "How sure?", "What does it cost?", "What is lost?", "What next?"]
    assert re.findall(r"<dt>(.*?)</dt>", opening) == asked
    assert "66 s of training" in opening and "+0.202 bits per byte" in opening
    assert grown.index('<section class="verdict"') < grown.index("<table>")


def test_ties_outcomes_controls_and_the_arm_to_take_are_marked(grown: str) -> None:
    table = grown.split("Table of scores and costs")[1].split("</table>")[0]
    table = re.sub(r"<svg.*?</svg>", "", table, flags=re.DOTALL)
    rows = {read(row.split("</th>")[0]).text.strip(): row for row in table.split('<th scope="row">')[1:]}
    assert any(name.startswith("full") and "take this one" in name and "best" in name for name in rows)
    assert "zero_shotreference" in rows and "lead-3baseline" in rows and "full from random weightscontrol" in rows
    lora = next(row for name, row in rows.items() if name.startswith("lora"))
    assert '<td class="outcome"><span class="better">better</span>' in lora
    assert "would have found (in 80% of studies like it): lora 0.0" in grown


def test_every_section_of_a_grown_study_is_there(grown: str) -> None:
    heads = re.findall(r"<h2>(.*?)</h2>", grown)
    assert heads == [
        "Scores and costs",
        "How sure",
        "Above the controls",
        "What it forgot",
        "What it costs",
        "Training",
        "Leakage",
        "Equal budgets",
        "The same examples, side by side",
        "Warnings",
        "What failed, and why",
        "Rows left out",
        "To run it again",
    ]
    text = read(grown).text
    assert "full from random weights" in text and "reaches 35% of it" in text
    assert "2.065 → 2.267" in text and "text sampled from the untouched base" in text
    assert "1 of validation and 2 of test are, or nearly are, training rows" in text and "train.jsonl:9" in text
    assert '<span class="trial chosen">0.003' in grown and "at the edge" in text
    assert "Learning against forgetting: zero_shot gained" in grown


def test_a_grid_has_one_table_for_all_and_folds_the_rest(tmp_path: Path) -> None:
    page = page_of(make_study(tmp_path, grown=True, failing=(), sizes=(50, 200)), tmp_path / "r.html")
    text = read(page).text
    assert "With 200 training examples, the most here:" in text
    overview = page.split('id="overview"')[1].split("</table>")[0]
    assert overview.count("<tr>") == 3 and "0.341" in overview and "0.437" in overview and overview.count("take<") == 2
    assert page.count('<details class="group"') == 2 and 'href="#group-2"' in overview
    assert "rougeL over the size of the training set: zero_shot 0.188 at every size; lora 0.243 at 50, 0.339 at" in page
    assert "How much data is enough" in text


def test_captions_speak_of_the_seeds_that_there_are(grown: str, tmp_path: Path) -> None:
    assert "95% intervals over seeds and test examples together" in grown and "each ring one seed" in grown
    one = page_of(make_study(tmp_path, seeds=1, failing=(), grown=True, sizes=(50, 200)), tmp_path / "r.html")
    assert "over seeds and" not in one and "each ring" not in one
    assert one.count("over test examples alone") >= 4, "the overview, the curves and both groups"
    assert "Looked for in the largest training set" in one and "Looked for in the largest" not in grown


def test_the_pages_words_claim_no_more_than_is_shown(grown: str) -> None:
    text = " ".join(read(grown).text.split())
    assert "with 97.5% confidence, any loss is smaller than the margin" in text and "surely" not in text
    assert "No control comes near the best arm on rougeL, rouge1, nll; the other measures have no control." in text


def test_an_older_study_has_no_empty_sections(page: str) -> None:
    for left_out in ("What it forgot", "Leakage", "Equal budgets", "How much data", 'id="overview"'):
        assert left_out not in page


def test_hostile_text_is_shown_and_not_run(page: str) -> None:
    reader = read(page)
    assert HOSTILE in reader.text
    assert "script" not in reader.tags and "img" not in reader.tags
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]


def test_it_loads_nothing(page: str) -> None:
    loads = [
        value for _, name, value in read(page).attributes if name in ("src", "href", "xlink:href", "srcset", "data")
    ]
    assert loads and all(value.startswith(("#", "data:")) for value in loads)
    assert "http://" not in page and "https://" not in page and "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))


def test_pictures_take_the_pages_colours_and_say_what_they_show(page: str) -> None:
    labels = [value for tag, name, value in read(page).attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == 3 + 3 + 2  # two forests and the arms against the best, three costs, two curves
    assert labels[0].startswith("rougeL, mean and 95% interval: full 0.442 [") and "(seeds 0.437, 0.447)" in labels[0]
    assert labels[1].startswith("rougeL: difference to the best, full: lora -0.09")
    pictures = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "var(--arm-0)" in pictures and "currentColor" in pictures
    assert not re.findall(r"#[0-9a-f]{6}\b(?!-)", re.sub(r'(href="|url\()#[^")]*', "", pictures))
    identifiers = [value for _, name, value in read(page).attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers)) or _repeated_in_marks_alone(page)


def _repeated_in_marks_alone(page: str) -> bool:
    """The same little marker is drawn many times: its copies are equal, so a reference to either is the same."""
    marks = re.findall(r'<span class="mark">(.*?)</span>', page, flags=re.DOTALL)
    for mark in set(marks):
        page = page.replace(mark, "", page.count(mark) - 1)
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    return len(identifiers) == len(set(identifiers))


def test_seven_examples_stand_side_by_side(page: str) -> None:
    assert page.count("<article>") == 7
    assert page.count("Among the best") == page.count("Among the worst") == page.count("Most different: ") == 2
    assert page.count("Drawn at random") == 1 and "Most different: full against zero_shot" in page
    article = page.split("<article>")[1].split("</article>")[0]
    assert all(arm in article for arm in ("zero_shot", "lora", "full", "lead-3")) and "broken" not in article


def test_the_same_store_gives_the_same_page(store: Store, page: str, tmp_path: Path) -> None:
    assert page_of(store, tmp_path / "again.html") == page


def test_a_study_without_a_finished_run_has_a_page_all_the_same(tmp_path: Path) -> None:
    names = tuple(f"{arm}-s0" for arm in ("zero_shot", "lora", "full", "lead-3"))
    text = read(page_of(make_study(tmp_path, seeds=1, failing=names), tmp_path / "r.html")).text
    assert "every run failed or is unfinished" in text and "the loss is not finite at step 12" in text


def test_strange_names_long_curves_and_a_lone_point(tmp_path: Path) -> None:
    store = make_study(tmp_path, seeds=1, failing=())
    for folder in store.runs():
        result = folder.result()
        assert result is not None
        folder.finish(result.model_copy(update={"arm": f"{result.arm} $x_1$ <b>&"}))
    study = store.study() | {"reference": "zero_shot $x_1$ <b>&"}
    store.write_study(study)
    steps = ({"step": step, "loss": 2 + 1 / step if step != 7 else float("nan")} for step in range(1, 5001))
    write_lines(store.step("train", run_name("lora", 0)).log, steps)
    write_lines(store.step("train", run_name("full", 0)).log, [{"step": 1, "loss": 2.5}])
    page = page_of(store, tmp_path / "r.html")
    assert "lora $x_1$ <b>&" in read(page).text
    assert len(page) < 400_000, "a long curve is thinned"


def test_two_tasks_stand_apart(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    study = store.study()
    store.write_study(study | {"tasks": [*study["tasks"], {**study["tasks"][0], "name": "other"}]})
    folder = store.run(run_name("lora", 0))
    result = folder.result()
    assert result is not None
    folder.finish(result.model_copy(update={"task": "other"}))
    text = read(page_of(store, tmp_path / "r.html")).text
    assert "It cannot be compared with the reference, zero_shot, which has no rougeL." in text
    assert text.count("Scores and costs") == 2
