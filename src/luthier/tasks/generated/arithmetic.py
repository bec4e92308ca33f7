"""Sums in one step or two, in digits and as small word problems: can a model still reckon after tuning?

One row (`arithmetic(0)["test"][3]`):

    A bus carries 19 people. At the next stop 35 get on and 13 get off. How many people are on the bus now?

    answer: 41, expression: 19 + 35 - 13, steps: 2, kind: problem
"""

from __future__ import annotations

import random
from typing import Any

from luthier.core.types import Split
from luthier.tasks.generated.arithmetic_lines import BOXES, ITEMS, SHAPES, SHOWN, Shape
from luthier.tasks.generated.grammar import Grammar, write_rows
from luthier.tasks.generated.names import FIRST_NAMES

LARGEST = 200
"""No answer is larger; none is below 1."""
_ONE_STEP = tuple(shape for shape in SHAPES if "c" not in shape)
_TWO_STEPS = tuple(shape for shape in SHAPES if "c" in shape)


def arithmetic(
    seed: int = 0, *, train: int = 400, validation: int = 50, test: int = 200
) -> dict[Split, list[dict[str, Any]]]:
    """Write the rows of the three splits; the same seed gives the same rows on every machine.

    Returns:
        For each split its rows, no calculation twice. A row has `id`, `question`, `answer` (a whole number in digits),
        `expression` (`(12 + 7) * 3`), `steps` (1 or 2, half of the rows each) and `kind` (`digits` or `problem`,
        likewise).
    """
    counts: dict[Split, int] = {"train": train, "validation": validation, "test": test}
    return write_rows("arithmetic", seed, counts, _row, key=("expression",))


def _row(rng: random.Random, number: int) -> dict[str, Any]:
    steps, kind = number % 2 + 1, ("digits", "problem")[number // 2 % 2]
    names = _ONE_STEP if steps == 1 else _TWO_STEPS
    name = names[number // 4 % len(names)]
    numbers, answer = _numbers(SHAPES[name], rng)
    expression = "".join(str(numbers.get(letter, letter)) for letter in name)
    if kind == "problem":
        template = rng.choice(SHAPES[name].problems)
    else:
        template = rng.choice((rng.choice(SHOWN), rng.choice(SHAPES[name].spoken)))
    for letter, value in {**numbers, "expression": expression}.items():
        template = template.replace(f"{{{letter}}}", str(value))
    question = Grammar(_words(rng), rng).write(template)
    return {"question": question, "answer": str(answer), "expression": expression, "steps": steps, "kind": kind}


def _numbers(shape: Shape, rng: random.Random) -> tuple[dict[str, int], int]:
    """The numbers by letter and the answer: a whole one, from 1 to `LARGEST`."""
    while True:
        drawn = [rng.randint(*bounds) for bounds in shape.ranges]
        value = shape.value(*drawn, *[0] * (3 - len(drawn)))
        if value == int(value) and 1 <= value <= LARGEST:
            return dict(zip("abc", drawn, strict=False)), int(value)


def _words(rng: random.Random) -> dict[str, tuple[str, ...]]:
    box, boxes = rng.choice(BOXES)
    item = rng.choice(ITEMS)
    return {"name": FIRST_NAMES, "item": (item,), "box": (box,), "boxes": (boxes,)}
