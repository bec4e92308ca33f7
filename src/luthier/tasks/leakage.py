"""Leakage: held-out examples that stand, exactly or nearly, among the training examples.

What is compared is the prompt, cut into tokens (`tokens_of`: no case, no white space, no sentence punctuation). A
shared reference alone ("positive") is no leak; a shared prompt with another reference is one. Where prompts do not tell
rows apart ("Write a review." a thousand times), the references are compared with them. A test set that templates of its
own ask is compared as the templates for training would ask it: other words do not hide a row that was trained on.

**Exact**: the same tokens. **Near**: with a and b the tokens of two prompts, less the phrases that many prompts share
(a template's instruction, the speakers' names), and LCS the length of their longest common subsequence,

    similarity(a, b) = 2 LCS(a, b) / (|a| + |b|)  >=  0.8,    |a|, |b| >= 20 words

Lee et al. 2021 (arXiv 2107.06499) take documents for duplicates from an edit similarity of 0.8 on, hence the threshold.
Below 20 words people ask the same things in nearly the same words ("How do I get a new card?") without having copied
them, so only exact ones count. Rows that ask different things of one long passage are near as well: the passage was
trained on. A row that stands whole inside a much longer one is not.

The similarity is taken of candidates alone. Those are found by MinHash (Broder 1997, "On the resemblance and
containment of documents"): under a random order of all word pairs, two sets of pairs A and B have the same first member
with probability J = |A and B| / |A or B|. With r = 3 orders a band and b = 64 bands, two rows share a whole band with
probability 1 - (1 - J^r)^b: 99.5% at J = 0.43, which is what 0.8 comes to where every fifth word is another, and 0.2%
at the 0.03 of unrelated dialogues.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from luthier.core.types import SPLITS, Example, Split

THRESHOLD = 0.8
"""From this similarity on, two rows are nearly the same (Lee et al. 2021)."""
FEWEST_WORDS = 20
"""Shorter rows, of either side, leak only exactly. Set by reading pairs of Banking77, Multi30k and SST-2."""
COMMON_SHARE = 0.1
"""A phrase of three tokens in more of the prompts than this is common: it says nothing about copying."""
COMMON_ROWS = 5
"""Yet it must stand in more prompts than this; in half of them, where there are fewer than ten."""
SAMPLE = 1000
"""How many prompts of a template are read for common phrases."""
BANDS, ORDERS_A_BAND = 64, 3
"""MinHash's b and r."""
MOST_CANDIDATES = 50
"""How many training rows, by the MinHash estimate of J, a held-out row is compared with."""
SEED = 1
"""Of MinHash's random orders."""

_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PUNCTUATION = r".,;:!?\"'`_¡¿«»·\u00ad\u060c\u061b\u061f\u0964\u0965\u2000-\u206f\u3001-\u303f\ufeff"
_SIGNS = r"\-+*/%=<>()\[\]{}&@$^|~\\#£€¥±×÷°"
_TOKEN = re.compile(
    rf"\d+(?:[.,:]\d+)*|[{_NO_SPACES}]|[{_SIGNS}]|[^\s\d{_NO_SPACES}{_PUNCTUATION}{_SIGNS}]+",
)
_CHARACTER = re.compile(f"[{_NO_SPACES}]")

Tokens = tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """A held-out example and the training example nearest to it.

    Attributes:
        split: where the held-out example stands.
        id, where: its id, and its file and line.
        train_id, train_where: of the training example; of several as near, the first.
        similarity: 0 to 1; 1 where it is exact.
        exact: whether the two are the same but for case, white space and punctuation.
    """

    split: Split
    id: str
    where: str
    train_id: str
    train_where: str
    similarity: float
    exact: bool


@dataclass(frozen=True)
class Leakage:
    """What was found.

    Attributes:
        checked: how many examples of each held-out split were looked at.
        pairs: one per held-out example that leaks, by split and then in its order.
    """

    checked: Mapping[Split, int]
    pairs: tuple[Leak, ...]

    def of(self, split: Split) -> tuple[Leak, ...]:
        """The pairs of one split."""
        return tuple(pair for pair in self.pairs if pair.split == split)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `study.json` keeps it."""
        return {"checked": dict(self.checked), "pairs": [asdict(pair) for pair in self.pairs]}


def find_leaks(
    train: Sequence[Example], held_out: Mapping[Split, Sequence[Example]], threshold: float = THRESHOLD
) -> Leakage:
    """Look for every held-out example among the training examples. The same in every process.

    Args:
        train: what is trained on.
        held_out: validation and test examples.
        threshold: the least similarity of a near leak, above 0 and up to 1. Below 0.8 more of them are missed, since
            the candidates are found for 0.8 (module docstring).
    """
    splits = [split for split in SPLITS if split in held_out]
    held = [(split, example) for split in splits for example in held_out[split]]
    with_references = _templates_that_need_references(train)
    rows = [_tokens(example, with_references) for example in train]
    asked = [_tokens(example, with_references) for _, example in held]

    first: dict[Tokens, int] = {}
    for position, row in enumerate(rows):
        first.setdefault(row, position)
    found = {number: (first[row], 1.0, True) for number, row in enumerate(asked) if row in first}

    left = [number for number in range(len(asked)) if number not in found]
    if left and rows:
        less_common = _common_phrases_out(train, rows, [held[number][1] for number in left], [asked[n] for n in left])
        for number, nearest in zip(left, _nearest(*less_common, threshold), strict=True):
            if nearest is not None:
                found[number] = (*nearest, False)
    pairs = [_leak(*held[number], train[found[number][0]], *found[number][1:]) for number in sorted(found)]
    return Leakage({split: len(held_out[split]) for split in splits}, tuple(pairs))


def words(leakage: Leakage, task: str) -> str | None:
    """One line for the terminal, before training; None where nothing leaks."""
    if not leakage.pairs:
        return None
    leaky = [split for split in reversed(SPLITS) if leakage.of(split)]  # test first: it is what is reported
    counts = " and ".join(f"{len(leakage.of(split))} of {leakage.checked[split]} {split}" for split in leaky)
    exact = sum(pair.exact for pair in leakage.pairs)
    stand = "stands" if len(leakage.pairs) == 1 else "stand"
    then = "the report scores with and without them" if "test" in leaky else "settings are chosen with them"
    pair = leakage.of(leaky[0])[0]
    places = f"{_place(pair.where or pair.id)} ~ {_place(pair.train_where or pair.train_id)}"
    return (
        f"{task}: {counts} examples {stand} (almost) in the training set: {exact} exactly; "
        f"e.g. {places} ({pair.similarity:.2f}); {then}"
    )


def tokens_of(text: str) -> Tokens:
    """Words, numbers and signs in order, without case, white space and sentence punctuation.

    A sign that may carry the meaning ("3 + 4", "3 - 4") stays, and so does the point in 3.5. In scripts that put no
    space between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) a token is a character.
    """
    return tuple(_TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())) or (text.strip(),)


def _tokens(example: Example, with_references: frozenset[int]) -> Tokens:
    texts = [message.content for message in example.as_trained or example.messages]
    return tokens_of("\n".join([*texts, *example.references] if example.template in with_references else texts))


def _templates_that_need_references(train: Sequence[Example]) -> frozenset[int]:
    """Templates whose prompts do not tell rows apart: ten different rows or more to a prompt, or but one prompt."""
    prompts: dict[int, set[Any]] = defaultdict(set)
    rows: dict[int, set[Any]] = defaultdict(set)
    for example in train:
        prompts[example.template].add(example.messages)
        rows[example.template].add((example.messages, example.references))
    return frozenset(
        template for template, found in rows.items() if 1 < len(found) >= len(prompts[template]) * min(10, len(found))
    )


def _common_phrases_out(
    train: Sequence[Example], rows: Sequence[Tokens], held: Sequence[Example], asked: Sequence[Tokens]
) -> tuple[list[Tokens], list[Tokens]]:
    """The tokens of the training and held-out rows, less those in phrases that are common under their template."""
    different: dict[int, dict[Tokens, None]] = defaultdict(dict)
    for example, row in zip([*train, *held], [*rows, *asked], strict=True):
        different[example.template][row] = None
    common = {template: _common(list(found)) for template, found in different.items()}
    return (
        [_without(row, common[example.template]) for example, row in zip(train, rows, strict=True)],
        [_without(row, common[example.template]) for example, row in zip(held, asked, strict=True)],
    )


def _common(rows: Sequence[Tokens]) -> frozenset[Tokens]:
    """The phrases of three tokens that many of these rows have, judged by rows taken at equal distances."""
    sample = [rows[number * len(rows) // SAMPLE] for number in range(SAMPLE)] if len(rows) > SAMPLE else rows
    counts = Counter(phrase for row in sample for phrase in set(zip(row, row[1:], row[2:], strict=False)))
    most = max(COMMON_SHARE * len(sample), min(COMMON_ROWS, len(sample) / 2))
    return frozenset(phrase for phrase, count in counts.items() if count > most)


def _without(row: Tokens, common: frozenset[Tokens]) -> Tokens:
    if not common:
        return row
    kept = [True] * len(row)
    for start, phrase in enumerate(zip(row, row[1:], row[2:], strict=False)):
        if phrase in common:
            kept[start : start + 3] = (False, False, False)
    return tuple(token for token, keep in zip(row, kept, strict=True) if keep)


def _nearest(rows: Sequence[Tokens], asked: Sequence[Tokens], threshold: float) -> list[tuple[int, float] | None]:
    """For each row asked about, the position of the nearest training row and its similarity, or None."""
    from rapidfuzz import process
    from rapidfuzz.distance import Indel

    nearest: list[tuple[int, float] | None] = [None] * len(asked)
    for number, candidates in _candidates(rows, asked).items():
        best = process.extractOne(
            asked[number],
            [rows[position] for position in candidates],
            scorer=Indel.normalized_similarity,
            score_cutoff=threshold,
        )
        if best is not None:
            nearest[number] = (candidates[best[2]], round(float(best[1]), 4))
    return nearest


def _candidates(rows: Sequence[Tokens], asked: Sequence[Tokens]) -> dict[int, list[int]]:
    """Positions of the training rows that share a band with a row asked about, in their order."""
    long_asked = [number for number, row in enumerate(asked) if is_long(row)]
    long_rows = [position for position, row in enumerate(rows) if is_long(row)] if long_asked else []
    if not long_rows:
        return {}

    import numpy as np
    from datasketch import MinHashLSH

    index = MinHashLSH(num_perm=BANDS * ORDERS_A_BAND, params=(BANDS, ORDERS_A_BAND))
    sketches = dict(zip(long_asked, minhashes(asked[number] for number in long_asked), strict=True))
    for number, sketch in sketches.items():
        index.insert(number, sketch)
    sharing: dict[int, list[int]] = defaultdict(list)
    values = np.empty((len(long_rows), BANDS * ORDERS_A_BAND), np.uint32)
    for place, sketch in enumerate(minhashes(rows[position] for position in long_rows)):
        values[place] = sketch.hashvalues
        for number in index.query(sketch):
            sharing[number].append(place)
    candidates = {}
    for number, places in sorted(sharing.items()):
        agreement = (values[places] == sketches[number].hashvalues).sum(axis=1)
        closest = np.argsort(-agreement, kind="stable")[:MOST_CANDIDATES]
        candidates[number] = sorted(long_rows[places[place]] for place in closest)
    return candidates


def minhashes(rows: Iterable[Tokens]) -> Iterable[Any]:
    """MinHash of each row's pairs of neighbouring tokens, by datasketch."""
    from zlib import crc32

    from datasketch import MinHash

    pairs = ({f"{one} {two}".encode() for one, two in pairwise(row)} for row in rows)
    return MinHash.generator(pairs, num_perm=BANDS * ORDERS_A_BAND, seed=SEED, hashfunc=crc32)


def is_long(row: Tokens) -> bool:
    """Whether it is long enough to be nearly the same as another: of `FEWEST_WORDS`.

    Two characters of a script without spaces are taken for a word.
    """
    if len(row) < FEWEST_WORDS:
        return False
    return len(row) - sum(1 for token in row if _CHARACTER.match(token)) / 2 >= FEWEST_WORDS


def _leak(split: Split, example: Example, trained: Example, similarity: float, exact: bool) -> Leak:
    return Leak(split, example.id, example.where, trained.id, trained.where, similarity, exact)


def _place(where: str) -> str:
    """The file's name and the line, without the folders."""
    return where.rpartition("/")[2]
