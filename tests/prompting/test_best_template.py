"""Best of k templates: the prompt in a frame, and frames that cannot ask."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from luthier.core.types import Example, Message
from luthier.prompting.best_template import FRAMES, BestTemplate

EXAMPLE = Example("a" * 16, (Message("system", "Be kind."), Message("user", "Is {prompt} odd?")), ("yes",))


def asked(prompting: BestTemplate) -> tuple[Message, ...]:
    return prompting.program((), 0).conversation(EXAMPLE, lambda conversation: True)


def test_the_first_frame_is_the_prompt_as_it_is():
    assert asked(BestTemplate()) == EXAMPLE.messages


def test_a_frame_goes_around_the_last_turn_alone():
    framed = asked(BestTemplate(templates=("{prompt}", "Q: {prompt}\nA:"), choice=1))
    assert framed == (Message("system", "Be kind."), Message("user", "Q: Is {prompt} odd?\nA:"))


def test_all_shipped_frames_hold_the_prompt_and_differ():
    texts = [asked(BestTemplate(choice=place))[-1].content for place in range(len(FRAMES))]
    assert len(set(texts)) == len(FRAMES) and all("Is {prompt} odd?" in text for text in texts)


def test_candidates_are_the_first_templates():
    found = BestTemplate().candidates(2)
    assert [(label, prompting.choice) for label, prompting in found] == [(FRAMES[0], 0), (FRAMES[1], 1)]
    assert len(BestTemplate().candidates(9)) == len(FRAMES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"templates": ("{prompt}", "Answer:")}, "would not be asked"),
        ({"choice": 9}, "there are 5 templates"),
        ({"templates": ()}, "at least 1"),
    ],
)
def test_frames_that_cannot_ask_are_refused(settings: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        BestTemplate(**settings)
