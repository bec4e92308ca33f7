"""How the support desk's customers type: contractions, capitals for the angry, short forms and typos for the sloppy."""

from __future__ import annotations

import random
import re

_CONTRACTIONS = {
    "I am": "I'm", "I will": "I'll", "I would": "I'd", "I have been": "I've been", "I have already": "I've already",
    "I have had": "I've had", "it is": "it's", "that is": "that's", "there is": "there's", "what is": "what's",
    "does not": "doesn't", "do not": "don't", "did not": "didn't", "is not": "isn't", "should not": "shouldn't",
    "cannot": "can't", "let us": "let's",
}  # fmt: skip
_SHORT_FORMS = {
    "thank you": "ty", "thanks": "thx", "please": "pls", "you": "u", "are": "r", "nothing": "nothin", "OK": "k",
    "every": "evry",
}  # fmt: skip


def sentence(text: str) -> str:
    """Capitals where sentences start, and `an` before a vowel."""
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def contracted(text: str) -> str:
    """`I am` becomes `I'm`, `It is` becomes `It's`, except before a comma or at a sentence's end."""
    for plain, short in _CONTRACTIONS.items():
        text = re.sub(rf"\b{plain}\b(?![,.!?])", short, text)
        text = re.sub(rf"\b{plain.capitalize()}\b(?![,.!?])", short.capitalize(), text)
    return text


def shouted(text: str) -> str:
    """The first word that can carry it stands in capitals."""
    return re.sub(r"\b(not|never|every|again|still|nothing)\b", lambda match: match[0].upper(), text, count=1)


def misspelt(text: str, keep: str, rng: random.Random) -> str:
    """Lower case, few marks, short forms, and a typo in one long word of ten, never in the words to `keep`."""
    for plain, short in _SHORT_FORMS.items():
        text = re.sub(rf"\b{plain}\b", short, text, flags=re.IGNORECASE)
    kept = keep.lower().split()
    typed = []
    for word in text.lower().replace("'", "").split():
        bare = word.strip(".,:!?")
        if len(bare) > 4 and bare.isalpha() and bare not in kept and rng.random() < 0.1:
            word = _typo(word, rng.randrange(1, len(bare) - 1), rng)
        typed.append(word)
    text = " ".join(typed)
    return text.rstrip(".") if rng.random() < 0.6 else text


def _typo(word: str, at: int, rng: random.Random) -> str:
    """Two letters swapped, one lost, or one doubled."""
    before, here, after = word[:at], word[at], word[at + 1 :]
    return rng.choice((before + after[0] + here + after[1:], before + after, before + here + here + after))
