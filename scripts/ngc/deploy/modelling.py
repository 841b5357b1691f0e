"""Another model than the config's: a folder of this machine or a name of Hugging Face, in every worker's command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ngc.deploy.graph import of
from ngc.deploy.prepare import Prepared
from ngc.errors import Wrong


def hugging_face_cache() -> Path:
    """The folder in which this user's Hugging Face downloads are kept, as huggingface_hub finds it."""
    return Path(
        os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    )


def with_model(prepared: Prepared, model: str) -> Prepared:
    """The graph with every worker's model replaced. Raises Wrong for a folder that is no model, or workers without a model flag."""
    path = Path(model)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise Wrong(
                f"{model} has no config.json; name a folder with a model, or a Hugging Face name such as Qwen/Qwen3-0.6B"
            )
        model, name = str(path.resolve()), path.resolve().name
    elif model.startswith(("/", ".", "~")):
        raise Wrong(
            f"there is no folder {model}; name a folder with a model, or a Hugging Face name such as Qwen/Qwen3-0.6B"
        )
    else:
        name = model
    return served_from(prepared, model, name)


def served_from(prepared: Prepared, model: str, name: str) -> Prepared:
    """The graph with every worker on a model, by its path or Hugging Face name, served as `name`. Raises Wrong."""
    graph = prepared.graph
    changed = False
    for worker in graph.workers:
        main = graph.data["spec"]["services"][worker.key]["extraPodSpec"]["mainContainer"]
        changed |= _replace(main.get("args"), prepared.serving, model, name)
    if not changed:
        raise Wrong(
            f"{graph.path}: no worker has a {prepared.serving.get('model', 'model')} to replace in its args; leave the model out"
        )
    return replace(prepared, graph=of(graph.path, graph.data, graph.beside, graph.allowed))


def _replace(args: Any, serving: Mapping[str, Any], model: str, name: str) -> bool:
    """Put model and name into a list of words, in place; True if it had a model."""
    if not isinstance(args, list) or serving.get("model") not in args:
        return False
    args[args.index(serving["model"]) + 1] = model
    flag = serving["served-name"]
    if flag in args:
        args[args.index(flag) + 1] = name
    elif name != model:
        args += [flag, name]
    return True
