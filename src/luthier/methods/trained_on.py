"""What of a base the weights of a method depend on: written beside them, and compared when they are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError


def base_shape(model: Any) -> dict[str, Any]:
    """The architecture, depth and width of a model, plain or with a method attached."""
    config = model.config.get_text_config(decoder=True)
    return {"model_type": config.model_type, "layers": config.num_hidden_layers, "width": config.hidden_size}


def wrong_base(folder: Path, why: str) -> LuthierError:
    """The weights in the folder are another model's."""
    return LuthierError(
        f"these weights were trained on another model: {why}",
        where=str(folder),
        mend="load them onto the base that they were trained on",
    )
