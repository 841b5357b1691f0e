"""Configs of the tree with changes that --set cannot make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ngc import catalog


def changed(folder: Path, config: str, change: Callable[[dict[str, Any]], None]) -> str:
    """The flag that names a copy of a config, its services changed."""
    from ruamel.yaml import YAML

    data = YAML(typ="safe").load((catalog.ROOT / "configs" / f"{config}.yaml").read_text())
    change(data["spec"]["services"])
    file = folder / f"{config}.yaml"
    with file.open("w") as out:
        YAML(typ="safe").dump(data, out)
    return f"--config={file}"


def renamed(old: str, new: str, image: str | None = None, replicas: int = 1) -> Callable[[dict[str, Any]], None]:
    """A change: a service under another name, with another image, and each service so many times."""

    def change(services: dict[str, Any]) -> None:
        services[new] = services.pop(old)
        if image:
            services[new]["extraPodSpec"]["mainContainer"]["image"] = image
        for service in services.values():
            service["replicas"] = replicas

    return change
