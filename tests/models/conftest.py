"""Checkpoints shared by the tests of models; a test that changes a file copies the folder first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import FAMILIES, tiny_model


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("llama", tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session", params=FAMILIES)
def family_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(request.param, tmp_path_factory.mktemp("tiny") / request.param)
