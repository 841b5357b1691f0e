"""Checks of Secrets by name, key and size; a value that is read for its registry's name is dropped where it is read."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ngc.deploy.cluster import images, secrets
from ngc.deploy.cluster.checking import FAIL, PASS, WARN, Answer, Check, ask, command, not_told
from ngc.deploy.cluster.images import Published
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.graph import Graph
from ngc.deploy.render import DGD
from ngc.reference import HUB

# A pull secret's registry is only inside its value; of all others nothing but names and sizes leaves kubectl.
_ONE = (
    '{{.metadata.name}}{{"\\t"}}{{.type}}{{"\\t"}}{{range $key, $value := .data}}{{$key}}={{len $value}} {{end}}{{"\\t"}}'
    f'{{{{if eq .type "{secrets.PULL}"}}}}{{{{index .data ".dockerconfigjson"}}}}{{{{end}}}}{{{{"\\n"}}}}'
)
SECRETS = ("get", "secrets", f"--output=go-template={{{{range .items}}}}{_ONE}{{{{end}}}}")
NAMES = ("secret", "pull secret")  # of the checks
ACCOUNT = ("get", "serviceaccount/default", "--output=jsonpath={.imagePullSecrets[*].name}")


@dataclass(frozen=True)
class Seen:
    """A Secret without its values: sizes in base64, by key, and the registries that it has logins for."""

    name: str
    sizes: Mapping[str, int]
    hosts: frozenset[str] = field(default_factory=frozenset)


def read(answer: Answer) -> dict[str, Seen]:
    """The Secrets of an answer, by name."""
    found = {}
    for name, _, sizes, config in answer.rows:
        pairs = (pair.rpartition("=") for pair in sizes.split())
        found[name] = Seen(name, {key: int(size) for key, _, size in pairs}, _hosts(config))
    return found


def _hosts(config: str) -> frozenset[str]:
    try:
        auths = json.loads(base64.b64decode(config or "e30=")).get("auths") or {}
    except (binascii.Error, ValueError, AttributeError):
        return frozenset()
    hosts = {str(server).partition("://")[2] or str(server) for server in auths}
    return frozenset(HUB if host.startswith("index.docker.io") else host.partition("/")[0] for host in hosts)


def again(cluster: Cluster, graph: Graph, to: str) -> list[Check]:
    """The checks of Secrets once more, after some were made. Raises Unreachable."""
    answer, account = ask(cluster, *SECRETS), ask(cluster, *ACCOUNT)
    said = {image: images.published(image) for image in images.named(graph)}
    return [*variables(cluster, graph, answer), *pulling(cluster, graph, to, answer, account, said)]


def wanted(graph: Graph) -> dict[str, set[str]]:
    """Keys that the graph takes from Secrets, by the Secret's name; what is optional is left out."""
    found: dict[str, set[str]] = {name: set() for name in secrets.from_secret(graph)}
    for name in secrets.token_secrets(graph):
        found[name].add(secrets.HF)
    for service in graph.services:
        for entry in service.environment.values():
            source: Mapping[str, Any] = (entry.get("valueFrom") or {}).get("secretKeyRef") or {}
            if source.get("name") and source.get("optional") is not True:
                found.setdefault(str(source["name"]), set()).add(str(source.get("key")))
    return found


def variables(cluster: Cluster, graph: Graph, answer: Answer) -> list[Check]:
    """Each Secret that containers take variables from: there, with the key, and with something in it."""
    checks = []
    seen = read(answer)
    for name, keys in wanted(graph).items():
        said, here = answer, seen
        if answer.out is None:  # many may read one by its name and not list them
            said = ask(cluster, "get", f"secret/{name}", f"--output=go-template={_ONE}")
            here = read(said)
        if said.out is None and not said.missing:
            checks.append(not_told("secret", said, f"whether {name} is there is not known"))
            continue
        lacking = sorted(key for key in keys if not here.get(name) or not here[name].sizes.get(key))
        if name not in here:
            text = f"{name} is not in namespace {cluster.namespace}: containers that take variables from it never start"
        elif lacking:
            empty = [key for key in lacking if key in here[name].sizes]
            text = f"{name} has {'an empty' if empty else 'no'} {', '.join(empty or lacking)}"
        else:
            checks.append(Check("secret", PASS, f"{name} has {', '.join(sorted(keys)) or 'what there is to it'}"))
            continue
        checks.append(Check("secret", FAIL, text, _made(cluster, name, lacking or sorted(keys), name in here)))
    return checks


def _made(cluster: Cluster, name: str, keys: Sequence[str], there: bool) -> str:
    """The way that keeps the value off every command line; with a token in the environment --create-secrets does the same."""
    key = next(iter(keys), secrets.HF)
    remove = f"{command(cluster, 'delete', f'secret/{name}')}; " if there else ""
    other = "; or add --create-secrets" if key == secrets.HF else ""
    made = command(cluster, "create", "secret", "generic", name, f"--from-file={key}=/dev/stdin")
    return f'{remove}printf %s "${key}" | {made}{other}'


def pulling(
    cluster: Cluster, graph: Graph, to: str, answer: Answer, account: Answer | None, said: Mapping[str, Any]
) -> list[Check]:  # fmt: skip
    """For each registry that wants a login a pull secret, and pods that use it. A warning at most: nodes may have a login of their own."""
    hosts: dict[str, bool] = {}  # whether all of its images were read here without a login
    for image in images.named(graph):
        if reference := images.elsewhere(image):
            open_to_all = isinstance(found := said.get(image), Published) and found.anonymous
            hosts[reference.host] = hosts.get(reference.host, True) and open_to_all
    checks = []
    for host, anonymous in hosts.items():
        named = [secret.name for secret in read(answer).values() if host in secret.hosts]
        if named:
            checks.append(_used(cluster, graph, to, host, named, account))
        elif anonymous:
            checks.append(Check("pull secret", PASS, f"{host} wants none for these images"))
        elif answer.out is None:
            checks.append(not_told("pull secret", answer, f"whether there is one for {host} is not known"))
        else:
            checks.append(Check("pull secret", WARN, f"none for {host} in namespace {cluster.namespace}: the nodes need a login of their own",
                                _pull_fix(cluster, host)))  # fmt: skip
    return checks


def _used(cluster: Cluster, graph: Graph, to: str, host: str, named: Sequence[str], account: Answer | None) -> Check:
    """`deploy` gives pods a pull secret of their image's registry, and so does the operator; not where the config has its own way."""
    listed = set((account.out or "").split()) if account else set()
    for service in graph.services if to != DGD and not listed & {*named} else ():
        pod: Mapping[str, Any] = service.spec.get("extraPodSpec") or {}
        own, whose = (
            {str(entry.get("name")) for entry in pod.get("imagePullSecrets") or ()},
            pod.get("serviceAccountName"),
        )
        if own & {*named} or not (own or whose):
            continue
        text = f"{named[0]} is for {host}, and {service.key} names {', '.join(sorted(own)) or f'the service account {whose}'}"
        patch = json.dumps({"imagePullSecrets": [{"name": named[0]}]})
        fix = command(cluster, "patch", f"serviceaccount/{whose}", "--patch", patch) if whose and not own else ""
        return Check("pull secret", WARN, text, fix)
    return Check("pull secret", PASS, f"{named[0]} is for {host}")


def _pull_fix(cluster: Cluster, host: str) -> str:
    if host == secrets.NGC_HOST:
        return "add --create-secrets, with NGC_API_KEY set"
    # kubectl would take a password as an argument only; Docker's file has it already.
    return command(cluster, "create", "secret", "generic", "pull-secret", f"--type={secrets.PULL}",
                   "--from-file=.dockerconfigjson=config.json") + f"  # the file that `docker login {host}` wrote"  # fmt: skip
