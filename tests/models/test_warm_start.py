"""Starting from a model that exists: what is taken, and that it computes what it computed there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.models.architectures import T5, Architecture, Bert, Llama
from luthier.models.load import find_model
from luthier.models.pretrained import load_pretrained
from luthier.models.tokenizer_training import framed
from luthier.models.warm_start import warm_start
from tests.objectives.vocabularies import tiny_tokenizer

SIZES: dict[str, Any] = {
    "d_model": 32, "layers": 2, "heads": 4, "d_feed_forward": 48, "vocabulary": 420, "context": 64,
}  # fmt: skip
IDS = torch.arange(100, 130)[None]


def built(cls: type[Architecture], seed: int = 0, **changes: Any) -> Any:
    """A model whose every weight has been moved by training, norms and biases too."""
    torch.manual_seed(seed)
    model = cls(**(SIZES | changes)).build(tiny_tokenizer()).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cls", [Llama, Bert, T5], ids=lambda cls: cls.name)
class TestTheSameArchitecture:
    def test_goes_on_where_it_was(self, cls: type[Architecture], tmp_path: Path) -> None:
        source, model = built(cls), built(cls, seed=1)
        source.save_pretrained(tmp_path)
        framed(tiny_tokenizer(), cls.framing, 64).save_pretrained(tmp_path)
        assert warm_start(model, load_pretrained(find_model(str(tmp_path)))) == "all weights"
        inputs = {"input_ids": IDS} | ({"decoder_input_ids": IDS} if cls is T5 else {})
        with torch.no_grad():
            assert torch.equal(model(**inputs).logits, source(**inputs).logits)
        assert model.get_input_embeddings().weight is model.get_output_embeddings().weight

    @pytest.mark.parametrize(
        "changes", [{"layers": 3}, {"layers": 1}, {"d_feed_forward": 64}, {"d_model": 64}], ids=str
    )
    def test_of_other_sizes_is_refused(self, cls: type[Architecture], changes: dict[str, int]) -> None:
        with pytest.raises(LuthierError, match="another shape") as caught:
            warm_start(built(cls, **changes), built(cls))
        assert caught.value.where == "start"

    def test_of_other_heads_is_refused(self, cls: type[Architecture]) -> None:
        """The weights have the same shapes then, and mean something else."""
        other = {"heads": 8} | ({"key_value_heads": 4} if cls is Llama else {})
        with pytest.raises(LuthierError, match="4 heads"):
            warm_start(built(cls, **other), built(cls))


def test_bert_takes_the_token_embeddings() -> None:
    source, model = built(Llama), built(Bert, seed=1)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    assert warm_start(model, source) == "token embeddings"
    changed = [name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])]
    assert changed == ["bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight"]
    assert torch.equal(model.get_input_embeddings().weight, source.get_input_embeddings().weight)
    assert model.get_input_embeddings().weight is not source.get_input_embeddings().weight


@pytest.fixture(scope="module")
def decoder() -> Any:
    return built(Llama, layers=4, key_value_heads=2)


@pytest.fixture(scope="module")
def seq2seq(decoder: Any) -> Any:
    model = built(T5, seed=1)
    assert warm_start(model, decoder) == "token embeddings and blocks"
    return model


@pytest.fixture(scope="module")
def hidden() -> torch.Tensor:
    return torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(0))


class TestT5FromLlama:
    def layers(self, decoder: Any) -> list[Any]:
        """Two blocks, spread over the decoder's four."""
        return [decoder.model.layers[0], decoder.model.layers[3]]

    def test_its_embeddings_and_its_head_say_what_the_decoders_say(
        self, decoder: Any, seq2seq: Any, hidden: torch.Tensor
    ) -> None:
        assert torch.equal(seq2seq.shared.weight, decoder.model.embed_tokens.weight)
        said: list[torch.Tensor] = []
        hook = seq2seq.decoder.final_layer_norm.register_forward_pre_hook(lambda *_: (hidden,))
        with torch.no_grad():
            said.append(seq2seq(input_ids=IDS, decoder_input_ids=IDS[:, :6]).logits)
            close(said[0], decoder.lm_head(decoder.model.norm(hidden)))
        hook.remove()

    def test_its_feed_forward_layers_compute_the_same(self, decoder: Any, seq2seq: Any, hidden: torch.Tensor) -> None:
        for stack in (seq2seq.encoder, seq2seq.decoder):
            for block, layer in zip(stack.block, self.layers(decoder), strict=True):
                with torch.no_grad():
                    expected = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
                    close(block.layer[-1](hidden), expected)

    def test_its_attention_is_the_decoders_without_positions(
        self, decoder: Any, seq2seq: Any, hidden: torch.Tensor
    ) -> None:
        def attended(layer: Any) -> torch.Tensor:
            normed = layer.input_layernorm(hidden)
            theirs = layer.self_attn
            query = theirs.q_proj(normed).view(1, 6, 4, 8).transpose(1, 2)
            key = theirs.k_proj(normed).view(1, 6, 2, 8).transpose(1, 2).repeat_interleave(2, 1)
            value = theirs.v_proj(normed).view(1, 6, 2, 8).transpose(1, 2).repeat_interleave(2, 1)
            shares = (query @ key.transpose(2, 3) / 8**0.5).softmax(-1)
            output: torch.Tensor = theirs.o_proj((shares @ value).transpose(1, 2).reshape(1, 6, 32))
            return output

        for stack in (seq2seq.encoder, seq2seq.decoder):
            for block, layer in zip(stack.block, self.layers(decoder), strict=True):
                with torch.no_grad():
                    for part in block.layer[:1]:  # cross-attention begins by matching like with like
                        ours = part.SelfAttention
                        normed = part.layer_norm(hidden)
                        query, key, value = (
                            project(normed).view(1, 6, 4, 8).transpose(1, 2) for project in (ours.q, ours.k, ours.v)
                        )
                        shares = (query @ key.transpose(2, 3)).softmax(-1)  # T5 does not scale
                        output = ours.o((shares @ value).transpose(1, 2).reshape(1, 6, 32))
                        close(output, attended(layer))

    def test_no_weight_is_left_as_it_was(self, decoder: Any) -> None:
        model = built(T5, seed=1)
        before = {name: weight.clone() for name, weight in model.named_parameters()}
        warm_start(model, decoder)
        assert not [name for name, weight in model.named_parameters() if torch.equal(weight, before[name])]

    def test_the_decoder_is_not_touched(self, decoder: Any) -> None:
        before = {name: weight.clone() for name, weight in decoder.named_parameters()}
        model = built(T5, seed=2, layers=1)  # one block: the first
        warm_start(model, decoder)
        with torch.no_grad():
            for weight in model.parameters():
                weight.zero_()
        assert all(torch.equal(weight, before[name]) for name, weight in decoder.named_parameters())

    @pytest.mark.parametrize("changes", [{"heads": 8}, {"d_feed_forward": 64}], ids=str)
    def test_blocks_of_other_sizes_are_refused(self, decoder: Any, changes: dict[str, int]) -> None:
        with pytest.raises(LuthierError, match="blocks of the model to start from") as caught:
            warm_start(built(T5, **changes), decoder)
        assert caught.value.mend == "give heads: 4 and d_feed_forward: 48"


@pytest.mark.parametrize("cls", [Bert, T5], ids=lambda cls: cls.name)
def test_embeddings_of_another_shape_are_refused(cls: type[Architecture]) -> None:
    for changes in ({"vocabulary": 500}, {"d_model": 64}):
        with pytest.raises(LuthierError, match="token embeddings"):
            warm_start(built(cls, **changes), built(Llama))
