"""From what a user names (config, base, image, settings) to the graph that is rendered: the built image put in, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngc import bases, planning
from ngc import reference as references
from ngc.asked.configs import Config
from ngc.catalog import Base, Catalog, Framework
from ngc.deploy import edit, kubernetes, serving
from ngc.deploy.graph import Graph, Service, at, find, load, of
from ngc.deploy.paths import text
from ngc.errors import Wrong

TARGET = "runtime"  # the target that production runs


@dataclass(frozen=True)
class Prepared:
    """A graph ready to be rendered. `base` None: nothing is known of its workers; `image` None: the config's own were kept."""

    graph: Graph
    framework: Framework | None
    base: Base | None
    image: str | None

    @property
    def serving(self) -> Mapping[str, Any]:
        return self.base.serving if self.base else {}


def prepare(catalog: Catalog, asked: Config, registry: str | None = None) -> Prepared:
    """Read a config and put the built image in. `registry`: host[:port][/path] that it is pulled from. Raises Wrong.

    Every image is a reference then, so none can be an option of a program that is given it.
    """
    prepared = _prepare(catalog, asked, registry)
    for service in prepared.graph.services:
        if service.image is not None:
            try:
                references.parse(service.image)
            except Wrong as error:
                place = kubernetes.place(prepared.graph, *at(service, "extraPodSpec", "mainContainer", "image"))
                raise Wrong(f"{place}: {error}") from None
    return prepared


def _prepare(catalog: Catalog, asked: Config, registry: str | None) -> Prepared:
    graph = edit.apply(load(find(asked.config)), asked.set)
    framework = next((f for f in catalog.frameworks if f.name == graph.framework), None)
    known = serving.base_of(catalog, graph)
    if asked.image is not None:
        references.parse(asked.image)
        return Prepared(_with_image(graph, asked.image, graph.services), framework, known, asked.image)
    if framework is None:
        return Prepared(graph, None, None, None)
    ours = tuple(service for service in graph.services if _base_image(framework, service))
    if not ours:
        return Prepared(graph, framework, known, None)
    base = asked.base or os.environ.get(bases.VARIABLE) or bases.NGC
    # A config names the NGC image that it is written for; that is the base of ours, not the Dockerfile's default.
    own = str(ours[0].image) if base == bases.NGC else base
    chosen = bases.choose(catalog, [framework.name], own)[framework.name]
    built = planning.name(catalog.select([framework.name], [TARGET])[0], chosen)
    prefix = f"{references.registry_prefix(registry, '--registry')}/" if registry else ""
    entry = chosen.entry if chosen.entry and chosen.entry.serving else known
    return Prepared(_with_image(graph, prefix + built, ours), framework, entry, prefix + built)


def _base_image(framework: Framework, service: Service) -> bool:
    """True for an image that the framework's are built on; a user's own image is left alone."""
    try:
        return service.image is not None and framework.known(references.parse(service.image)) is not None
    except Wrong:
        return False  # lint says what is wrong with it


def _with_image(graph: Graph, image: str, services: Sequence[Service]) -> Graph:
    for service in services:
        holder, keys = graph.data["spec"]["services"], (service.key, "extraPodSpec", "mainContainer")
        for number, key in enumerate(keys, 1):
            if holder.get(key) is None:
                holder[key] = {}
            holder = holder[key]
            if not isinstance(holder, dict):
                place = ("spec", "services", *keys[:number])
                raise Wrong(f"{kubernetes.place(graph, *place)}: {text(place)} is no mapping; write it as one")
        holder["image"] = image
    return of(graph.path, graph.data, graph.others, graph.allowed)
