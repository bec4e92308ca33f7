"""The sentences of arithmetic questions: for every shape of calculation, in digits and as small word problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Shape(NamedTuple):
    """One way of calculating.

    Attributes:
        ranges: the least and the greatest value of a, b (and c).
        value: a, b, c -> the answer; c is 0 where there is none.
        spoken: questions that say it in words; those that show the expression are in `SHOWN`.
        problems: small word problems.
    """

    ranges: tuple[tuple[int, int], ...]
    value: Callable[[int, int, int], float]
    spoken: tuple[str, ...]
    problems: tuple[str, ...]


SHOWN = (
    "What is {expression}?",
    "Work out {expression}.",
    "How much is {expression}?",
    "Calculate {expression}.",
    "{expression} = ?",
    "Find the value of {expression}.",
)

_BIG, _MIDDLE, _SMALL, _FEW = (20, 99), (3, 60), (3, 19), (2, 12)

SHAPES: Mapping[str, Shape] = {
    "a + b": Shape(
        (_MIDDLE, _MIDDLE), lambda a, b, c: a + b,
        ("Add {a} and {b}.", "What is the sum of {a} and {b}?", "What number is {b} more than {a}?"),
        ("{name1} has {a} {item1} and finds {b} more. How many {item1} does {name1} have now?",
         "There are {a} {item} in one {box1} and {b} in another {box1}. How many are there in all?",
         "A book costs {a} dollars and a lamp costs {b} dollars. How many dollars do they cost together?",
         "{name} walked {a} miles and {name} walked {b} miles. How many miles is that in total?"),
    ),
    "a - b": Shape(
        (_BIG, _MIDDLE), lambda a, b, c: a - b,
        ("Take {b} away from {a}.", "What is the difference between {a} and {b}?", "What number is {b} less than {a}?"),
        ("{name1} had {a} {item1} and gave {b} of them to {name}. How many {item1} are left?",
         "Of {a} guests, {b} have gone home. How many are still there?",
         "A rope is {a} feet long. {name} cuts off {b} feet. How many feet remain?",
         "{name1} is {a} years old and {name2} is {b}. How many years older is {name1}?"),
    ),
    "a * b": Shape(
        (_FEW, _FEW), lambda a, b, c: a * b,
        ("Multiply {a} by {b}.", "What is {a} times {b}?", "What is the product of {a} and {b}?"),
        ("{name} fills {a} {boxes} with {b} {item} each. How many {item} is that?",
         "A ticket costs {b} dollars. What do {a} tickets cost, in dollars?",
         "There are {a} rows of {b} chairs. How many chairs are there?",
         "{name1} reads {a} pages a day. How many pages does {name1} read in {b} days?"),
    ),
    "a / b": Shape(
        ((6, 120), _FEW), lambda a, b, c: a / b,
        ("Divide {a} by {b}.", "How many times does {b} go into {a}?", "What is {a} divided by {b}?"),
        ("{name} shares {a} {item1} equally among {b} children. How many {item1} does each child get?",
         "{a} chairs stand in {b} equal rows. How many chairs are in each row?",
         "A car uses {b} litres a day. For how many days do {a} litres last?",
         "{name1} puts {a} {item} into {boxes} of {b}. How many {boxes} does {name1} need?"),
    ),
    "a + b - c": Shape(
        (_MIDDLE, _MIDDLE, _SMALL), lambda a, b, c: a + b - c,
        ("Add {b} to {a}, then take away {c}.", "Start with {a}, go up by {b} and down by {c}. What is the result?"),
        ("{name1} had {a} {item1}, bought {b} more and lost {c}. How many {item1} does {name1} have now?",
         "A bus carries {a} people. At the next stop {b} get on and {c} get off. How many people are on the bus now?",
         "In the morning the pond held {a} ducks. Then {b} came and {c} left. How many ducks are there now?"),
    ),
    "a - b - c": Shape(
        (_BIG, _SMALL, _SMALL), lambda a, b, c: a - b - c,
        ("Take {b} from {a}, then take away {c} more.", "Start with {a}, subtract {b}, and subtract {c} again."),
        ("{name1} has {a} dollars, spends {b} on {item} and {c} on a meal. How many dollars are left?",
         "Of {a} {item1} in a {box}, {name} takes {b} and {name} takes {c}. How many {item1} remain?",
         "A tank holds {a} litres. On Monday {b} litres are used, on Tuesday {c}. How many litres are still in it?"),
    ),
    "a + b + c": Shape(
        (_SMALL, _SMALL, _SMALL), lambda a, b, c: a + b + c,
        ("Add up {a}, {b} and {c}.", "What is the sum of {a}, {b} and {c}?"),
        ("{name} caught {a} fish, {name} caught {b} and {name} caught {c}. How many fish did they catch together?",
         "There are {a} red, {b} green and {c} blue {item1} in a {box}. How many {item1} are there?",
         "{name1} drove {a} miles, then {b} miles, then {c} miles. How many miles did {name1} drive?"),
    ),
    "a * b + c": Shape(
        (_FEW, _FEW, _SMALL), lambda a, b, c: a * b + c,
        ("Multiply {a} by {b}, then add {c}.", "Take {a} times {b} and add {c}."),
        ("{name1} has {a} {boxes} of {b} {item1} and {c} loose {item1}. How many {item1} is that in all?",
         "A plumber asks {a} dollars an hour and {c} dollars for the journey. What do {b} hours of work cost, in "
         "dollars?",
         "{name1} plants {a} rows of {b} trees and {c} trees by the gate. How many trees does {name1} plant?"),
    ),
    "a * b - c": Shape(
        (_FEW, _FEW, _SMALL), lambda a, b, c: a * b - c,
        ("Multiply {a} by {b}, then take away {c}.", "Take {a} times {b} and subtract {c}."),
        ("{name} bought {a} {boxes} of {b} {item1}, and {c} were broken. How many {item1} were whole?",
         "A hall has {a} rows of {b} seats, and {c} seats are taken. How many seats are free?",
         "{name1} earns {a} dollars an hour. After {b} hours {name1} pays {c} dollars for lunch. How many dollars are "
         "left?"),
    ),
    "a / b + c": Shape(
        ((6, 96), _FEW, _SMALL), lambda a, b, c: a / b + c,
        ("Divide {a} by {b}, then add {c}.",),
        ("{a} {item1} are shared equally by {b} friends. {name}, one of them, had {c} before. How many {item1} does "
         "this friend have now?",
         "A bill of {a} dollars is split evenly among {b} people. {name1} pays one share and {c} dollars for a taxi. "
         "How many dollars does {name1} pay?"),
    ),
    "(a + b) * c": Shape(
        (_FEW, _FEW, _FEW), lambda a, b, c: (a + b) * c,
        ("Add {a} and {b}, then multiply by {c}.",),
        ("Each {box} holds {a} red and {b} white {item1}. How many {item1} are there in {c} of them?",
         "Every day {name1} walks {a} miles before lunch and {b} miles after it. How many miles does {name1} walk in "
         "{c} days?"),
    ),
    "(a - b) * c": Shape(
        ((8, 30), _FEW, _FEW), lambda a, b, c: (a - b) * c,
        ("Take {b} from {a}, then multiply by {c}.",),
        ("A shirt that costs {a} dollars is {b} dollars cheaper today. What do {c} such shirts cost today, in dollars?",
         "Each {box} had {a} {item1}, and {b} of each were sold. How many {item1} are left in {c} of them?"),
    ),
    "(a + b) / c": Shape(
        (_MIDDLE, _MIDDLE, _FEW), lambda a, b, c: (a + b) / c,
        ("Add {a} and {b}, then divide by {c}.",),
        ("{name} has {a} {item1} and {name} has {b}. They put them all into {c} equal heaps. How many {item1} are in "
         "a heap?",
         "{a} boys and {b} girls form {c} equal teams. How many children are in each team?"),
    ),
    "(a - b) / c": Shape(
        (_BIG, _SMALL, _FEW), lambda a, b, c: (a - b) / c,
        ("Take {b} from {a}, then divide by {c}.",),
        ("{name1} has {a} {item1}, keeps {b} and shares the rest equally among {c} friends. How many {item1} does each "
         "friend get?",
         "A path is {a} miles long. After {b} miles, {name} walks the rest in {c} equal days. How many miles a day "
         "is that?"),
    ),
}  # fmt: skip

ITEMS = (
    "apples", "buttons", "marbles", "stamps", "pencils", "shells", "plums", "postcards", "candles", "nails", "walnuts",
    "coins", "beads", "oranges", "cards", "eggs", "onions", "keys", "badges", "tulip bulbs", "corks", "lemons",
    "screws", "paper boats", "chestnuts", "pears", "crayons", "pebbles",
)  # fmt: skip
BOXES = (
    ("box", "boxes"), ("basket", "baskets"), ("jar", "jars"), ("bag", "bags"), ("crate", "crates"),
    ("drawer", "drawers"), ("tin", "tins"), ("sack", "sacks"), ("tray", "trays"), ("bucket", "buckets"),
)  # fmt: skip
