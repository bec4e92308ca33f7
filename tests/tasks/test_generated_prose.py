"""The generated prose: the same for a seed anywhere, of the stated length, well spelt, and no document like another."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import random
import re
from collections import Counter

from luthier.tasks.generated import prose
from luthier.tasks.generated.grammar import Grammar, spelt
from luthier.tasks.generated.prose import LENGTH, SHARED, documents
from luthier.tasks.generated.prose_indoors import INDOORS
from luthier.tasks.generated.prose_outdoors import OUTDOORS
from luthier.tasks.generated.prose_words import WORDS

DOCUMENTS = documents(96)


def test_the_first_documents_are_fixed() -> None:
    """A change here changes what every earlier study measured."""
    assert hashlib.sha256("\n".join(DOCUMENTS[:10]).encode()).hexdigest()[:16] == "6272b17108bcceaf"


def test_more_documents_begin_with_the_same_and_another_seed_writes_others() -> None:
    assert documents(20) == DOCUMENTS[:20]
    assert not set(documents(20, seed=1)) & set(DOCUMENTS)
    assert documents(0) == []


def test_leaves_the_global_random_state_alone() -> None:
    before = random.getstate()
    documents(3)
    assert random.getstate() == before


def test_lengths_are_in_range() -> None:
    lengths = [len(text.split()) for text in DOCUMENTS]
    assert LENGTH == (60, 120)
    assert LENGTH[0] <= min(lengths) and max(lengths) <= LENGTH[1]
    assert 75 <= sum(lengths) / len(lengths) <= 105


def test_no_two_documents_share_more_than_half_of_their_runs_of_five_words() -> None:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.lower().split()
        return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}

    for one, other in itertools.combinations(map(runs, DOCUMENTS), 2):
        assert len(one & other) <= SHARED * min(len(one), len(other))


def test_documents_are_paragraphs_and_no_dialogues() -> None:
    for text in DOCUMENTS:
        assert "\n" not in text and text[0].isupper() and text[-1] in ".?!"
        assert not re.search(r"\b[A-Z]\w+: |[\"“”]", text)
        assert not re.search(r"\b(customer|agent)\b", text.lower())
        assert len(re.findall(r"[.?!](?: |$)", text)) >= 5


def test_documents_are_well_spelt() -> None:
    for text in DOCUMENTS:
        assert not set("{}[]|") & set(text) and "  " not in text
        assert not re.search(r"[.?!] [a-z]|\.\.| [,.;]", text)
        assert not re.search(r"\b(\w+) \1\b", text), text
        assert not re.search(r"\ba [aeio]\w", text) and not re.search(r"\ban [^aeiouh]", text)
        assert re.search(r"\bone (houses|weeks|miles|days|hours)\b", text) is None


def test_the_words_are_many() -> None:
    counts = Counter(word for text in DOCUMENTS for word in re.findall(r"[\w'-]+", text.lower()))
    assert len(counts) > 1200
    subjects = (*OUTDOORS, *INDOORS)
    assert len({subject.name for subject in subjects}) == len(subjects) == 12
    assert sum(len(subject.openings + subject.middles + subject.endings) for subject in subjects) > 180


def test_every_slot_has_a_list_and_every_list_a_slot() -> None:
    lines = [line for subject in (*OUTDOORS, *INDOORS) for line in subject.openings + subject.middles + subject.endings]
    named = {name for line in lines for name in re.findall(r"\{([a-z_]+)\d*\}", line)}
    assert named == {*WORDS, "village"}
    for words in WORDS.values():
        assert len(set(words)) == len(words) >= 4


def test_the_document_in_the_docstring_is_a_real_one() -> None:
    assert DOCUMENTS[0] in " ".join((inspect.getdoc(prose) or "").split())


def test_grammar() -> None:
    grammar = Grammar({"bird": ("owl", "rook"), "noise": ("a [hoot|hoot]",)}, random.Random(0))
    text = grammar.write("a {bird1} met a {bird}. the {bird1} gave {noise}")
    assert text in (
        "An owl met a rook. The owl gave a hoot",
        "A rook met an owl. The rook gave a hoot",
    )


def test_spelling() -> None:
    assert spelt("a owl, a hour, a uniform, a useful euro, a one, a unusual end. it is a oven") == (
        "An owl, an hour, a uniform, a useful euro, a one, an unusual end. It is an oven"
    )
