"""One method on one architecture in a plain loop over padded batches, a step at an order; see `runner.py`.

Settings: `architecture`, `study` and `arm` (from which the method's settings are read), `model` a folder, `rows` of
`method_cells.py` in the order of training, `batch_size`. peft puts on what peft has; adapters and biases are the same
modules as ours. Every position goes through the head.
"""

from __future__ import annotations

from typing import Any

from plain_loop import train
from runner import Channel


def main() -> None:
    """Train until told to end."""
    channel = Channel()
    given = channel.settings
    import torch

    torch.manual_seed(0)
    train(channel, attached(given).train(), given["architecture"], rate=1e-4)


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


if __name__ == "__main__":
    main()
