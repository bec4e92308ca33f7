"""A model on the held-out documents of a pretraining file, beside what was recorded of it.

A decoder is measured in bits per byte, which compare across tokenizers; an encoder or an encoder-decoder in nats per
hidden token, which do not (see `held_out.py`). Where the documents are not on this machine, the figures that came with
the model are given instead, and said to be so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.errors import LuthierError
from luthier.core.settings import read, read_yaml
from luthier.models.load import ModelFiles, find_model, load_model, load_tokenizer
from luthier.models.names import HOUSE
from luthier.models.pretrained import load_pretrained
from luthier.pretrain_file import PretrainSpec
from luthier.suites.figures import Figures, Measure, recorded_figures, text_digest, xz_bits_per_byte
from luthier.suites.held_out import bits_per_byte, cross_entropy_of, held_out_batches, measure_of
from luthier.tasks.corpus import SourceSettings, read_source

if TYPE_CHECKING:
    import numpy as np

LONGEST = 2_048
"""Tokens that a decoder sees at once, at most; the house decoder's context."""
LONGEST_ROW = 512
"""The same for encoders and encoder-decoders, class and separator tokens included."""


@dataclass(frozen=True)
class SourceBits:
    """One source's row of the table, every figure in the measure of the model; None where there is none.

    Attributes:
        name: of the source.
        bytes: of its held-out text.
        xz: of that text alone.
        ngram: recorded, trained on the text of the model's last training.
        ngram_of_all: recorded, trained on what the models before it had seen too.
        previous: recorded, of the model that it started from.
        model: this model.
    """

    name: str
    bytes: int
    xz: float | None
    ngram: float | None
    ngram_of_all: float | None
    previous: float | None
    model: float

    @property
    def below(self) -> bool | None:
        """Whether the model foretells the text better than the best n-gram does."""
        ngrams = [one for one in (self.ngram, self.ngram_of_all) if one is not None]
        return self.model < min(ngrams) if ngrams else None


@dataclass(frozen=True)
class Bits:
    """What the suite found.

    Attributes:
        model: its name.
        kind: `decoder`, `encoder` or `encoder-decoder`.
        measure: what the figures count.
        measured: whether the model was measured now; else these are its recorded figures.
        sources: a row each.
        notes: what a reader should know, a sentence each.
    """

    model: str
    kind: str
    measure: Measure
    measured: bool
    sources: tuple[SourceBits, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        rows = {one.name: {**asdict(one), "below_ngram": one.below} for one in self.sources}
        return {**asdict(self), "sources": rows}


def evaluate_bits(
    name: str, file: Path | None = None, *, device: str = "cpu", say: Callable[[str], None] = lambda _: None
) -> Bits:
    """Measure a model on held-out documents.

    Args:
        name: a house model, a folder, or a hub id.
        file: a pretraining file, of which the sources are read; by default the sources that the model was measured on
            when its figures were recorded, or else the house decoder's.
        device: `cpu` or `cuda`.
        say: told what is being done.

    Raises:
        LuthierError: no such model or file, a source that cannot be read, a tokenizer without what the measure needs.
    """
    files = find_model(name)
    recorded = recorded_figures(files.folder)
    texts = _texts(recorded, file)
    missing = [path for one in texts.values() for path in one.data if not Path(path).exists()]
    if missing and file is None:
        if recorded is not None:
            return _as_recorded(files, recorded, missing[0])
        raise LuthierError(
            "there is no held-out text to measure on",
            where=missing[0],
            mend="--sources FILE.yaml: a pretraining file whose sources are on this machine",
        )
    documents = {}
    for source, settings in texts.items():
        say(f"reading {source}")
        documents[source] = read_source(source, settings).held_out
    return _measured(files, recorded, documents, device, say)


def _texts(recorded: Figures | None, file: Path | None) -> Mapping[str, SourceSettings]:
    if file is not None:
        sources = read(PretrainSpec, read_yaml(str(file)), str(file)).sources
        texts = {name: one for name, one in sources.items() if isinstance(one, SourceSettings)}
        if not texts:
            raise LuthierError("there is no source of text", where=f"{file}: sources", mend="add one with data: ...")
        return texts
    known = recorded or recorded_figures(HOUSE / "decoder")
    if known is None:
        raise LuthierError(
            "no text was named to measure on", where="--sources", mend="--sources FILE.yaml: a pretraining file"
        )
    return known.texts


def _as_recorded(files: ModelFiles, recorded: Figures, missing: str) -> Bits:
    rows = [
        SourceBits(name, one.bytes, one.xz, one.ngram, one.ngram_of_all, one.previous, one.model)
        for name, one in recorded.sources.items()
    ]
    notes = (
        f"Recorded when the model was made, not measured now: {missing} is not on this machine.",
        *_notes(recorded.measure, recorded),
    )
    return Bits(files.name, files.kind, recorded.measure, False, tuple(rows), notes)


def _measured(
    files: ModelFiles,
    recorded: Figures | None,
    documents: Mapping[str, Sequence[str]],
    device: str,
    say: Callable[[str], None],
) -> Bits:
    measure: Measure = "bits_per_byte" if files.kind == "decoder" else "nats_per_hidden_token"
    score = _scorer(files, recorded.row if recorded else _row(files), device)
    rows, other = [], []
    for name, texts in documents.items():
        say(f"measuring {name}")
        there = recorded.sources.get(name) if recorded else None
        text = "\n".join(texts)
        if there is not None and there.text != text_digest(text):
            other.append(name)
            there = None
        rows.append(
            SourceBits(
                name,
                sum(len(document.encode()) for document in texts),
                xz_bits_per_byte(text.encode()) if measure == "bits_per_byte" else None,
                there.ngram if there else None,
                there.ngram_of_all if there else None,
                there.previous if there else None,
                score(texts),
            )
        )
    notes = list(_notes(measure, recorded))
    if other:
        notes.append(f"Other held-out text than the n-gram was measured on, so without it: {', '.join(other)}.")
    return Bits(files.name, files.kind, measure, True, tuple(rows), tuple(notes))


def _notes(measure: Measure, recorded: Figures | None) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if recorded is not None:
        notes = (
            f"Recorded beside it: {recorded.ngram}, trained on the {recorded.tokens:,} tokens that the model saw "
            f"(of all: on the {recorded.tokens_in_all:,} with those of the models before it), and the model before.",
        )
    if measure == "nats_per_hidden_token":
        return (*notes, "Nats per hidden token compare only between models with the same tokenizer.")
    return notes


def _row(files: ModelFiles) -> int:
    """Tokens of text that a model without recorded figures is given together."""
    if files.kind == "decoder":
        return min(files.context or LONGEST, LONGEST)
    return min(files.context or LONGEST_ROW, LONGEST_ROW) - (2 if files.kind == "encoder" else 0)


def _scorer(files: ModelFiles, row: int, device: str) -> Callable[[Sequence[str]], float]:
    """What measures documents: the model is loaded once."""
    tokenizer = load_tokenizer(files)
    if files.kind == "decoder":
        decoder = load_model(files, device=device)
        _begin_texts(tokenizer, files)
        return lambda texts: bits_per_byte(decoder, tokenizer, texts, row, device)
    from luthier.objectives.packing import Vocabulary

    objective, vocabulary = measure_of(files.kind), Vocabulary.of(tokenizer)
    model = load_pretrained(files, device=device)

    def score(texts: Sequence[str]) -> float:
        batches = held_out_batches(objective, vocabulary, _encoded(tokenizer, texts), row)
        if not batches:
            raise LuthierError("the held-out text is too short to hide anything in", mend="a larger held_out_bytes")
        return cross_entropy_of(model, objective, batches, device)

    return score


def _begin_texts(tokenizer: Any, files: ModelFiles) -> None:
    """A tokenizer without a token that begins a text lets the one that ends the text before begin it."""
    if tokenizer.eos_token_id is None:
        raise LuthierError(
            f"the tokenizer of {files.name} has no token that ends a text",
            where=str(files.folder),
            mend="set eos_token in tokenizer_config.json",
        )
    if tokenizer.bos_token_id is None:
        tokenizer.bos_token = tokenizer.eos_token


def _encoded(tokenizer: Any, documents: Sequence[str]) -> np.ndarray:
    """Token ids of the documents, `(token,)`, one after the other, between BOS and EOS where there are such."""
    import numpy as np

    begin = [number for number in (tokenizer.bos_token_id,) if number is not None]
    end = [number for number in (tokenizer.eos_token_id,) if number is not None]
    bare = tokenizer(list(documents), add_special_tokens=False, verbose=False)["input_ids"]
    return np.concatenate([np.array([*begin, *ids, *end], dtype=np.int64) for ids in bare])
