"""Secrets of a graph: made from the environment on request, over a pipe, so that no value is on a command line, in a file or in a log."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ngc.deploy.cluster import images, kubectl
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.revisions import MANAGED, MANAGED_LABEL, MANAGER
from ngc.deploy.graph import Graph, plain
from ngc.deploy.paths import Keys, text
from ngc.deploy.prepare import Prepared
from ngc.errors import Failed, Wrong

HF, NGC = "HF_TOKEN", "NGC_API_KEY"
HF_SECRET = "hf-token-secret"  # the name in all of Dynamo's examples
NGC_HOST, NGC_USER, NGC_SECRET = "nvcr.io", "$oauthtoken", "nvcr-imagepullsecret"
PULL = "kubernetes.io/dockerconfigjson"
_HF_LIKE = re.compile(r"hf|hugging", re.IGNORECASE)
_SECRET_LIKE = re.compile(
    r"(TOKEN|KEY|PASSWORD|PASSWD|SECRET|CREDENTIALS?)(_\d+)?$|(^|_)(SECRET|PASSWORD)(_|$)", re.IGNORECASE
)
# What issuers put before their tokens: Hugging Face, NGC, OpenAI and those like it, a JWT, AWS, GitHub, GitLab, Slack.
# Not in the middle of a word or a path: /models/hf_quantized is none.
_TOKEN = re.compile(
    r"(?<![\w./-])(hf_[A-Za-z0-9]{10,}|nvapi-[\w-]{10,}|sk-[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}|(AKIA|ASIA)[A-Z0-9]{16}(?!\w)|"
    r"gh[opsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abp]-[\w-]{10,})"
)


def create(
    cluster: Cluster, prepared: Prepared, names: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> list[str]:  # fmt: skip
    """Make the graph's Secrets and return their names. `names`: HF_TOKEN, NGC_API_KEY or both (None: what the graph asks for).

    Raises Wrong for a variable that is not set, before anything is changed; Failed when the cluster refuses.
    """
    objects = []
    for name, variable in planned(prepared.graph, names, environment).items():
        value = environment[variable].strip()
        objects.append(_pull(name, NGC_HOST, NGC_USER, value) if variable == NGC else _opaque(name, {HF: value}))
    if objects:
        _apply(cluster, objects)
    return [entry["metadata"]["name"] for entry in objects]


def planned(
    graph: Graph, names: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The Secrets that `create` would make, each with the variable that it is made from. Raises Wrong for one that is not set."""
    asked = wanted(graph) if names is None else list(names)
    if unknown := [name for name in asked if name not in (HF, NGC)]:
        raise Wrong(f"no Secret is made from {unknown[0]}; choose from: {HF}, {NGC}")
    missing = [name for name in asked if not environment.get(name, "").strip()]
    if missing:
        raise Wrong(
            f"--create-secrets makes a Secret from {' and '.join(missing)}, not set here; export it, or leave the flag out"
        )
    made = dict.fromkeys(token_secrets(graph) or [HF_SECRET], HF) if HF in asked else {}
    return {**made, **({NGC_SECRET: NGC} if NGC in asked else {})}


def left(cluster: Cluster) -> list[str]:
    """The Secrets in the namespace that were made by `create`, by name; none where they may not be listed."""
    selector = f"{MANAGED_LABEL}={MANAGER}"
    done = kubectl.call(
        cluster, "get", "secrets", "--selector", selector, "--output=jsonpath={.items[*].metadata.name}"
    )
    return [] if done.code else done.out.split()


def wanted(graph: Graph) -> list[str]:
    """The variables whose Secrets a graph asks for: a token by envFromSecret, a pull secret by an image of NGC's registry."""
    hosts = {found.registry for image in images.named(graph) if (found := images.elsewhere(image))}
    return [*([HF] if token_secrets(graph) else []), *([NGC] if NGC_HOST in hosts else [])]


def from_secret(graph: Graph) -> list[str]:
    """The Secrets named by envFromSecret, each once."""
    return list(dict.fromkeys(service.env_from_secret for service in graph.services if service.env_from_secret))


def token_secrets(graph: Graph) -> list[str]:
    """Those of them that are for the Hugging Face token: by name, or because there is only one."""
    named = from_secret(graph)
    return [name for name in named if _HF_LIKE.search(name)] or (named if len(named) == 1 else [])


def literal_secrets(graph: Graph) -> list[str]:
    """Variables that look like secrets by their name or value, any other text that holds a token, and Secrets in the config's file.

    Each is named with its line, without its value.
    """
    found = [f"{name} (line {graph.line(*keys)})" for keys, name in _literals((), plain(graph.data))]
    for entry in graph.beside:
        name = (entry.get("metadata") or {}).get("name")
        if entry.get("kind") == "Secret":
            found += [f"Secret {name}"] if entry.get("data") or entry.get("stringData") else []
            continue
        found += [f"{variable} of {entry.get('kind')} {name}" for _, variable in _literals((), entry)]
    return list(dict.fromkeys(found))


def _literals(keys: Keys, node: Any) -> Iterator[tuple[Keys, str]]:
    """(place, name) of every variable, also of sidecars: whatever list of names and values an object has under env or envs.

    What is no variable is named by its place.
    """
    if isinstance(node, str):
        if _TOKEN.search(node):
            yield keys, text(keys)
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key in ("env", "envs") and isinstance(value, list):
            for number, entry in enumerate(value):
                if isinstance(entry, dict) and _literal(str(entry.get("name", "")), entry.get("value")):
                    yield (*keys, key, number), str(entry["name"])
        else:
            yield from _literals((*keys, key), value)


def _literal(name: str, value: Any) -> bool:
    # $(NAME) is filled in by the kubelet; a path says where a secret is.
    said = "" if value is None else str(value)
    if _TOKEN.search(said):
        return True
    return bool(said) and not said.startswith(("$(", "/")) and _SECRET_LIKE.search(name) is not None


def _opaque(name: str, values: Mapping[str, str]) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": name, "labels": MANAGED}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def _pull(name: str, host: str, user: str, password: str) -> dict[str, Any]:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    config = json.dumps({"auths": {host: {"username": user, "password": password, "auth": auth}}})
    return {**_opaque(name, {".dockerconfigjson": config}), "type": PULL}


def _apply(cluster: Cluster, objects: Sequence[Mapping[str, Any]]) -> None:
    # A List is applied entry by entry: each can fail alone. Never forced: another's token is not overwritten by ours.
    sent = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    done = kubectl.call(cluster, "apply", "--server-side", "--field-manager=ngc-dynamo-secrets", "-f", "-", text=sent)
    if done.code == 0:
        return
    names = ", ".join(str(entry["metadata"]["name"]) for entry in objects)
    if "conflict" in done.err:
        raise Failed(
            f"a Secret of {names} is in namespace {cluster.namespace} already, made by somebody else and with another value; "
            "delete it first, or leave out --create-secrets to use it as it is"
        )
    # Only sentences that we know: what the server says of a refused object may hold a part of it.
    known = done.forbidden or "namespaces" in done.err
    why = kubectl.explain(cluster, done, ("apply", "--server-side")) if known else "the API server refuses them"
    raise Failed(f"the Secrets {names} were not made: {why}")
