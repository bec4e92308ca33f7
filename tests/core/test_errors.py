"""The one error: what its user reads, and that it survives the way home from a worker process."""

from __future__ import annotations

import pickle

import pytest

from luthier.core.errors import LuthierError


def test_says_what_where_and_how_to_mend():
    error = LuthierError("rnak: no such key", where="study.yaml", mend="did you mean rank?")
    assert str(error) == "rnak: no such key\n  where: study.yaml\n  mend:  did you mean rank?"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "no rows"),
        ({"where": "data.csv"}, "no rows\n  where: data.csv"),
        ({"mend": "add some"}, "no rows\n  mend:  add some"),
    ],
)
def test_leaves_out_what_is_not_known(given: dict[str, str], text: str):
    assert str(LuthierError("no rows", **given)) == text


def test_is_the_users_mistake_unless_said_otherwise():
    assert LuthierError("unknown key").exit_code == 2
    assert LuthierError("the disk is full", exit_code=1).exit_code == 1


def test_comes_back_whole_from_another_process():
    sent = LuthierError("the loss is NaN", where="batch 7", mend="lower the learning rate", exit_code=1)
    received = pickle.loads(pickle.dumps(sent))
    assert (received.what, received.where, received.mend, received.exit_code) == (
        "the loss is NaN",
        "batch 7",
        "lower the learning rate",
        1,
    )
    assert received.args == ("the loss is NaN",)
