"""The known leak of DialogSum: every listed dev dialogue above a similarity of 0.9 is found among all of train."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import dialogsum_leaks

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "dialogsum"


@pytest.mark.slow  # 12,460 dialogues are read, rendered and searched
@pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/data/dialogsum is not here")
def test_every_listed_dialogue_above_0_9_is_found(capsys: pytest.CaptureFixture[str]):
    assert dialogsum_leaks.main([str(FOLDER)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["train"], report["dev"], report["listed"], report["listed_above"]) == (12_460, 500, 75, 73)
    assert report["found_above"] == 73 and report["missed"] == {}
    assert report["exact"] == 50
    # Beside the list, each was read: the same dialogue with words, names or details changed.
    assert len(report["beside_the_list"]) == 36 and all(
        similarity >= 0.8 for *_, similarity in report["beside_the_list"]
    )
    assert ["dev_348", "train_6017"] in [pair[:2] for pair in report["beside_the_list"]]


def test_a_folder_without_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert dialogsum_leaks.main([str(tmp_path)]) == 2
    assert "train.parquet" in capsys.readouterr().err
