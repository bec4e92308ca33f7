"""The generated retention tasks: what a study can measure before and after tuning under `retain: [generated/NAME]`.

Plain settings, in the words of a study file: those of `task_settings.py`, with `metrics`, `primary` and `generation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.tasks.generated.sentiment import LABELS
from luthier.tasks.generated.yes_no import ANSWERS
from luthier.tasks.task_settings import GENERATED_PREFIX

_LIMIT = {"train": 8, "validation": 4, "test": 48}
"""Nothing is trained on these tasks; 48 questions are what two cores can ask before and after every run."""


def _task(name: str, prompt: str, reference: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "data": f"{GENERATED_PREFIX}{name}",
        "prompt": prompt,
        "reference": reference,
        "limit": dict(_LIMIT),
        **more,
    }


_TASKS = (
    _task(
        "sentiment",
        "Is this review positive or negative?\n\nReview: {{ review }}\n\nSentiment:",
        "{{ label }}",
        choices=list(LABELS),
        metrics=["accuracy", "nll"],
        primary="accuracy",
        generation={"max_new_tokens": 4},
    ),
    _task(
        "entities",
        "List the people and places in the text, in their order, separated by commas.\n\nText: {{ text }}\n\n"
        "People and places:",
        "{{ answer }}",
        metrics=["token_f1", "nll"],
        primary="token_f1",
        generation={"max_new_tokens": 48, "stop": ["\n"]},
    ),
    _task(
        "arithmetic",
        "Answer with a number.\n\nQuestion: {{ question }}\n\nAnswer:",
        "{{ answer }}",
        metrics=["exact_match", "nll"],
        primary="exact_match",
        generation={"max_new_tokens": 8, "stop": ["\n"]},
    ),
    _task(
        "yes_no",
        "{{ passage }}\n\nQuestion: {{ question }} Answer yes or no.\n\nAnswer:",
        "{{ answer }}",
        choices=list(ANSWERS),
        metrics=["accuracy", "nll"],
        primary="accuracy",
        generation={"max_new_tokens": 4},
    ),
)
RETENTION_TASKS: Mapping[str, Mapping[str, Any]] = {task["data"]: task for task in _TASKS}
"""`generated/NAME` -> the settings of that task. All have `nll` too, which still moves where a small model is right no
more often than by chance."""
