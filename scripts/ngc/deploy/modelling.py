"""Another model than the config's: a folder of this machine or a name of Hugging Face, in every worker's command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ngc.deploy.graph import of
from ngc.deploy.prepare import Prepared
from ngc.errors import Wrong

# As huggingface_hub validates a repository's name.
_HUB_NAME = re.compile(r"[\w][\w.-]{0,95}(?:/[\w][\w.-]{0,95})?", re.ASCII)


def hugging_face_cache() -> Path:
    """The folder in which this user's Hugging Face downloads are kept, as huggingface_hub finds it."""
    return Path(
        os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    )


def with_model(prepared: Prepared, model: str) -> Prepared:
    """The graph with every worker's model replaced. Raises Wrong for a folder that is no model, or workers without a model flag."""
    path = Path(model)
    fix = "name a folder with a model, or a Hugging Face name such as Qwen/Qwen3-0.6B"
    if path.is_dir() and model:
        if not (path / "config.json").is_file():
            raise Wrong(f"{model} has no config.json; {fix}")
        return served_from(prepared, str(path.resolve()), path.resolve().name)
    if path.exists() and model:
        raise Wrong(f"--model is {model}, which is a file; {fix}")
    if model.startswith(("/", ".", "~")):
        raise Wrong(f"there is no folder {model}; {fix}")
    if not _HUB_NAME.fullmatch(model):
        raise Wrong(f"--model is '{model}'; {fix}")
    return served_from(prepared, model, model)


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
    return replace(prepared, graph=of(graph.path, graph.data, graph.others, graph.allowed))


def _replace(args: Any, serving: Mapping[str, Any], model: str, name: str) -> bool:
    """Put model and name into a list of words, in place; True if it had a model."""
    if not isinstance(args, list) or not _put(args, serving, "model", model):
        return False
    if not _put(args, serving, "served-name", name) and name != model:
        args += [serving["served-name"], name]
    return True


def _put(args: list[Any], serving: Mapping[str, Any], kind: str, value: str) -> bool:
    """Give a flag another value, written as `--flag value` or `--flag=value`, by any of its names; True if it is there."""
    flag, aliases = serving.get(kind), serving.get("aliases", {})
    for number, word in enumerate(args):
        head, equals, _ = str(word).partition("=")
        if flag is None or aliases.get(head, head) != flag:
            continue
        if equals:
            args[number] = f"{head}={value}"
        else:
            args[number + 1 : number + 2] = [value]
        return True
    return False
