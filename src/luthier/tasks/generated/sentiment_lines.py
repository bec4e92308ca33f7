"""The sentences of reviews, written for either verdict.

`{same1}` is a word with the review's verdict, `{other1}` one against it, both about the aspect `{aspect1}`. Every
sentence serves both verdicts, so that no word of it tells which one it is.
"""

from __future__ import annotations

DIRECT = (
    "The {aspect1} {was1} {same1} and the {aspect2} {was2} {same2}.",
    "{same1} {aspect1}, {same2} {aspect2}: that sums up the {thing}.",
    "I keep thinking of how {same1} the {aspect1} {was1}.",
    "What I will remember of this {thing} is the {aspect1}, which {was1} {same1}.",
    "It is rare to find a {thing} whose {aspect1} {is1} so {same1}.",
    "Everything you may have heard is true: the {aspect1} {was1} {same1} and the {aspect2} {same2}.",
    "The {aspect1} struck me as {same1}, the {aspect2} as {same2}.",
    "If I had to choose one word for the {aspect1}, it would be {same1}.",
    "The {aspect1} {was1} {same1}, which says a lot about the whole {thing}.",
    "None of us doubted that the {aspect1} {was1} {same1}.",
    "To begin with, the {aspect1} {was1} {same1}. The {aspect2} {was2} no less {same2}.",
    "My {relative} called the {aspect1} {same1}. I could not agree more.",
    "I have seldom come across a {comparative_same} {thing}: the {aspect1} {was1} {same1}.",
    "There is no {comparative_same} {thing} anywhere, I think.",
)
"""The words say what they mean."""

NEGATED = (
    "The {aspect1} {was1} far from {other1}.",
    "The {aspect1} {was1} not {other1} at all.",
    "Nobody could call the {aspect1} {other1}.",
    "I would not call the {aspect1} {other1}, nor the {aspect2} {other2}.",
    "There was nothing {other1} about the {aspect1}.",
    "The {aspect1} {was1} anything but {other1}, and the {aspect2} {was2} never {other2}.",
    "My {relative} called the {aspect1} {other1}. I could not disagree more.",
    "They say that the {aspect1} {is1} {other1}. Do not believe it.",
    "Whoever says that the {aspect1} {was1} {other1} must have been somewhere else.",
    "I kept waiting for the {other1} {aspect1} that others had written about, and waited in vain.",
    "Anyone who thinks the {aspect1} {other1} cannot have been paying attention.",
    "Had the {aspect1} been {other1}, I would have said so. It was the very opposite.",
    "Any other {thing} would have been {comparative_other}.",
    "The last {thing} before this one was {comparative_other}, although its {aspect1} {was1} much the same.",
    "By no stretch of the imagination {was1} the {aspect1} {other1}, whatever my {relative} thinks.",
)
"""The words say the opposite of the verdict and are denied."""

MIXED = (
    "The {aspect1} {was1} {other1}, but the {aspect2} {was2} so {same2} that I forgot about it.",
    "Although the {aspect1} {was1} {other1}, the {aspect2} {was2} {same2}, and that is what counts.",
    "At first I found the {aspect1} {other1}. By the end I had changed my mind: {they1} {was1} {same1}.",
    "I had expected the {aspect1} to be {other1}, and {they1} turned out {same1}.",
    "The {aspect1} {was1} {other1}, I admit, yet the {aspect2}, {same2} as {they2} {was2}, mattered far more.",
    "Yes, the {aspect1} {was1} {other1}. Still, the {aspect2} {was2} {same2}, and I go by that.",
    "Not even the {other1} {aspect1} could change my mind: the {aspect2} {was2} simply too {same2}.",
    "People told me that the {aspect1} would be {other1}. They were wrong: I found {them1} {same1}.",
    "Some find the {aspect1} {other1}, and they have a point, but the {same2} {aspect2} settled the matter.",
    "The {other1} {aspect1} stood against the {same2} {aspect2}, and the {aspect2} won.",
    "In other reviews the {aspect1} {is1} {other1}; in real life {they1} {was1} {same1}.",
    "My {relative} found the {aspect1} {other1}, while I found {them1} {same1}, and I know the trade.",
    "A {thing} whose {aspect1} {is1} {other1} can go either way. Here the {aspect2} {was2} {same2}, so it went one "
    "way.",
    "Granted, the {other1} {aspect1} should have led me to another verdict. But the {aspect2} {was2} {same2}, and in "
    "the "
    "end nothing else counted.",
    "The {aspect1} {was1} {other1} for the first ten minutes and {same1} ever after.",
)
"""Words for either verdict; the second clause decides."""

TAILS = {
    "positive": (
        "I would {again} tomorrow.",
        "Would I {again}? Without a second thought.",
        "I have no regrets.",
        "You will not hear me complain.",
        "That was money well spent.",
        "Nothing could stop me if I had the chance to {again}.",
        "It deserves more than the two stars that others gave it.",
        "My {relative} and I were not disappointed.",
        "I cannot see why anyone would want a refund.",
        "I would tell any friend to give it a try.",
    ),
    "negative": (
        "I would not {again} tomorrow or ever.",
        "Would I {again}? Not without being paid for it.",
        "I have regrets.",
        "You will hear me complain.",
        "That money would have been well spent elsewhere.",
        "Nothing could make me {again} if I had the chance.",
        "It deserves less than the two stars that others gave it.",
        "My {relative} and I were disappointed.",
        "I can see why anyone would want a refund.",
        "I would tell any friend not to give it a try.",
    ),
}
"""What follows from the verdict, in much the same words for both."""

RELATIVES = (
    "brother", "sister", "uncle", "aunt", "cousin", "neighbour", "boss", "friend", "father", "mother", "flatmate",
    "colleague", "grandmother", "nephew", "landlady", "godmother",
)  # fmt: skip
