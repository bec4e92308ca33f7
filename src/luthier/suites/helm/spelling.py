"""Robustness: what leaves a question's meaning alone. Pure functions of a text and a random stream.

HELM (Liang et al. 2022, arXiv 2211.09110) has lower case, up to three spaces, contractions and their expansion, common
misspellings and typos, after NL-Augmenter (Dhole et al. 2021, arXiv 2112.02721). Its code asks with a mild mix of them
at once by default, and with each by itself under `robustness_all`, where fillers and synonyms are too: here each stands
by itself, without these two. The lists are short ones of our own, so a misspelling is made wherever its word occurs
(HELM: in a word of ten that its long list has).
"""

from __future__ import annotations

import random
import re

TYPO_RATE = 0.1
"""So many of the words of four letters and more have a key struck beside the right one (our choice: a word in ten, and
one at least in a text that has such a word)."""
MOST_SPACES = 3
"""HELM puts one to three spaces where there was one."""


def _pairs(text: str) -> dict[str, str]:
    """`right:wrong right:wrong` as a table."""
    return dict(pair.split(":") for pair in text.split())


_MISSPELT = _pairs(
    """
    absolutely:absolutly accommodate:accomodate achieve:acheive across:accross address:adress again:agian
    apparently:apparantly argument:arguement average:avarage beautiful:beatiful because:becuase before:befor
    beginning:begining believe:beleive business:buisness calendar:calender character:charachter characters:charachters
    completely:completly could:coud definitely:definately different:diffrent disappointed:dissapointed
    disappointing:dissapointing embarrassing:embarassing environment:enviroment especially:especialy every:evry
    excellent:excelent experience:experiance familiar:familar favourite:favorit finally:finaly foreign:foriegn
    forward:foward friend:freind friends:freinds government:goverment guarantee:garantee happened:happend
    immediately:immediatly interesting:intresting knowledge:knowlege library:libary little:litle necessary:neccessary
    neighbour:nieghbour never:nevr noticeable:noticable occasion:ocassion occurred:occured people:poeple
    performance:performence piece:peice possible:posible probably:probly really:realy receive:recieve
    received:recieved recommend:recomend restaurant:restaraunt said:siad schedule:schedual sentence:sentance
    separate:seperate service:servise several:severel simply:simpley since:sinse strange:strang success:sucess
    surprise:suprise surprised:suprised terrible:terible thought:thougt through:thru together:togather
    tomorrow:tommorow truly:truely until:untill usually:usualy weird:wierd where:wher which:wich whole:hole
    with:whith would:woud writing:writting
    """
)

_SHORT = {
    "cannot": "can't", "can not": "can't", "could not": "couldn't", "did not": "didn't", "do not": "don't",
    "does not": "doesn't", "had not": "hadn't", "has not": "hasn't", "have not": "haven't", "is not": "isn't",
    "are not": "aren't", "was not": "wasn't", "were not": "weren't", "will not": "won't", "would not": "wouldn't",
    "should not": "shouldn't", "must not": "mustn't", "i am": "i'm", "i have": "i've", "i will": "i'll",
    "you are": "you're", "you have": "you've", "you will": "you'll", "we are": "we're", "we have": "we've",
    "we will": "we'll", "they are": "they're", "they have": "they've", "they will": "they'll", "it is": "it's",
    "he is": "he's", "she is": "she's", "that is": "that's", "what is": "what's", "there is": "there's",
    "who is": "who's",
}  # fmt: skip
_LONG = {short: long for long, short in _SHORT.items()} | {"can't": "cannot"}

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    letter: "".join(row[max(place - 1, 0) : place] + row[place + 1 : place + 2])
    for row in _KEYS
    for place, letter in enumerate(row)
}


def misspell(text: str, rng: random.Random) -> str:
    """Common misspellings: `I beleive that my freind is wierd`."""
    return swap_words(text, _MISSPELT)


def strike_beside(text: str, rng: random.Random) -> str:
    """Typos: a letter within some words becomes the one beside it on the keyboard."""
    words = [found.span() for found in re.finditer(r"\b[A-Za-z]{4,}\b", text)]
    letters = list(text)
    for start, end in rng.sample(words, min(len(words), max(1, round(TYPO_RATE * len(words))))):
        place = rng.randrange(start + 1, end)  # the first letter is hardly ever struck wrong
        struck = rng.choice(_BESIDE[letters[place].lower()])
        letters[place] = struck.upper() if letters[place].isupper() else struck
    return "".join(letters)


def lower_case(text: str, rng: random.Random) -> str:
    """No capitals."""
    return text.lower()


def widen_spaces(text: str, rng: random.Random) -> str:
    """One to three spaces in place of each."""
    return re.sub(" +", lambda _: " " * rng.randint(1, MOST_SPACES), text)


def contract(text: str, rng: random.Random) -> str:
    """`do not` becomes `don't`."""
    return swap_words(text, _SHORT)


def expand(text: str, rng: random.Random) -> str:
    """`don't` becomes `do not`."""
    return swap_words(text, _LONG)


def swap_words(text: str, swaps: dict[str, str]) -> str:
    """Every word (or words) of the table replaced where it stands by itself, with the case of what it replaces."""
    longest_first = sorted(swaps, key=len, reverse=True)
    pattern = rf"(?<![\w'])(?:{'|'.join(map(re.escape, longest_first))})(?![\w'])"
    return re.sub(pattern, lambda found: swapped(found.group(), swaps), text, flags=re.IGNORECASE)


def swapped(original: str, swaps: dict[str, str]) -> str:
    """What the table has for a word; the word itself where letters are the same to a pattern alone (`ſ` and `s`)."""
    word = swaps.get(original.lower())
    return original if word is None else like(original, word)


def like(original: str, word: str) -> str:
    """The word with the case of the one that it replaces: `He` -> `She`, `HE` -> `SHE`."""
    if len(original) > 1 and original.isupper():
        return word.upper()
    return word[0].upper() + word[1:] if original[0].isupper() else word
