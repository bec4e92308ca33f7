"""Settings: read strictly, named by one word, with a digest of what they mean."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from luthier.core.errors import LuthierError
from luthier.core.settings import Named, OneOf, Settings, digest, override, read, read_yaml, suggest


class Way(Named):
    """Base of the alternatives."""


class Plain(Way):
    name: ClassVar[str] = "plain"


class Ranked(Way):
    name: ClassVar[str] = "ranked"
    rank: int = Field(default=8, ge=1)
    """How wide."""
    layers: tuple[int, ...] = ()


AnyWay = Annotated[Way, OneOf(Plain, Ranked)]


class Grid(Settings):
    ways: tuple[AnyWay, ...] = (Plain(),)
    seeds: tuple[int, ...] = (0, 1, 2)
    note: str | None = None


def grid(**values: Any) -> Grid:
    return read(Grid, values, where="grid.yaml")


def mistake(**values: Any) -> LuthierError:
    with pytest.raises(LuthierError) as caught:
        grid(**values)
    assert caught.value.where == "grid.yaml"
    assert caught.value.exit_code == 2
    return caught.value


class TestReading:
    def test_defaults(self):
        assert grid() == Grid(ways=(Plain(),), seeds=(0, 1, 2), note=None)

    def test_a_word_and_a_map_with_nothing_below_are_the_same(self):
        assert grid(ways=["ranked"]) == grid(ways=[{"ranked": {}}]) == grid(ways=[{"ranked": None}])

    def test_a_map_carries_settings(self):
        (way,) = grid(ways=[{"ranked": {"rank": 4, "layers": [0, 1]}}]).ways
        assert way == Ranked(rank=4, layers=(0, 1))

    def test_settings_that_are_made_already_are_taken(self):
        assert grid(ways=[Ranked(rank=2)]).ways == (Ranked(rank=2),)

    def test_settings_of_another_kind_are_refused(self):
        class Other(Named):
            name: ClassVar[str] = "other"

        assert "ways.0" in mistake(ways=[Other()]).what

    def test_frozen(self):
        with pytest.raises(ValidationError, match="frozen"):
            Ranked().rank = 3  # type: ignore[misc]

    def test_what_is_written_reads_back(self):
        written = grid(ways=["plain", {"ranked": {"rank": 4}}], note="x").model_dump(mode="json")
        assert written["ways"] == [{"plain": {}}, {"ranked": {"rank": 4, "layers": []}}]
        assert grid(**json.loads(json.dumps(written))) == grid(ways=["plain", {"ranked": {"rank": 4}}], note="x")


class TestMistakes:
    def test_an_unknown_key_is_refused_with_the_nearest(self):
        assert mistake(seed=[0]).what == "seed: no such key; did you mean seeds?"

    def test_an_unknown_key_inside_an_alternative_is_refused_with_the_nearest(self):
        what = mistake(ways=[{"ranked": {"rnak": 4}}]).what
        assert "ways.0" in what
        assert "rnak: no such key; did you mean rank?" in what

    def test_an_unknown_name_is_refused_with_the_nearest_and_all(self):
        what = mistake(ways=["rankd"]).what
        assert "rankd: no such name; did you mean ranked?; there are plain, ranked" in what

    def test_nothing_near_means_no_suggestion(self):
        assert mistake(zzz=1).what == "zzz: no such key"

    @pytest.mark.parametrize("way", [{}, {"plain": {}, "ranked": {}}, 3, ["plain"], None])
    def test_what_is_neither_a_word_nor_one_key_is_refused(self, way: Any):
        assert "give one of plain, ranked" in mistake(ways=[way]).what

    @pytest.mark.parametrize("settings", [4, 0, False, "", "rank", ["rank"]])
    def test_settings_of_an_alternative_that_are_no_map_are_refused(self, settings: Any):
        assert mistake(ways=[{"ranked": settings}]).what == "ways.0: ranked: give its settings as a map of keys"

    def test_a_value_out_of_range_is_named_by_its_path(self):
        what = mistake(ways=["plain", {"ranked": {"rank": 0}}]).what
        assert what.startswith("ways.1.ranked.rank: ")
        assert "greater than or equal to 1" in what

    def test_every_mistake_is_named_at_once(self):
        what = mistake(ways=["nothing"], seeds=["many"]).what
        assert "ways.0" in what
        assert "seeds.0" in what

    @pytest.mark.parametrize("data", [None, [], "text", 3])
    def test_data_that_is_no_map_is_refused(self, data: Any):
        with pytest.raises(LuthierError):
            read(Grid, data, where="grid.yaml")

    def test_two_alternatives_of_one_name_are_a_mistake_of_ours(self):
        with pytest.raises(TypeError, match="share a name"):
            OneOf(Plain, Plain)

    def test_suggest(self):
        assert suggest("rnak", ["rank", "alpha"]) == "; did you mean rank?"
        assert suggest("q", ["rank", "alpha"]) == ""


class TestDigest:
    def test_equal_settings_have_equal_digests_however_they_were_written(self):
        assert grid(ways=["ranked"]).digest() == grid(ways=[{"ranked": {"rank": 8}}], seeds=[0, 1, 2]).digest()

    @pytest.mark.parametrize("values", [{"seeds": [0]}, {"note": ""}, {"ways": ["ranked"]}, {"ways": []}])
    def test_other_settings_have_other_digests(self, values: dict[str, Any]):
        assert grid(**values).digest() != grid().digest()

    def test_it_goes_down_into_alternatives(self):
        assert grid(ways=[{"ranked": {"rank": 4}}]).digest() != grid(ways=["ranked"]).digest()

    def test_a_raised_version_changes_it(self, monkeypatch: pytest.MonkeyPatch):
        settings = grid(ways=["ranked"])
        before = settings.digest()
        monkeypatch.setattr(Ranked, "version", 2)
        assert settings.digest() != before

    def test_two_classes_with_the_same_fields_differ(self):
        class Same(Way):
            name: ClassVar[str] = "same"
            rank: int = 8
            layers: tuple[int, ...] = ()

        assert Same().digest() != Ranked().digest()

    def test_the_order_of_keys_does_not_matter(self):
        assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
        assert digest([1, 2]) != digest([2, 1])

    def test_it_is_the_same_in_another_process_and_stays_so(self):
        code = "from luthier.core.settings import digest; print(digest({'rank': 8, 'text': 'Grüße'}))"
        printed = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()
        assert printed == digest({"rank": 8, "text": "Grüße"})
        # Taken with sha256sum: stored runs are found by it.
        assert printed == "7336f7ba09edf175"


class TestLabel:
    def test_the_word_and_what_was_given_beside_it(self):
        assert Ranked().label() == "ranked"
        assert Ranked(rank=32).label() == "ranked(rank=32)"
        assert grid(ways=[{"ranked": {"rank": 4, "layers": [1]}}]).ways[0].label() == "ranked(layers=(1,), rank=4)"


class TestSchema:
    def test_it_shows_words_keys_and_their_docstrings(self):
        text = json.dumps(Grid.model_json_schema())
        assert '"enum": ["plain", "ranked"]' in text
        assert "How wide." in text


class TestOverride:
    def test_paths_go_through_maps_and_lists(self):
        data = {"tasks": [{"data": {"train": "a"}}]}
        changed = override(data, ["tasks.0.data.train=b", "tasks.0.limit=3", "seeds=[0, 1]"])
        assert changed == {"tasks": [{"data": {"train": "b"}, "limit": 3}], "seeds": [0, 1]}
        assert data == {"tasks": [{"data": {"train": "a"}}]}

    def test_a_scalar_gives_way_to_a_map(self):
        assert override({"data": "hub/id"}, ["data.train=x.csv"]) == {"data": {"train": "x.csv"}}

        assert override({"arms": ["lora"]}, ["arms.0.lora.rank=4"]) == {"arms": [{"lora": {"rank": 4}}]}

    def test_a_position_in_a_list_is_replaced(self):
        assert override({"seeds": [0, 1]}, ["seeds.1=7"]) == {"seeds": [0, 7]}

    @pytest.mark.parametrize(
        ("text", "value"), [("a=1", 1), ("a=yes", True), ("a=", None), ("a=x=y", "x=y"), ("a={b: 1}", {"b": 1})]
    )
    def test_values_are_read_as_yaml(self, text: str, value: Any):
        assert override({}, [text]) == {"a": value}

    @pytest.mark.parametrize(
        ("assignment", "message"),
        [
            ("seeds", "not an assignment"),
            ("seeds.2=1", "not a position in a list of 2"),
            ("seeds.x=1", "not a position in a list of 2"),
            ("seeds.5.a=1", "not a position in a list of 2"),
            ("=1", "not an assignment"),
            ("a..b=1", "not an assignment"),
            ("a=[1", "not a YAML value"),
            ("a=2026-13-01", "not a YAML value"),
        ],
    )
    def test_mistakes(self, assignment: str, message: str):
        with pytest.raises(LuthierError, match=message) as caught:
            override({"seeds": [0, 1]}, [assignment])
        assert "--set" in str(caught.value.where)

    @pytest.mark.parametrize("data", [None, [], "text"])
    def test_data_without_keys(self, data: Any):
        with pytest.raises(LuthierError, match="no keys to set"):
            override(data, ["a.b=1"])

    def test_dates_in_the_data_stay(self):
        data = {"name": datetime.date(2026, 1, 2)}
        assert override(data, ["a=1"]) == {**data, "a": 1}


class TestReadYaml:
    def test_plain_data(self, tmp_path: Path):
        (tmp_path / "a.yaml").write_text("seeds: [0]\n")
        assert read_yaml(str(tmp_path / "a.yaml")) == {"seeds": [0]}

    def test_a_missing_file_and_a_folder(self, tmp_path: Path):
        with pytest.raises(LuthierError, match="no such file"):
            read_yaml(str(tmp_path / "none.yaml"))
        with pytest.raises(LuthierError, match="a folder, not a file"):
            read_yaml(str(tmp_path))

    def test_bad_yaml_is_named_by_its_line(self, tmp_path: Path):
        path = tmp_path / "bad.yaml"
        path.write_text("a: 1\nb: [1, 2\nc: 3\n")
        with pytest.raises(LuthierError, match="not valid YAML") as caught:
            read_yaml(str(path))
        assert caught.value.where == f"{path}:3"

    def test_what_is_not_text(self, tmp_path: Path):
        path = tmp_path / "model.yaml"
        path.write_bytes(b"\xff\xfe\x00\x81")
        with pytest.raises(LuthierError, match="not a text file"):
            read_yaml(str(path))

    def test_a_date_that_is_none(self, tmp_path: Path):
        path = tmp_path / "a.yaml"
        path.write_text("name: 2026-13-01\n")
        with pytest.raises(LuthierError, match="not valid YAML: month"):
            read_yaml(str(path))

    def test_no_code_is_run(self, tmp_path: Path):
        path = tmp_path / "evil.yaml"
        path.write_text("!!python/object/apply:os.system [exit 1]\n")
        with pytest.raises(LuthierError, match="not valid YAML"):
            read_yaml(str(path))
