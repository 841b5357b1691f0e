"""Engine arguments from a file."""

from pathlib import Path
from typing import Any

import yaml


def update_llm_args_with_extra_options(llm_args: dict[str, Any], extra_llm_api_options: str) -> dict[str, Any]:
    """The arguments with those of a YAML file laid over them: the file wins. Unknown names are not refused here."""
    extra = yaml.safe_load(Path(extra_llm_api_options).read_text(encoding="utf-8"))
    return {**llm_args, **(extra or {})}
