"""Rules about the graph as a whole: its names, kinds of services, images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ngc import reference as references
from ngc.deploy import names
from ngc.deploy.graph import FRONTEND, WORKER, Service
from ngc.deploy.paths import Keys
from ngc.deploy.rules.rule import ERROR, INFO, WARNING, Found, Subject, at, get, in_main, rule
from ngc.errors import Wrong

LONGEST_LABEL = 63  # characters of a label's value
DYNAMOS_OWN = ("frontend", "mocker", "planner", "router")  # modules that are no framework
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_CHILD = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_STRICT = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")


@rule("metadata-name", ERROR)
def metadata_name(subject: Subject) -> Iterator[Found]:
    """A name that Kubernetes refuses for the object, or for the Service that is named after it."""
    if not _LABEL.fullmatch(subject.graph.name):
        what = f"'{subject.graph.name}' is refused as a name, of the object or of the frontend's Service"
        yield Found(("metadata", "name"), what, "write small letters, digits and hyphens, a letter first")


@rule("service-key", ERROR)
def service_key(subject: Subject) -> Iterator[Found]:
    """A service whose key makes no name of a child object (an underscore, or the same but for capitals): the graph fails."""
    counts = Counter(service.key.lower() for service in subject.graph.services)
    for service in subject.graph.services:
        if not _CHILD.fullmatch(service.key.lower()):
            yield Found(at(service), f"'{service.key}' makes no name of a child object: the graph fails",
                        "write letters, digits and hyphens")  # fmt: skip
        elif counts[service.key.lower()] > 1:
            yield Found(at(service), f"another service is called '{service.key.lower()}' too, but for capitals: both become one child",
                        "give it another name")  # fmt: skip


@rule("name-too-long", ERROR)
def name_too_long(subject: Subject) -> Iterator[Found]:
    """Graph name and service name together longer than a label may be: the graph fails."""
    for service in subject.graph.services:
        label = names.component(subject.graph, service)
        if len(label) > LONGEST_LABEL:
            what = f"'{label}' has {len(label)} characters, and a label takes {LONGEST_LABEL}: the graph fails"
            yield Found(at(service), what, "shorten metadata.name or the service's key")


def _mismatched(subject: Subject) -> list[Service]:
    """The workers that run another framework than backendFramework names."""
    named = subject.graph.spec.get("backendFramework")
    own = (named, *DYNAMOS_OWN)
    return [s for s in subject.graph.workers if s.module not in own] if isinstance(named, str) else []


@rule("framework-mismatch", ERROR)
def framework_mismatch(subject: Subject) -> Iterator[Found]:
    """backendFramework differs from the module that a worker runs: the graph stays pending, and only a child object says why."""
    named = subject.graph.spec.get("backendFramework")
    for service in _mismatched(subject):
        what = f"backendFramework is {named}, and {service.key} runs dynamo.{service.module}: the graph stays pending"
        # Where one of the two is a framework that is known here, that one is meant.
        fixes = [f"write {service.module}"] if service.module in subject.frameworks else []
        fixes += [f"run dynamo.{named} there"] if named in subject.frameworks else []
        yield Found(
            ("spec", "backendFramework"), what, ", or ".join(fixes) or f"choose from: {', '.join(subject.frameworks)}"
        )


@rule("unknown-framework", WARNING)
def unknown_framework(subject: Subject) -> Iterator[Found]:
    """A framework that this repository has no folder for: flags, roles and parallelism of its workers are not checked."""
    if _mismatched(subject):
        return  # framework-mismatch says which to write
    named = subject.graph.spec.get("backendFramework")
    places: list[tuple[str | None, Keys]] = [(named, ("spec", "backendFramework"))] if isinstance(named, str) else []
    places += [(service.module, in_main(service)) for service in subject.graph.workers if service.module != named]
    for name, keys in places:
        if name not in (*subject.frameworks, *DYNAMOS_OWN):
            what = (
                f"nothing is known of the framework {name}: flags, roles and parallelism of its workers are not checked"
            )
            yield Found(keys, what, f"choose from: {', '.join(subject.frameworks)}, or add ngc-builds/{name}")


@rule("worker-type", WARNING)
def worker_type(subject: Subject) -> Iterator[Found]:
    """A worker without componentType worker: the operator gives it no probes, no status port and no worker's variables."""
    for service in subject.workers:
        if service.type != WORKER:
            what = f"it runs dynamo.{service.module} and its componentType is {service.type}: it gets no probes and no status port"
            yield Found(at(service, "componentType"), what, "write componentType: worker")


@rule("no-command", ERROR)
def no_command(subject: Subject) -> Iterator[Found]:
    """A worker without command and args: its container runs a shell with nothing to do."""
    for service in subject.graph.services:
        if service.type != FRONTEND and not service.command and not service.args:
            yield Found(in_main(service), "it has neither command nor args: the container runs /bin/sh -c with nothing",
                        "add the command of a worker, as configs/ have it")  # fmt: skip


@rule("no-image", ERROR)
def no_image(subject: Subject) -> Iterator[Found]:
    """A service without an image: the graph stays pending, and only a child object says why."""
    for service in subject.graph.services:
        if not get(service.spec, "extraPodSpec", "mainContainer", "image"):
            yield Found(in_main(service), "it has no image: the graph stays pending, and only its child object says why",
                        "add extraPodSpec.mainContainer.image")  # fmt: skip


@rule("image-name", ERROR)
def image_name(subject: Subject) -> Iterator[Found]:
    """An image that is no image reference: the pod never starts."""
    for service in subject.graph.services:
        if service.image:
            try:
                references.parse(service.image)
            except Wrong:
                yield Found(in_main(service, "image"), f"'{service.image}' is no image reference: the pod never starts",
                            "write [registry/]repository[:tag][@sha256:digest]")  # fmt: skip


def _images(subject: Subject) -> Iterator[tuple[str, references.Reference]]:
    """(key of the service, its image) where the image can be read."""
    for service in subject.graph.services:
        try:
            if service.image:
                yield service.key, references.parse(service.image)
        except Wrong:
            continue  # image-name says it


@rule("image-moving", WARNING)
def image_moving(subject: Subject) -> Iterator[Found]:
    """An image without tag and digest, or with the tag latest: pods of one graph may run different versions."""
    for key, image in _images(subject):
        if image.digest is None and image.tag in (None, "latest"):
            place = ("spec", "services", key, "extraPodSpec", "mainContainer", "image")
            yield Found(
                place,
                f"{image} is another image tomorrow: pods of one graph may run different versions",
                "name a version",
            )


@rule("image-tag", INFO)
def image_tag(subject: Subject) -> Iterator[Found]:
    """A tag that is no strict semantic version: operators from 1.4 on refuse it without runtimeVersionOverride."""
    said: set[str | None] = set()
    services = {service.key: service for service in subject.graph.services}
    for key, image in _images(subject):
        if image.tag in said or _STRICT.fullmatch(image.tag or "") or "runtimeVersionOverride" in services[key].spec:
            continue
        said.add(image.tag)  # once for all services that have it
        version = references.semantic_version(image.tag)
        fix = f"verbs put in the built image, tagged {version}" if version else "tag it as 0.6.1-SUFFIX"
        what = f"the tag {image.tag or '(none)'} is no strict semantic version: operators from 1.4 on refuse it"
        yield Found(in_main(services[key], "image"), what, fix)


@rule("image-versions", WARNING)
def image_versions(subject: Subject) -> Iterator[Found]:
    """Images of different versions in one graph: workers may register what the frontend does not understand (dynamo#3943)."""
    found = list(_images(subject))
    counts = Counter(image.tag for _, image in found if image.tag)
    most = counts.most_common(1)[0][0] if counts else None
    for key, image in found:
        if image.tag and image.tag != most:
            place = ("spec", "services", key, "extraPodSpec", "mainContainer", "image")
            what = f"its image is {image.tag}, that of others {most}: the frontend may report a missing model deployment card"
            yield Found(place, what, f"use one version in all services, such as {most}")


@rule("replicas-missing", WARNING)
def replicas_missing(subject: Subject) -> Iterator[Found]:
    """A service without replicas: one pod, and with Grove a crash in the operator of 0.6.1."""
    for service in subject.graph.services:
        if service.spec.get("replicas") is None:
            yield Found(at(service), "replicas is not said: that is 1, and where Grove runs the operator of 0.6.1 crashes on it",
                        "add replicas: 1, unless a planner owns it")  # fmt: skip


@rule("replicas-number", ERROR)
def replicas_number(subject: Subject) -> Iterator[Found]:
    """A negative number of replicas: the API server of 0.6.1's CRD takes it, and no Deployment can be made of it."""
    refused = {problem.keys for problem in subject.problems}
    for service in subject.graph.services:
        said = service.spec.get("replicas")
        if isinstance(said, int) and said < 0 and at(service, "replicas") not in refused:
            yield Found(
                at(service, "replicas"), f"{said} replicas make no Deployment: the graph fails", "write 0 or more"
            )
