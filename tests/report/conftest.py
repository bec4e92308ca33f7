"""The made-up study, once a session: nothing here writes into it."""

from __future__ import annotations

import pytest

from luthier.core.store import Store
from tests.report.made_up import make_study


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three seeds; one run of `full` and every run of `broken` failed."""
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Trials, leaks, controls and retention tasks besides; only the runs of `broken` failed."""
    return make_study(tmp_path_factory.mktemp("grown"), failing=(), grown=True)


@pytest.fixture(scope="session")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same at three sizes of the training set."""
    return make_study(tmp_path_factory.mktemp("sized"), failing=(), grown=True, sizes=(50, 200, 800))
