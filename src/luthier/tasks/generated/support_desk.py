"""The demo task: short support chats with known facts and a known summary, written by code.

One row (`support_desk(0)["test"][14]`):

    Customer: fan heater: theres a rattle, worst at night
    Agent: Oh dear. Your name, please?
    Customer: im dmitri. olga, my best friend, told me to write to u. it cost me 150 dollars.
    Agent: Our notes say the fan is loose. A replacement could be there Wednesday.
    Customer: no new one, pls, it would only do the same
    Agent: Too bad. Keep it for fifteen percent less?
    Customer: k.

    Summary:
    Dmitri's fan heater rattles at night. Although the fan is loose, Dmitri keeps it for fifteen percent less.

    style: sloppy
    facts: customer = Dmitri, product = fan heater, problem = rattles at night, outcome = discount,
           detail = fifteen percent, cause = the fan is loose
    distractors: other person, refused offer, small talk

The summary has to be read out of the chat: names, products, days, offers and steps that do not matter stand beside
those that do (`distractors`), customers write in five styles, and the summary states the problem in one set of words
where customers have several. It is regular all the same: two sentences that the facts decide.
"""

from __future__ import annotations

import random
from typing import Any

from luthier.core.types import Split
from luthier.tasks.generated.support_desk_dialogue import STYLES, Chat
from luthier.tasks.generated.support_desk_facts import OUTCOMES, draw_facts

TURNS = (4, 12)
"""The fewest and the most turns of a chat."""
WORDS = (35, 90)
"""The fewest and the most words of a chat, the speakers' names included."""


def support_desk(
    seed: int = 0, *, train: int = 400, validation: int = 60, test: int = 120
) -> dict[Split, list[dict[str, Any]]]:
    """Write the rows of the three splits.

    The same seed gives the same rows on every machine. No dialogue and no full set of facts stands twice, in one split
    or in two. The test rows are drawn first, so they stay the same when `train` or `validation` changes.

    Args:
        seed: which chats.
        train, validation, test: rows in each split (defaults: what two cores can train and score in the demo's time).

    Returns:
        For each split its rows. A row has `id`, `style`, `dialogue` (one turn a line, `Agent: ...` or
        `Customer: ...`), `summary` (two sentences, 12 to 30 words), `facts` (customer, product, problem, step or
        cause, outcome, detail) and `distractors` (what stands in the chat and does not matter).
    """
    seen: set[str] = set()
    counts: dict[Split, int] = {"test": test, "validation": validation, "train": train}
    rows = {split: [_row(seed, split, number, seen) for number in range(count)] for split, count in counts.items()}
    return {"train": rows["train"], "validation": rows["validation"], "test": rows["test"]}


def _row(seed: int, split: Split, number: int, seen: set[str]) -> dict[str, Any]:
    """One row from its own random stream; what `seen` holds (facts and dialogues) is not written again.

    Styles and outcomes take turns, so that every split, and every split cut short, has its share of each.
    """
    rng = random.Random(f"support_desk:{seed}:{split}:{number}")
    style, outcome = STYLES[number % len(STYLES)], OUTCOMES[number % len(OUTCOMES)]
    while True:
        facts = draw_facts(outcome, rng)
        plain = facts.plain()
        chat = Chat(facts, style, rng)
        dialogue = chat.write()
        fits = TURNS[0] <= len(chat.turns) <= TURNS[1] and WORDS[0] <= len(dialogue.split()) <= WORDS[1]
        if fits and not {str(plain), dialogue} & seen:
            seen.update((str(plain), dialogue))
            return {
                "id": f"{split}-{number:04d}",
                "style": style,
                "dialogue": dialogue,
                "summary": facts.summary(),
                "facts": plain,
                "distractors": sorted(chat.distractors),
            }
