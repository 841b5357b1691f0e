"""Which model folder a worker registers."""

import json
from pathlib import Path

# Tokenizer and config only; made by make_model.py when the image is built.
FOLDER = "/opt/stand-in/model"


def resolve(name: str) -> str:
    """The folder to register for `name`: the folder itself where there is one, else the stand-in's own.

    So `--model Qwen/Qwen3-0.6B` needs no network, no token and no mount. The served name stays what the user asked for.
    """
    return name if Path(name).is_dir() else FOLDER


def longest(folder: str) -> int:
    """The most tokens of a prompt and its answer together, by the model's config."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings", 32768))
