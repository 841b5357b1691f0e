"""Fixtures for tests on a cluster: the one of KUBECONFIG, whichever it is. Everything is made in namespaces of this run and removed with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import CALLER, ROOT, require, wait_for
from tests.conftest import crds as dynamo_crds
from tests.serving.deployed import Verbs

from ngc import catalog
from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.observing import DCD, DGD
from ngc.errors import Failed, Wrong

PREFIX = f"ngc-test-{uuid.uuid4().hex[:6]}"  # of every namespace of this run
# The platform's namespace goes last: without etcd no component of the others would.
RUN_LABEL, PLATFORM_LABEL = "ngc-test/run", "ngc-test/platform-of"
UNREACHABLE = "ngc-test/unreachable"  # as the double knows it
ETCD_SERVICE = "dynamo-platform-etcd"
GONE_SECONDS = 180  # a pod may take 60 s to end, and a namespace goes after its pods


@dataclass(frozen=True)
class Operator:
    """What answers DynamoGraphDeployments here. `real` False: the double, with etcd and NATS in the namespace `platform`."""

    cluster: Cluster
    real: bool
    platform: str

    @contextmanager
    def without_etcd(self) -> Iterator[None]:
        """The operator cannot reach its etcd: it removes no finalizer, and while one waits it does nothing else."""
        if self.real:
            pytest.skip("only the double's etcd may be taken away: a real operator's serves others too")
        words = ("annotate", "--overwrite", "--namespace", self.platform, f"service/{ETCD_SERVICE}")
        kubectl.ask(self.cluster, *words, f"{UNREACHABLE}=true")
        try:
            yield
        finally:
            kubectl.ask(self.cluster, *words, f"{UNREACHABLE}-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: where several run side by side (--dist=loadfile --no-loadscope-reorder) none is left over at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def made(cluster: Cluster, name: str, label: str = RUN_LABEL) -> Cluster:
    """A new namespace of this run."""
    metadata = {"name": name, "labels": {label: PREFIX}}
    kubectl.ask(
        cluster, "create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    )
    return Cluster(cluster.context, name, cluster.server)


def until_ready(cluster: Cluster, pod: str) -> None:
    """Wait until a pod is ready."""
    kubectl.ask(cluster, "wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=120s", timeout=130)


def until_established(cluster: Cluster, *kinds: str) -> None:
    """Wait until the cluster serves kinds that were just made. `kubectl wait` can fail once on a condition that is not there yet."""
    words = ("wait", "--for=condition=Established", "--timeout=5s", *(f"crd/{kind}" for kind in kinds))
    wait_for(lambda: kubectl.call(cluster, *words).code == 0, f"{' and '.join(kinds)} established")


def emptied(cluster: Cluster) -> None:
    """Stop everything in a namespace, graphs first, for their operator would start it again."""
    for kinds in (DGD, "deployments.apps,jobs.batch,pods"):
        kubectl.call(cluster, "delete", kinds, "--all", "--wait=false")


def sweep(cluster: Cluster, label: str = RUN_LABEL) -> None:
    """Remove every namespace of this run, and wait until it is gone: what tests what comes next must not meet its pods."""
    selected = ("namespaces", "--selector", f"{label}={PREFIX}")
    every = [Cluster(cluster.context, e["metadata"]["name"], cluster.server) for e in kubectl.get(cluster, *selected)]
    for own in every:
        emptied(own)
    # Not left to the namespace's own removal: where that meets anything alive it looks again only half a minute later.
    for own in every:
        for kind in ("pods", DCD):
            kubectl.call(own, "wait", "--for=delete", kind, "--all", "--timeout=90s", timeout=100)
    words = (*selected, "--ignore-not-found", f"--timeout={GONE_SECONDS}s")
    kubectl.ask(cluster, "delete", *words, timeout=GONE_SECONDS + 10)


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[None]:
    """KUBECONFIG of the caller, and the home in which programs that log in to a cluster keep what they need."""
    require("cluster", None if CALLER.get("KUBECONFIG") else "KUBECONFIG names no cluster to test on")
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLER.keys() & {"KUBECONFIG", "HOME"}:
            patch.setenv(name, CALLER[name])
        yield


@pytest.fixture(scope="session")
def cluster(kubeconfig: None) -> Iterator[Cluster]:
    """A namespace of its own on the cluster of KUBECONFIG, its context named outright."""
    try:
        kubectl.check_program()
        named = subprocess.run([kubectl.PROGRAM, "config", "current-context"], capture_output=True, text=True)
        found = kubectl.choose(named.stdout.strip() or None, "default")
        kubectl.ask(found, "get", "--raw", "/readyz", timeout=20)
    except (Failed, Wrong) as error:
        require("cluster", str(error))
        raise
    own = made(found, f"{PREFIX}-common")
    try:
        yield own
    finally:
        sweep(own)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Cluster]:
    """A namespace for one test. Its pods are stopped after it; the namespace itself goes at the end of the run."""
    own = made(cluster, f"{PREFIX}-{uuid.uuid4().hex[:6]}")
    try:
        yield own
    finally:
        emptied(own)


@pytest.fixture(scope="session")
def verbs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Verbs:
    """The verbs as processes; name the cluster by --context and --namespace."""
    return Verbs({**os.environ, "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))})


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Mapping[str, str]:
    """The runtime image on the stand-in of each framework that has one; a node has it already."""
    wanted = {
        f.name: f"dynamo-{f.name}-runtime:{f.stand_in.version}-stand-in"
        for f in catalog.read().frameworks
        if f.stand_in
    }
    # A node tells of an image that was just loaded only with its next status, some ten seconds later.
    deadline = time.monotonic() + 40
    while (missing := _unknown(cluster, wanted.values())) and time.monotonic() < deadline:
        time.sleep(1)
    require("cluster", f"no node has {', '.join(missing)}; build and load them first" if missing else None)
    return wanted


def _unknown(cluster: Cluster, images: Iterable[str]) -> list[str]:
    """Those of the images that no node tells of."""
    nodes = kubectl.get(cluster, "nodes")
    known = {
        name for node in nodes for image in node["status"].get("images") or [] for name in image.get("names") or []
    }
    return sorted(name for name in images if not any(f"/{k}".endswith(f"/{name}") for k in known))


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> Iterator[None]:
    """The operator's kinds: those of the cluster, else installed from the folder of DYNAMO_CRDS and removed again."""
    if kubectl.call(cluster, "get", "crd", DGD).code == 0:
        yield
        return
    folder = str(dynamo_crds() or "")
    require(
        "cluster", None if folder else f"the cluster has no {DGD}, and DYNAMO_CRDS names no folder with its manifests"
    )
    # Server-side: client-side apply keeps a copy in an annotation, and these are three times as big as one may be.
    kubectl.ask(cluster, "apply", "--server-side", "--field-manager=ngc-test", "-f", folder)
    try:
        until_established(cluster, DGD, DCD)
        yield
    finally:
        kubectl.ask(cluster, "delete", "--ignore-not-found", "-f", folder)


def real_operator(cluster: Cluster) -> bool:
    """True if a Deployment of the cluster is the Dynamo operator's."""

    def names(entry: Mapping[str, Any]) -> Iterator[str]:
        yield entry["metadata"]["name"]
        yield from (str(c.get("image")) for c in entry["spec"]["template"]["spec"]["containers"])

    every = kubectl.get(cluster, "deployments.apps", "--all-namespaces")
    return any("dynamo" in name and "operator" in name for entry in every for name in names(entry))


@pytest.fixture(scope="session")
def operator(
    cluster: Cluster, crds: None, images: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """The cluster's own operator, else its double, which cares for the namespaces of this run."""
    if real_operator(cluster):
        yield Operator(cluster, True, "")
        return
    platform = made(cluster, f"{PREFIX}-platform", PLATFORM_LABEL)
    words = [f"--context={cluster.context}", f"--prefix={PREFIX}-", f"--platform={platform.namespace}"]
    words += [f"--image={images['vllm']}"]
    log = tmp_path_factory.mktemp("operator") / "log"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"}
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.kubernetes.operator_double", *words], cwd=ROOT, env=environment, stdout=out, stderr=out
        )  # fmt: skip
        try:
            wait_for(lambda: _available(platform, child, log), "etcd and NATS of the operator's double available")
            yield Operator(cluster, False, platform.namespace)
            assert child.poll() is None, f"the operator's double ended: {log.read_text()[-2000:]}"
            sweep(cluster)
        finally:
            child.terminate()
            child.wait(10)
            _release(cluster)
            sweep(cluster, PLATFORM_LABEL)
    assert "Traceback" not in log.read_text(), log.read_text()[-2000:]


def _available(platform: Cluster, child: subprocess.Popen[bytes], log: Path) -> bool:
    assert child.poll() is None, f"the operator's double ended: {log.read_text()[-2000:]}"
    found = kubectl.get(platform, "deployments.apps")
    return len(found) == 2 and all((entry.get("status") or {}).get("availableReplicas") for entry in found)


def _release(cluster: Cluster) -> None:
    """Take the finalizers away that nobody removes when the double has died: they hold their namespaces for ever."""
    for entry in kubectl.get(cluster, DCD, "--all-namespaces"):
        if entry["metadata"]["namespace"].startswith(f"{PREFIX}-"):
            where = ("--namespace", entry["metadata"]["namespace"], "--type=merge", "--patch")
            name = f"{DCD}/{entry['metadata']['name']}"
            kubectl.call(cluster, "patch", name, *where, '{"metadata": {"finalizers": null}}')


@pytest.fixture(scope="session")
def viewer(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a kubeconfig, with one context, of a user without rights."""
    if given := CALLER.get("KUBECONFIG_VIEWER"):
        return given
    kubectl.ask(cluster, "create", "serviceaccount", "viewer")
    token = kubectl.ask(cluster, "create", "token", "viewer", "--duration=1h").out.strip()
    view = kubectl.ask(cluster, "config", "view", "--raw", "--minify", "--flatten", "--output", "json").data
    view["users"] = [{"name": "viewer", "user": {"token": token}}]
    view["contexts"][0]["context"]["user"] = "viewer"
    path = tmp_path_factory.mktemp("viewer") / "config"
    path.write_text(json.dumps(view))
    path.chmod(0o600)
    return str(path)


@pytest.fixture(scope="session")
def at() -> Callable[[Cluster], tuple[str, str]]:
    """The flags that name a cluster to a verb."""
    return lambda cluster: (f"--context={cluster.context}", f"--namespace={cluster.namespace}")
