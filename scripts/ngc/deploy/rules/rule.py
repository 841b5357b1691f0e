"""The register of lint rules: each is a function that finds in a graph what its docstring's sentence says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ngc.catalog import Base
from ngc.deploy import fields, schema, serving
from ngc.deploy.commandline import Table
from ngc.deploy.graph import FRONTEND, PREFILL, WORKER, Graph, Service, plain
from ngc.deploy.graph import at as at  # rules have all that they need from here
from ngc.deploy.paths import Keys
from ngc.deploy.schema import Problem

ERROR, WARNING, INFO = "error", "warning", "info"  # it will not work; likely trouble; good to know
SEVERITIES = (ERROR, WARNING, INFO)


@dataclass(frozen=True)
class Subject:
    """What rules look at. `base` and `serving` describe the graph's workers; None and {} where nothing is known of them."""

    graph: Graph
    base: Base | None
    serving: Mapping[str, Any]
    frameworks: tuple[str, ...]
    worker_flags: Table | None
    frontend_flags: Table

    @cached_property
    def workers(self) -> tuple[Service, ...]:
        """The services that run the framework's module; of others, such as a mocker, nothing is known."""
        name = self.graph.framework if self.graph.framework in self.frameworks else None
        return tuple(service for service in self.graph.workers if name and service.module == name)

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """prefill, decode or worker, by the key of the service; those that do not run are left out."""
        return {s.key: serving.role(s, self.serving) for s in self.workers if self.runs(s)}

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What the schema refuses: of the CRDs that DYNAMO_CRDS names, else our model."""
        data = self.graph.data
        rules = schema.current(str(data.get("apiVersion"))) or fields.MODEL
        return tuple(schema.problems(rules, plain(data)))

    @property
    def disaggregated(self) -> bool:
        return PREFILL in self.roles.values()

    def runs(self, service: Service) -> bool:
        """False for a service without replicas, unless a planner or the service itself may scale it."""
        planned = any("planner" in (other.type, other.module) for other in self.graph.services)
        return service.replicas > 0 or planned or get(service.spec, "autoscaling", "enabled") is True

    def strategy(self, service: Service) -> str | None:
        """The strategy of disaggregation that a worker is given; None where its framework has one only."""
        known = self.serving.get("strategy")
        return (serving.flag(service.words, known["flag"], {}) or str(known["default"])) if known else None

    def first(self, service: Service) -> bool:
        """True for a worker that a frontend asks itself, not one that another worker asks."""
        role = serving.role(service, self.serving)
        endpoints = self.serving.get("endpoints", {})
        asked = endpoints.get(self.strategy(service) or "", {}).get(role)
        return role == WORKER or asked == endpoints.get("aggregated", {}).get(WORKER)

    def table(self, service: Service) -> Table | None:
        """The flags that a service's module takes, None where they are not known."""
        if service.module == FRONTEND:
            return self.frontend_flags
        return self.worker_flags if service in self.workers else None


@dataclass(frozen=True)
class Found:
    """What a rule found: where, what will happen, and the fix. `line` only for what is no field, such as a comment."""

    keys: Keys
    what: str
    fix: str
    line: int | None = None


def variable(graph: Graph, service: Service, name: str) -> tuple[str, Keys] | None:
    """The value of a variable of a service and its place, the last one that counts; None where it is not written as text."""
    places: tuple[Keys, ...] = (in_main(service, "env"), at(service, "envs"), ("spec", "envs"))
    lists = (service.main.get("env"), service.spec.get("envs"), graph.spec.get("envs"))
    for keys, found in zip(places, lists, strict=True):
        for number, entry in reversed(list(enumerate(found if isinstance(found, list) else ()))):
            if isinstance(entry, Mapping) and entry.get("name") == name:
                value = entry.get("value")
                return None if value is None else (str(value), (*keys, number))
    return None


Look = Callable[[Subject], Iterator[Found]]


@dataclass(frozen=True)
class Rule:
    """`about` is the docstring of `look`: what is wrong, and what happens then."""

    id: str
    severity: str
    about: str
    look: Look


RULES: dict[str, Rule] = {}


def rule(id: str, severity: str) -> Callable[[Look], Look]:
    """Register a function as the rule of that id."""

    def register(look: Look) -> Look:
        RULES[id] = Rule(id, severity, " ".join((look.__doc__ or "").split()).rstrip("."), look)
        return look

    return register


def in_main(service: Service, *keys: str | int) -> Keys:
    """The place of a field of a component's main container."""
    return at(service, "extraPodSpec", "mainContainer", *keys)


def get(data: Any, *keys: str) -> Any:
    """A value deep in mappings, None where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def entries(data: Any) -> list[Mapping[str, Any]]:
    """The mappings of a list; none where it is no list."""
    return [entry for entry in data if isinstance(entry, Mapping)] if isinstance(data, list) else []
