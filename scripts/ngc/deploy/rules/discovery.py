"""Rules about who finds whom: a frontend, workers that serve, the same namespace, and events for the router."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ngc.deploy import names, serving
from ngc.deploy.commandline import flags
from ngc.deploy.graph import FRONTEND, Service
from ngc.deploy.paths import Keys
from ngc.deploy.rules.rule import ERROR, WARNING, Found, Subject, at, in_main, rule, variable

NO_SERVERS = (FRONTEND, "planner", "router")  # modules that answer no request themselves
NAMESPACE = "DYN_NAMESPACE"


@rule("no-frontend", ERROR)
def no_frontend(subject: Subject) -> Iterator[Found]:
    """No service of componentType frontend, or none with replicas: clients have nothing to ask."""
    fronts = [service for service in subject.graph.services if service.type == FRONTEND]
    if not fronts:
        yield Found(("spec", "services"), "no service has componentType frontend: no Service is made for clients to ask",
                    "add a service with componentType: frontend")  # fmt: skip
    elif not any(subject.runs(service) for service in fronts):
        what = "no frontend has replicas: behind the Service is no pod for clients to ask"
        yield Found(at(fronts[0], "replicas"), what, "write replicas: 1 or more")


@rule("no-worker", ERROR)
def no_worker(subject: Subject) -> Iterator[Found]:
    """Workers, and none with replicas: no model is served. A planner or autoscaling may begin with none."""
    found = [service for service in subject.graph.workers if service.module not in NO_SERVERS]
    if found and not any(subject.runs(service) for service in found):
        what = "no worker has replicas: no model is served"
        yield Found(at(found[0], "replicas"), what, "write replicas: 1 or more, or add a planner that does")


@rule("namespace-mismatch", ERROR)
def namespace_mismatch(subject: Subject) -> Iterator[Found]:
    """Services with different dynamoNamespace: the graph fails."""
    graph = subject.graph
    most = _common(subject)
    for service in graph.services:
        own = names.dynamo_namespace(graph, service)
        if own != most:
            what = f"its dynamoNamespace is {own}, that of others is {most}: the graph fails"
            yield Found(at(service, "dynamoNamespace"), what, "write the same in all services, or leave it out of all")


def _common(subject: Subject) -> str:
    """The namespace that the operator gives to most services."""
    counts = Counter(names.dynamo_namespace(subject.graph, service) for service in subject.graph.services)
    return counts.most_common(1)[0][0]


def _namespace(subject: Subject, service: Service) -> tuple[str, Keys]:
    """The namespace that a process really takes, and where that is said; empty for a frontend that looks in all."""
    if service.module == FRONTEND:
        said, name = serving.flag(service.words, "--namespace", {}), "--namespace"
    else:
        name = subject.serving.get("address", "")
        address = serving.flag(service.words, name, {}) or "" if name else ""
        said = address.removeprefix("dyn://").split(".")[0] if address.count(".") == 2 else None
    if said is not None:
        return said, next((flag.keys for flag in flags(service) if flag.head == name), in_main(service, "args"))
    return variable(subject.graph, service, NAMESPACE) or (_common(subject), at(service))


@rule("namespace-differs", ERROR)
def namespace_differs(subject: Subject) -> Iterator[Found]:
    """A worker in another namespace than the frontend looks in, or than the worker that needs it: it is never found."""
    front = subject.graph.frontend
    looked, place = _namespace(subject, front) if front else ("", ())
    found = [(service, *_namespace(subject, service)) for service in subject.workers if subject.runs(service)]
    found = [each for each in found if "$" not in each[1]]
    if "$" in looked or not found:
        return
    where = "the frontend looks"
    if not looked and subject.disaggregated:
        looked, where = found[0][1], f"{found[0][0].key} is"
    elif looked and not any(own == looked for _, own, _ in found) and len({own for _, own, _ in found}) == 1:
        yield Found(place, f"the frontend looks in the namespace {looked}, and all workers are in {found[0][1]}: no model is listed",
                    "write the same namespace in all, or leave it out of all")  # fmt: skip
        return
    for service, own, keys in found if looked else ():
        if own != looked:
            yield Found(keys, f"{service.key} is in the namespace {own}, and {where} in {looked}: it is never found",
                        "write the same namespace in all, or leave it out of all")  # fmt: skip


@rule("no-kv-events", WARNING)
def no_kv_events(subject: Subject) -> Iterator[Found]:
    """KV routing over workers that publish no KV events: the router knows of no cached prefix and spreads as if there were none."""
    front, switch = subject.graph.frontend, subject.serving.get("events")
    if front is None or switch is None or any(flag.head == "--no-kv-events" for flag in flags(front)):
        return
    said = variable(subject.graph, front, "DYN_ROUTER_MODE")
    mode = serving.flag(front.words, "--router-mode", {}) or (said[0] if said else None)
    for service in subject.workers if mode == "kv" else ():
        if subject.runs(service) and subject.first(service) and not any(flag.head == switch for flag in flags(service)):
            what = "it publishes no KV events, by which the frontend's router mode kv chooses: cached prefixes are not seen"
            yield Found(in_main(service, "args"), what, f"add {switch}, or --no-kv-events to the frontend")
