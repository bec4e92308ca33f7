"""One method on one architecture in a plain loop over padded batches, a step at an order; see `runner.py`.

Settings: `architecture`, `study` and `arm` (from which the method's settings are read), `model` a folder, `rows` of
`method_cells.py` in the order of training, `batch_size`. peft puts on what peft has; adapters and biases are the same
modules as ours. Every position goes through the head.
"""

from __future__ import annotations

import itertools
from typing import Any

from runner import Channel, labels_of

PAD = 2


def main() -> None:
    """Train until told to end."""
    channel = Channel()
    given = channel.settings
    import torch

    torch.manual_seed(0)
    model = attached(given).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    rows, batch_size = given["rows"], given["batch_size"]
    starts = itertools.cycle(range(0, len(rows) - batch_size + 1, batch_size))
    channel.say(ready=True)
    while True:
        channel.wait()
        chosen = rows[(start := next(starts)) : start + batch_size]
        loss = model(**padded(given["architecture"], chosen)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        channel.done(tokens=sum(len(ids) for ids, _ in chosen), loss=float(loss.detach()))


def attached(given: dict[str, Any]) -> Any:
    """The model with the method on it."""
    import torch
    import transformers
    from peft import get_peft_model

    from luthier.methods.method import PeftMethod
    from luthier.study import Study

    auto: Any = {
        "llama": transformers.AutoModelForCausalLM,
        "bert": transformers.AutoModelForSequenceClassification,
        "t5": transformers.AutoModelForSeq2SeqLM,
    }[given["architecture"]]
    model = auto.from_pretrained(given["model"])
    arms = Study.load(given["study"]).spec.arms
    method: Any = next(arm for arm in arms if arm.name == given["arm"]).stages[0].method
    torch.manual_seed(0)  # as a run does before it attaches a method: both draw the same weights
    if isinstance(method, PeftMethod):
        config = method.peft_config(model, None)
        config.task_type = {"llama": "CAUSAL_LM", "bert": "SEQ_CLS", "t5": "SEQ_2_SEQ_LM"}[given["architecture"]]
        return get_peft_model(model, config)
    model = method.attach(model, None)
    if given["architecture"] == "bert":
        model.classifier.requires_grad_(True)
    return model


def padded(architecture: str, rows: list[Any]) -> dict[str, Any]:
    """The batch, padded on the right to its longest row."""
    if architecture == "bert":
        import torch

        return {**_filled([ids for ids, _ in rows]), "labels": torch.tensor([label for _, label in rows])}
    if architecture == "t5":
        labels = _filled([ids[at:] for ids, at in rows], -100)["input_ids"]
        return {**_filled([ids[:at] for ids, at in rows]), "labels": labels}
    labels = _filled([labels_of(ids, at) for ids, at in rows], -100)["input_ids"]
    return {**_filled([ids for ids, _ in rows]), "labels": labels}


def _filled(rows: list[list[int]], fill: int = PAD) -> dict[str, Any]:
    import torch

    width = max(map(len, rows))
    return {
        "input_ids": torch.tensor([ids + [fill] * (width - len(ids)) for ids in rows]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in rows]),
    }


if __name__ == "__main__":
    main()
