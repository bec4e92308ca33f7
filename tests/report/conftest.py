"""The made-up study, once a session: nothing here writes into it."""

from __future__ import annotations

import pytest

from luthier.core.store import Store
from tests.report.made_up import make_study


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three seeds; one run of `full` and every run of `broken` failed."""
    return make_study(tmp_path_factory.mktemp("study"))
