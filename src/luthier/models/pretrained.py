"""A model as it was pretrained: with the head that foretells tokens, which an encoder is otherwise loaded without."""

from __future__ import annotations

from typing import Any

from luthier.core.errors import LuthierError
from luthier.models.load import ModelFiles, load_model, quiet


def load_pretrained(files: ModelFiles, *, device: str = "cpu") -> Any:
    """The model in evaluation mode, fp32, with the head that it was pretrained with.

    Raises:
        LuthierError: an encoder was saved without the layer that foretells tokens; or as for `load_model`.
    """
    if files.kind != "encoder":
        return load_model(files, device=device)
    import torch
    from transformers import AutoModelForMaskedLM

    with quiet():
        model, loaded = AutoModelForMaskedLM.from_pretrained(
            files.folder,
            dtype=torch.float32,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    if loaded["missing_keys"]:
        raise LuthierError(
            f"{files.name} lacks {sorted(loaded['missing_keys'])[0]}: it was saved without what foretells tokens",
            where=str(files.folder),
            mend="name the model as it was pretrained",
        )
    return model.to(device).eval()
