"""Our model behind lm-eval's interface gives what lm-eval's own HF backend gives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.models.load import load_model
from luthier.suites.judged import Judged, load_judged
from tests.tiny import BOS_CHAT, CHATML, SENTENCES, tiny_config, tiny_model, tiny_tokenizer

PAIRS = (
    ("", "A customer asks"),
    ("", "The"),
    ("The quick brown fox ", "jumps over"),
    ("The quick brown fox", " jumps over"),
    ("The quick brown fox", " sleeps"),
    ("The quick brown fox", " s"),
    ("What is the colour of the sky? The colour of the sky is", " blue"),
    ("What is the colour of the sky? The colour of the sky is", " green. Green."),
    ("What is the colour of the sky? The colour of grass is\n\n", "green"),
    (" ".join(SENTENCES), " Anna: no, at ten"),
    (" ".join(SENTENCES), "\n\nBen"),
)
TEXTS = ("", "The dog sleeps.", " ".join(SENTENCES))
STOPPED = {"until": ["e", "\n\n"], "max_gen_toks": 12, "do_sample": False}
CONTEXTS = (*(f"{text} Please" for text in SENTENCES), "What", " ".join(SENTENCES))


def asked(*arguments: Any) -> list[Any]:
    return [SimpleNamespace(args=one, task_name="made up") for one in arguments]


def both(folder: Path, judged: Judged | None = None) -> tuple[Any, Any]:
    """lm-eval's backend on the model as transformers loads it, and ours."""
    from lm_eval.models.huggingface import HFLM

    from luthier.suites.harness_model import HarnessModel

    judged = judged or load_judged(str(folder))
    plain = load_model(judged.files)
    return HFLM(pretrained=plain, tokenizer=judged.tokenizer, batch_size=3), HarnessModel(judged)


def even_t5(folder: Path) -> Path:
    """With as many layers on either side: transformers' own generation fails where the decoder has more."""
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(tiny_model("t5", folder))
    config = tiny_config("t5", vocab_size=320, context=64, tokenizer=tokenizer)
    config.num_decoder_layers = config.num_layers
    torch.manual_seed(0)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["llama", "gpt2", "t5", "bart", "with-bos"])
def models(request: Any, tmp_path_factory: Any) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "t5":
        return both(even_t5(folder))
    if request.param == "with-bos":
        return both(tiny_model("llama", folder, context=64, tokenizer=tiny_tokenizer(post_bos=True)))
    return both(tiny_model(request.param, folder, context=64))


def test_likelihoods_and_greedy_flags(models: tuple[Any, Any]) -> None:
    theirs, ours = models
    greedy = theirs.generate_until(asked(("There were three cats", {"max_gen_toks": 2})), disable_tqdm=True)
    requests = asked(*PAIRS, *((("There were three cats", greedy[0]),) if greedy[0] else ()))
    expected, found = theirs.loglikelihood(requests, disable_tqdm=True), ours.loglikelihood(requests)
    assert [total for total, _ in found] == pytest.approx([total for total, _ in expected], abs=1e-4)
    assert [flag for _, flag in found] == [flag for _, flag in expected]


def test_whole_texts(models: tuple[Any, Any]) -> None:
    theirs, ours = models
    requests = asked(*((text,) for text in TEXTS[1:]))
    assert ours.loglikelihood_rolling(requests) == pytest.approx(theirs.loglikelihood_rolling(requests), abs=1e-4)


def test_answers(models: tuple[Any, Any]) -> None:
    theirs, ours = models
    # Behind an encoder the backend's answers may be longer by the batch's longest prompt; texts that are stopped agree.
    requests = asked(*((context, {**STOPPED, "until": ["e", "a", " "]}) for context in CONTEXTS))
    expected, found = theirs.generate_until(requests, disable_tqdm=True), ours.generate_until(requests)
    if ours.backend == "seq2seq":
        assert all(whole.startswith(part) for whole, part in zip(expected, found, strict=True))
    else:
        assert found == expected


def test_a_flag_tells_what_greedy_decoding_writes(tmp_path: Path) -> None:
    _, ours = both(tiny_model("llama", tmp_path))
    prompt = ours.tok_encode("There were")
    logits = ours.judged.model(torch.tensor([prompt])).logits[0, -1]
    best, other = logits.topk(2).indices.tolist()
    rows = [(None, prompt, [best]), (None, prompt, [other])]
    assert [greedy for _, greedy in ours._loglikelihood_tokens(rows)] == [True, False]


def test_answers_are_cut_and_keep_their_white_space(tmp_path: Path) -> None:
    theirs, ours = both(tiny_model("llama", tmp_path))
    free = asked(*((context, {"until": [], "max_gen_toks": 20}) for context in CONTEXTS))
    texts = ours.generate_until(free)
    assert texts == theirs.generate_until(free, disable_tqdm=True)
    stop = texts[0][5:7]
    cut = ours.generate_until(asked((CONTEXTS[0], {"until": [stop], "max_gen_toks": 20})))
    assert cut == [texts[0][: texts[0].find(stop)]]


def test_draws_belong_to_the_request(tmp_path: Path) -> None:
    _, ours = both(tiny_model("llama", tmp_path))
    drawn = {"do_sample": True, "temperature": 1.0, "top_p": 0.95, "max_gen_toks": 8}
    alone = ours.generate_until(asked((CONTEXTS[1], drawn)))
    among = ours.generate_until(asked(*((context, drawn) for context in (*CONTEXTS, CONTEXTS[1]))))
    assert among[1] == alone[0] and among[-1] != alone[0]


def test_conversations_are_written_as_the_template_has_them(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(template=BOS_CHAT)
    theirs, ours = both(tiny_model("llama", tmp_path, tokenizer=tokenizer))
    turns = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "What is grass?"}]
    assert ours.apply_chat_template(turns) == theirs.apply_chat_template(turns) == "<s>[INST] What is grass? [/INST]"
    assert ours.tokenizer_name == theirs.tokenizer_name
    assert ours.chat_template(True) == BOS_CHAT
    assert ours.tok_encode("<s>[INST]") == theirs.tok_encode("<s>[INST]")


def test_tokens_that_end_an_answer(tmp_path: Path) -> None:
    _, ours = both(tiny_model("llama", tmp_path, tokenizer=tiny_tokenizer(template=CHATML)))
    end, turn = ours.tokenizer.convert_tokens_to_ids(["</s>", "<|im_end|>"])
    assert ours._stop_ids(("</s>", "Q")) == {end}
    assert ours._stop_ids(("<|im_end|>",)) == {end, turn}
    ours.apply_chat_template([{"role": "user", "content": "What is grass?"}])
    assert ours._stop_ids(()) == {end, turn}


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    _, ours = both(tiny_model("llama", tmp_path, context=64))
    with pytest.raises(LuthierError, match="0 tokens"):
        ours.loglikelihood(asked(("The dog", "")))
    with pytest.raises(LuthierError, match="asks for 256 tokens"):
        ours.generate_until(asked(("The dog", {})))
    with pytest.raises(LuthierError, match="num_beams"):
        ours.generate_until(asked(("The dog", {"num_beams": 4, "max_gen_toks": 4})))
