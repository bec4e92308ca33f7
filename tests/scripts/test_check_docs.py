"""The check of the documents: it finds what is stale and lets pass what is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_docs


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one module and one document."""
    (tmp_path / "src" / "luthier" / "core").mkdir(parents=True)
    (tmp_path / "src" / "luthier" / "core" / "store.py").touch()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "log.md").touch()
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    monkeypatch.setattr(check_docs, "PLACES", (tmp_path, tmp_path / "src" / "luthier"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("[log](docs/log.md) [a part](docs/log.md#part) [here](#part) [web](https://example.org/x)", []),
        ("[gone](docs/gone.md)", ["docs/gone.md"]),
        (
            '![picture](docs/report.png "a title") <img alt="" src="docs/small.png">',
            ["docs/report.png", "docs/small.png"],
        ),
        ("```\n[shown](docs/gone.md)\n```\n", []),
    ],
)
def test_links(text: str, targets: list[str], house: Path):
    problems = list(check_docs.broken_links(text, house))
    assert problems == [f"the link to {target} leads nowhere" for target in targets]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (
            "`core/store.py` `src/luthier/core/store.py` `core/` `docs/log.md` `numpy` `a / b` `luthier study x`",
            [],
        ),
        ("`core/gone.py` `studies/gone.yaml` `gone/`", ["core/gone.py", "studies/gone.yaml", "gone/"]),
        ("a file of yours, `methods/my_method.py`", []),
        ("```\ncore/   store.py gone.py\n```\n", ["gone.py"]),
        ("```python\nimport gone.py\n```\n", []),
    ],
)
def test_paths(text: str, missing: list[str], house: Path):
    assert list(check_docs.missing_paths(text)) == [f"there is no {name}" for name in missing]
