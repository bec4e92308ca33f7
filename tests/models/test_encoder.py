"""An encoder with a head: loaded, given batches, and answering, beside plain transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from luthier.core.errors import LuthierError
from luthier.core.types import Message
from luthier.methods.additive.adapter import Adapter
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.classifier import ModelClassifier
from luthier.models.encoder_tokens import EncoderRenderer
from luthier.models.flat import use_flat_attention
from luthier.models.forward import scored_logits
from luthier.models.head import Head, head_parts
from luthier.models.labelled import Labelled, labelled_batch, labelled_batches
from luthier.models.load import ModelFiles, find_model, load_model, load_tokenizer
from luthier.objectives.supervised import Supervised
from luthier.prompting.prompting import Request
from tests.models.encoders import Family, tiny_encoder
from tests.tiny import SENTENCES

CLASSES = Head("class", ("first", "second", "third"))
TAGS = Head("tags", ("O", "B-name", "I-name"))
TEXTS = [SENTENCES[0], "Yes.", SENTENCES[3], "Where is the parcel?", SENTENCES[1]]


@pytest.fixture(scope="module", params=["bert", "roberta"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    family: Family = request.param
    return find_model(str(tiny_encoder(family, tmp_path_factory.mktemp(family))))


def loaded(files: ModelFiles, head: Head, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return load_model(files, head=head)


def renderer(files: ModelFiles, head: Head) -> EncoderRenderer:
    return EncoderRenderer(load_tokenizer(files), files.context, head)


def labelled(files: ModelFiles, head: Head) -> list[Labelled]:
    asked = renderer(files, head)
    if head.kind == "class":
        return [
            asked.classified(str(place), (Message("user", text),), head.labels[place % 3])
            for place, text in enumerate(TEXTS)
        ]
    return [
        asked.tagged(str(place), text.split(), [head.labels[len(word) % 3] for word in text.split()])
        for place, text in enumerate(TEXTS)
    ]


def plain_loss(model: Any, files: ModelFiles, head: Head, texts: list[Labelled]) -> torch.Tensor:
    """What transformers makes of the same texts, by its own tokenizer's padding and its own `labels=`."""
    given = load_tokenizer(files)(TEXTS, padding=True, return_tensors="pt")
    if head.kind == "class":
        labels = torch.tensor([text.targets[0] for text in texts])
    else:
        labels = torch.full_like(given["input_ids"], -100)
        for row, text in enumerate(texts):
            assert text.positions is not None
            labels[row, list(text.positions)] = torch.tensor(text.targets)
    loss: torch.Tensor = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"], labels=labels).loss
    return loss


@pytest.mark.parametrize("head", [CLASSES, TAGS], ids=lambda head: head.kind)
def test_loss_and_gradients_are_those_of_transformers(files: ModelFiles, head: Head) -> None:
    texts = labelled(files, head)
    ours, theirs = loaded(files, head), loaded(files, head)
    expected = plain_loss(theirs, files, head, texts)
    expected.backward()  # type: ignore[no-untyped-call]
    objective = Supervised()
    batches = labelled_batches(texts, most_tokens=60, pad_id=renderer(files, head).pad_id)
    assert len(batches) > 2
    units = sum(objective.units(batch) for batch in batches)
    losses = [objective.loss(ours, batch) / units for batch in batches]
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    assert float(sum(loss.detach() for loss in losses)) == pytest.approx(expected.item(), abs=1e-5)
    for (name, mine), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert (mine.grad is None) == (other.grad is None), name
        if mine.grad is not None:
            assert torch.allclose(mine.grad, other.grad, atol=1e-5), name


@pytest.mark.parametrize("head", [CLASSES, TAGS], ids=lambda head: head.kind)
def test_what_stands_beside_a_text_in_a_batch_changes_nothing(files: ModelFiles, head: Head) -> None:
    model, texts = loaded(files, head), labelled(files, head)
    pad = renderer(files, head).pad_id
    with torch.no_grad():
        together = scored_logits(model, labelled_batch(texts, pad))
        alone = torch.cat([scored_logits(model, labelled_batch([text], pad)) for text in texts])
    assert together.shape == (sum(len(text.targets) for text in texts), 3)
    assert torch.allclose(together, alone, atol=1e-5)


def test_batches_hold_every_text_once_and_little_padding(files: ModelFiles) -> None:
    texts = labelled(files, CLASSES)
    batches = labelled_batches(texts, most_tokens=80, pad_id=0)
    names = [name for batch in batches for name in batch.example_ids]
    assert sorted(names) == [text.example_id for text in texts]
    for batch in batches:
        assert batch.input_ids.numel() <= 80 or len(batch.example_ids) == 1
        assert batch.tokens == int(batch.to("cpu").attention_mask.sum()) >= 0.8 * batch.input_ids.numel()  # type: ignore[union-attr]


def test_a_head_is_drawn_by_the_seed(files: ModelFiles) -> None:
    first, again, other = (loaded(files, CLASSES, seed) for seed in (0, 0, 1))
    name = "classifier.weight" if "Bert" in files.architecture else "classifier.out_proj.weight"
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])
    assert first.config.id2label == dict(enumerate(CLASSES.labels))
    body = next(name for name in first.state_dict() if "word_embeddings" in name)
    assert torch.equal(first.state_dict()[body], other.state_dict()[body])


def test_only_the_head_may_be_missing(files: ModelFiles, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for path in files.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if name.endswith("layer.1.output.dense.weight"))
    save_file(
        {name: value for name, value in weights.items() if name != gone}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(LuthierError, match=r"layer\.1\.output\.dense\.weight"):
        load_model(find_model(str(folder)), head=CLASSES)


def test_an_encoder_needs_a_head_and_a_decoder_takes_none(files: ModelFiles, decoder: Path) -> None:
    with pytest.raises(LuthierError, match="is an encoder"):
        load_model(files)
    with pytest.raises(LuthierError, match=r"is an? decoder"):
        load_model(find_model(str(decoder)), head=CLASSES)


def test_random_weights_have_the_same_head_parts(files: ModelFiles) -> None:
    torch.manual_seed(0)
    random = load_model(files, head=CLASSES, random_init=True)
    assert head_parts(random) == head_parts(loaded(files, CLASSES))


@pytest.mark.parametrize("head", [CLASSES, TAGS], ids=lambda head: head.kind)
@pytest.mark.parametrize(
    "method",
    # So tiny a bottleneck with a ReLU can be dead altogether; swish moves always.
    [LoRA(), Adapter(nonlinearity="swish"), Adapter(placement="houlsby"), Full(), PromptTuning()],
    ids=lambda one: one.label(),
)
def test_every_method_trains_saves_and_loads_the_head(
    files: ModelFiles, head: Head, method: Method, tmp_path: Path
) -> None:
    texts = labelled(files, head)
    batch = labelled_batch(texts, renderer(files, head).pad_id)
    torch.manual_seed(0)
    model = method.attach(loaded(files, head), load_tokenizer(files))
    before = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
    assert any("classifier" in name for name in before)
    optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.5)
    for _ in range(2):  # the first step moves LoRA's B alone
        Supervised().loss(model, batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = [name for name, value in model.named_parameters() if name in before and not value.equal(before[name])]
    assert any("classifier" in name for name in moved) and len(moved) == len(before)
    with torch.no_grad():
        expected = scored_logits(model.eval(), batch)
    method.save(model, tmp_path / "weights")
    again = method.load(loaded(files, head, seed=5), tmp_path / "weights").eval()
    with torch.no_grad():
        assert torch.allclose(scored_logits(again, batch), expected, atol=1e-6)
        if method.mergeable:
            merged = method.merge(again)
            assert torch.allclose(scored_logits(merged, batch), expected, atol=1e-4)
            assert head_parts(merged)


def test_classes_come_with_their_words_and_probabilities(files: ModelFiles) -> None:
    head, model = CLASSES, loaded(files, CLASSES)
    asked = [Request(f"e{place}", (Message("user", text),)) for place, text in enumerate(TEXTS)]
    found = ModelClassifier(model, renderer(files, head), head, most_tokens=40).classify(asked)
    assert [one.example_id for one in found] == ["e0", "e1", "e2", "e3", "e4"]
    with torch.no_grad():
        batch = labelled_batch(labelled(files, head), renderer(files, head).pad_id)
        expected = scored_logits(model, batch).log_softmax(-1)
    for one, row in zip(found, expected, strict=True):
        assert one.log_probabilities == pytest.approx(tuple(row.tolist()), abs=1e-5)
        assert one.label == int(row.argmax()) and one.text == head.labels[one.label]


@pytest.mark.parametrize("head", [CLASSES, TAGS], ids=lambda head: head.kind)
def test_in_flat_rows_the_answers_are_the_same(files: ModelFiles, head: Head) -> None:
    model = loaded(files, head)
    assert use_flat_attention(model)
    padded, in_a_row = (
        ModelClassifier(model, renderer(files, head), head, flat=flat, most_tokens=60) for flat in (False, True)
    )
    if head.kind == "tags":
        asked = [Request(f"e{place}", (), tuple(text.split())) for place, text in enumerate(TEXTS)]
        assert in_a_row.tag(asked) == padded.tag(asked)
        return
    asked = [Request(f"e{place}", (Message("user", text),)) for place, text in enumerate(TEXTS)]
    for one, other in zip(in_a_row.classify(asked), padded.classify(asked), strict=True):
        assert (one.example_id, one.label) == (other.example_id, other.label)
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5)


def test_every_word_gets_a_tag(files: ModelFiles) -> None:
    head, model = TAGS, loaded(files, TAGS)
    words = [(*text.split(), "\u200d") for text in TEXTS]
    asked = [Request(f"e{place}", (), line) for place, line in enumerate(words)]
    found = ModelClassifier(model, renderer(files, head), head, most_tokens=40).tag(asked)
    assert [len(one.tags) for one in found] == [len(line) for line in words]
    assert {tag for one in found for tag in one.tags} <= set(head.labels)


def test_a_text_beyond_the_context_is_refused(files: ModelFiles) -> None:
    classifier = ModelClassifier(loaded(files, CLASSES), renderer(files, CLASSES), CLASSES)
    with pytest.raises(LuthierError, match="the model's context is 128"):
        classifier.classify([Request("long", (Message("user", "cats " * 300),))])


def test_the_longest_text_that_fits_is_answered(files: ModelFiles) -> None:
    """RoBERTa has two rows of positions that no token can have."""
    asked = renderer(files, CLASSES)
    longest = max(n for n in range(1, 300) if asked.fits((Message("user", "cat " * n),)))
    request = Request("long", (Message("user", "cat " * longest),))
    assert len(asked.prompt(request.conversation)) > 100
    ModelClassifier(loaded(files, CLASSES), asked, CLASSES).classify([request])
