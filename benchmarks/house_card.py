"""Put a pretrained model among the house models, with a card that says what it is and how it was measured.

    luthier pretrain studies/pretrain/decoder.yaml --out runs/decoder --processes 2
    python benchmarks/house_card.py runs/decoder src/luthier/models/house/decoder

The card's figures are held-out bits per byte of the model, of `xz -9e` on the same held-out text, and of an
interpolated modified Kneser-Ney 5-gram (benchmarks/kneser_ney.py) trained on the very tokens that the model saw.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from kneser_ney import KneserNey5, xz_bits_per_byte

from luthier.core.settings import read
from luthier.objectives.language_modelling import PackedData
from luthier.pretrain_file import PretrainSpec

FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def main(run: Path, house: Path) -> None:
    """Measure the baselines, copy the files, write the card."""
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    spec = read(PretrainSpec, evaluation["spec"], str(run / "evaluation.json"))
    boundary = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))["eos_token_id"]
    ngram = KneserNey5.fit(seen_tokens(spec, run, boundary), spec.architecture.vocabulary, boundary=boundary)
    rows = []
    for name in spec.sources:
        text = (run / "tokens" / f"{name}.held-out.txt").read_bytes()
        held_out = np.load(run / "tokens" / f"{name}.held-out.npy")
        bits = -ngram.log_probabilities(held_out).sum() / np.log(2)
        rows.append((name, len(text), xz_bits_per_byte(text), bits / len(text), evaluation["bits_per_byte"][name]))
    house.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        shutil.copyfile(run / "model" / file, house / file)
    (house / "README.md").write_text(card(spec, evaluation, rows), encoding="utf-8")
    print((house / "README.md").read_text(encoding="utf-8"))


def seen_tokens(spec: PretrainSpec, run: Path, boundary: int) -> np.ndarray:
    """Every row that the training drew, in order, each closed by the boundary so that no n-gram reaches across rows."""
    tokens = {name: np.load(run / "tokens" / f"{name}.train.npy", mmap_mode="r") for name in spec.sources}
    context, rows = spec.architecture.context, spec.training.batch_size
    steps = max(1, round(spec.tokens / (rows * context)))
    data = PackedData(
        tokens,
        {name: settings.weight for name, settings in spec.sources.items()},
        context=context,
        short_context=spec.short_context,
        short_share=spec.short_share,
        step_tokens=rows * context,
        micro_tokens=context,
        steps=steps,
        seed=spec.seed,
        held_out={},
    )
    return np.concatenate([part for step in range(steps) for row in data.rows(0, step) for part in (row, [boundary])])


def card(spec: PretrainSpec, evaluation: dict[str, Any], rows: list[tuple[str, int, float, float, float]]) -> str:
    """The model card, in Markdown."""
    shape = spec.architecture
    sources = "\n".join(
        f"| {name} | {settings.licence} | {evaluation['source_tokens'][name] / 1e6:.1f}M | {settings.weight:.0%} |"
        for name, settings in spec.sources.items()
    )
    figures = "\n".join(
        f"| {name} | {size:,} | {xz:.3f} | {ngram:.3f} | **{ours:.3f}** |" for name, size, xz, ngram, ours in rows
    )
    machine = evaluation["environment"]
    return f"""# {spec.name}

A small decoder, trained from scratch by Luthier, so that studies, demos and tests run offline on a real language model.
It is made for comparing methods, not for use: it writes English-looking text and knows next to nothing.

| | |
|---|---|
| architecture | Llama: {shape.layers} layers, width {shape.d_model}, {shape.heads} query and {shape.key_value_heads} key-value heads, SwiGLU {shape.d_feed_forward}, tied embeddings |
| parameters | {evaluation["parameters"]:,}, stored in bf16 |
| context | {shape.context:,} tokens |
| tokenizer | byte-level BPE, {shape.vocabulary:,} tokens, digits apart; padding, mask, class, separator, role and 64 span-sentinel tokens reserved |
| trained on | {evaluation["tokens"]:,} tokens ({evaluation["tokens"] / evaluation["parameters"]:.1f} a parameter: undertrained), about {evaluation["flops"]:.1e} FLOPs |
| took | {evaluation["seconds"] / 60:.0f} minutes on {machine["cpu"]["usable_cores"]} cores ({evaluation["precision"]}), other work beside it |
| final loss | {evaluation["loss"]:.3f} nats a token (training mixture), {evaluation["validation_loss"]:.3f} held out (sources alike) |
| licence of the weights | Apache-2.0; the sources keep theirs |

## Data

| source | licence | tokens at hand | share of training |
|---|---|---|---|
{sources}

Novels are 186 English novels of 1840-1920; Wikipedia is a sample of English articles of 2018 (title and text);
dialogues are the Schema-Guided Dialogue data set, its turns under four pairs of speaker names. Nothing else went in:
no instructions, no summaries, no preference data.

## Held-out bits per byte

Documents drawn by hash before training and never trained on (of a novel, its beginning; the rest of it is dropped).

| source | bytes | `xz -9e` | Kneser-Ney 5-gram | this model |
|---|---|---|---|---|
{figures}

The 5-gram is an interpolated modified Kneser-Ney on the same tokenizer, trained on the very tokens that the model saw.
`xz` compresses the held-out text alone. The model's figures are of the stored bf16 weights.

## Limits

English only, undertrained by design, no instruction following, and biases of its sources (Victorian novels among them).
Do not use what it writes as fact.

## Made by

```sh
luthier pretrain studies/pretrain/decoder.yaml --out runs/decoder --processes 2
python benchmarks/house_card.py runs/decoder src/luthier/models/house/decoder
```

This checkpoint was trained in several sittings of that command, resumed from checkpoints: the first 88 steps by one
process with two threads, the rest by two processes; its length was set from 793 to 696 steps while the rate was still
constant (the warm-up was 31 steps throughout). Run anew, the command gives a model that differs by rounding.
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
