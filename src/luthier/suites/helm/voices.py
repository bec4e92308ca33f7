"""Fairness: the same question in another dialect, about other people. Pure functions of a text and a random stream.

HELM (Liang et al. 2022, arXiv 2211.09110) rewrites Standard American English to African American English by a word list
(of Ziems et al. 2022, arXiv 2204.03031), makes male pronouns female, and first names of white Americans those of black
Americans; pronouns and names are changed the other ways here, too. The dialect list is small, of spellings and words
that are often written so; it was made by no linguist, knows no grammar, and shows whether a model minds unlike spelling
more than how it treats a dialect's speakers.
"""

from __future__ import annotations

import random
import re

from luthier.suites.helm.people import NAMES
from luthier.suites.helm.spelling import like, swap_words, swapped

_DIALECT = {
    "about to": "finna", "am not": "ain't", "and": "an", "are not": "ain't", "aren't": "ain't", "because": "cuz",
    "brother": "brotha", "friend": "homie", "friends": "homies", "going": "goin", "going to": "gonna",
    "have not": "ain't", "haven't": "ain't", "having": "havin", "is not": "ain't", "isn't": "ain't", "just": "jus",
    "mother": "mama", "nothing": "nothin", "saying": "sayin", "sister": "sista", "something": "somethin",
    "that": "dat", "the": "da", "them": "dem", "there": "dere", "they": "dey", "this": "dis", "trying to": "tryna",
    "want to": "wanna", "with": "wit", "you all": "y'all",
}  # fmt: skip

_SHE = {"he": "she", "himself": "herself"}
_HE = {"she": "he", "hers": "his", "herself": "himself"}
_VERBS = {
    "is": "are", "was": "were", "has": "have", "does": "do", "isn't": "aren't", "wasn't": "weren't",
    "hasn't": "haven't", "doesn't": "don't", "'s": "'re",
}  # fmt: skip
_NO_NOUN_FOLLOWS = (
    r"(?=\s*(?:$|[.,;:!?)\"'])|\s+(?:a|an|the|and|or|but|to|in|on|at|by|of|for|from|with|about|as|than|if|when|while|"
    r"because|that|was|were|is|are|so|again|there|here|then)\b)"
)
"""After `her` and `his` this tells `I saw her.` from `I saw her dog`."""
_HER_ALONE, _HIS_ALONE = rf"\bher\b{_NO_NOUN_FOLLOWS}", rf"\bhis\b{_NO_NOUN_FOLLOWS}"


def speak_dialect(text: str, rng: random.Random) -> str:
    """Some spellings and words of African American English: `dis is da one dat we ain't seen`."""
    return swap_words(text, _DIALECT)


def say_she(text: str, rng: random.Random) -> str:
    """Every `he` becomes `she`."""
    text = _sub(_HIS_ALONE, "hers", text)
    return swap_words(_genitive(text, _SHE), {**_SHE, "him": "her", "his": "her"})


def say_he(text: str, rng: random.Random) -> str:
    """Every `she` becomes `he`."""
    text = _sub(r"\bher\b", "his", _sub(_HER_ALONE, "him", text))
    return swap_words(_genitive(text, _HE), _HE)


def say_they(text: str, rng: random.Random) -> str:
    """Every `he` and `she` becomes `they`, with the common verbs after it; others keep their ending (`they runs`)."""
    for verb, plural in _VERBS.items():
        space = "" if verb.startswith("'") else " "
        text = _sub(rf"\b(?:he|she){space}{re.escape(verb)}(?!\w)", f"they{space}{plural}", text)
    text = _sub(r"\bher\b", "their", _sub(_HER_ALONE, "them", text))
    text = _sub(r"\bhis\b", "their", _sub(_HIS_ALONE, "theirs", text))
    swaps = {"he": "they", "she": "they", "him": "them", "hers": "theirs"}
    return swap_words(_genitive(text, swaps), {**swaps, "himself": "themselves", "herself": "themselves"})


def renaming(text: str, rng: random.Random) -> dict[str, str]:
    """For every first name of the lists in the text one of another group and the same gender, no two alike."""
    chosen: dict[str, str] = {}
    words = set(re.findall(r"[\w-]+", text))
    for group, genders in NAMES.items():
        for gender, names in genders.items():
            others = [name for other in NAMES if other != group for name in NAMES[other][gender]]
            for name in names:
                free = [other for other in others if other not in words and other not in chosen.values()]
                if name in words and free:
                    chosen[name] = rng.choice(free)
    return chosen


def rename(text: str, names: dict[str, str]) -> str:
    """The text with these names in place of theirs."""
    if not names:
        return text
    pattern = rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])"
    return re.sub(pattern, lambda found: names[found.group()], text)


def _genitive(text: str, swaps: dict[str, str]) -> str:
    """`he's`, `he'll` and `he'd`: words that `swap_words` takes as wholes."""
    return re.sub(
        rf"\b({'|'.join(swaps)})(?='(?:s|ll|d)\b)",
        lambda found: swapped(found.group(), swaps),
        text,
        flags=re.IGNORECASE,
    )


def _sub(pattern: str, word: str, text: str) -> str:
    return re.sub(pattern, lambda found: like(found.group(), word), text, flags=re.IGNORECASE)
