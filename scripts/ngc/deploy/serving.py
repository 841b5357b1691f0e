"""How the workers of a graph are told what to do and where they answer: `serving` of the base's entry in image.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngc import reference as references
from ngc.bases import STAND_IN
from ngc.catalog import Base, Catalog
from ngc.deploy.graph import DECODE, PREFILL, WORKER, Graph, Service
from ngc.errors import Wrong
from ngc.reference import Reference


@dataclass(frozen=True)
class Parallel:
    """How many GPUs a worker's flags ask for."""

    tensor: int
    pipeline: int
    data: int

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline * self.data


@dataclass(frozen=True)
class Endpoint:
    """Where a role's workers answer, as the frontend's /health lists them, and how many of them the graph promises."""

    role: str
    name: str  # component.endpoint
    workers: int
    services: tuple[str, ...] = ()  # keys of the graph whose workers these are


def base_of(catalog: Catalog, graph: Graph) -> Base | None:
    """The entry that describes the graph's workers: by their image's name, else by its version, else the stand-in's entry."""
    framework = next((f for f in catalog.frameworks if f.name == graph.framework), None)
    if framework is None:
        return None
    images = [image for service in graph.workers if service.image and (image := _parsed(service.image))]
    found = [known for image in images if (known := framework.known(image))]
    # Ours are tagged after their base: 0.6.1-post1, 0.6.1-stand-in.
    tags = {(image.tag or "").removesuffix(f"-{STAND_IN}") for image in images}
    found += [base for base in framework.bases if base.version in tags]
    found += [framework.stand_in] if framework.stand_in else []
    return next((base for base in (*found, *framework.bases) if base.serving), None)


def _parsed(image: str) -> Reference | None:
    try:
        return references.parse(image)
    except Wrong:
        return None  # lint says what is wrong with it


def flag(words: Sequence[str], name: str | None, aliases: Mapping[str, str]) -> str | None:
    """The value of a flag in a command line, however it is written; None where it is not there."""
    for number, word in enumerate(words):
        head, equals, value = word.partition("=")
        if name is not None and aliases.get(head, head) == name:
            return value if equals else next(iter(words[number + 1 : number + 2]), "")
    return None


def model(service: Service, serving: Mapping[str, Any]) -> str | None:
    """The name under which a worker's model is served."""
    aliases = serving.get("aliases", {})
    named = (flag(service.words, serving.get(key), aliases) for key in ("served-name", "model"))
    return next((name for name in named if name), None)


def models(graph: Graph, serving: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of all models that the graph serves."""
    return tuple(dict.fromkeys(name for service in graph.workers if (name := model(service, serving))))


def parallel(service: Service, serving: Mapping[str, Any]) -> Parallel:
    """A worker's parallelism by its flags; 1 where a flag is missing or is no number."""
    aliases = serving.get("aliases", {})
    values = (flag(service.words, serving.get(f"{kind}-parallel"), aliases) for kind in ("tensor", "pipeline", "data"))
    return Parallel(*(int(value) if value and value.isdecimal() else 1 for value in values))


def role(service: Service, serving: Mapping[str, Any]) -> str:
    """prefill or decode by the words of the command line, then by subComponentType; else worker."""
    words = [part for word in service.words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for name in (PREFILL, DECODE):
        wanted: list[str] = serving.get("roles", {}).get(name, [])
        if wanted and any(words[at : at + len(wanted)] == wanted for at in range(len(words))):
            return name
    return service.sub_type if service.sub_type in (PREFILL, DECODE) else WORKER


def strategy(graph: Graph, serving: Mapping[str, Any]) -> str:
    """The row of `endpoints` that holds: aggregated, disaggregated, or who is asked first."""
    if not any(role(service, serving) == PREFILL for service in graph.workers):
        return "aggregated"
    if "strategy" not in serving:
        return "disaggregated"
    words = (flag(service.words, serving["strategy"]["flag"], {}) for service in graph.workers)
    return next((value for value in words if value), str(serving["strategy"]["default"]))


def endpoints(graph: Graph, serving: Mapping[str, Any]) -> tuple[Endpoint, ...]:
    """What must be registered before the graph serves. Empty where nothing is known of the workers."""
    row: Mapping[str, str] = serving.get("endpoints", {}).get(strategy(graph, serving), {})
    services: dict[str, list[Service]] = {}
    for service in graph.workers:
        name = role(service, serving)
        name = name if name in row else {WORKER: DECODE, DECODE: WORKER}.get(name, name)
        services.setdefault(name, []).append(service)
    return tuple(
        Endpoint(name, row[name], sum(s.replicas for s in found), tuple(s.key for s in found))
        for name, found in services.items()
        if name in row
    )
