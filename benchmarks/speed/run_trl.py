"""TRL's SFTTrainer with PEFT, a step at an order; see `runner.py`.

Settings: `model` a folder, `rows` a list of `[ids, prompt_length]` in the order of training, `batch_size`, `rank`,
`config` for `SFTConfig`, `adapter` a folder of peft's to start from (else peft draws one), `out` a folder.
The clock runs from `on_step_begin`, when the batch is collated, to `on_step_end`.
"""

from __future__ import annotations

from typing import Any

from runner import Channel, labels_of


def main() -> None:
    """Train until told to end."""
    channel = Channel()
    given = channel.settings
    from datasets import Dataset
    from peft import LoraConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class InTurns(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            trainer.seen = 0
            channel.wait()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            channel.done(tokens=trainer.seen, loss=float(trainer.loss))

    class Watched(SFTTrainer):
        seen, loss = 0, 0.0

        def training_step(self, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            mask = inputs.get("attention_mask")  # rows without padding have none
            self.seen += inputs["input_ids"].numel() if mask is None else int(mask.sum())
            self.loss = super().training_step(model, inputs, *rest, **named)
            return self.loss

    rows = [{"input_ids": ids, "labels": labels_of(ids, length)} for ids, length in given["rows"]]
    model, lora = given["model"], None
    if "adapter" in given:
        model = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(model), given["adapter"], is_trainable=True
        )
    else:
        lora = LoraConfig(
            r=given["rank"], lora_alpha=2 * given["rank"], target_modules="all-linear", task_type="CAUSAL_LM"
        )
    config = SFTConfig(
        output_dir=given["out"], per_device_train_batch_size=given["batch_size"], num_train_epochs=1000,
        train_sampling_strategy="sequential", save_strategy="no", report_to="none", disable_tqdm=True,
        **given["config"],
    )  # fmt: skip
    trainer = Watched(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(given["model"]),
        peft_config=lora,
        callbacks=[InTurns()],
    )
    channel.say(ready=True)
    trainer.train()


if __name__ == "__main__":
    main()
