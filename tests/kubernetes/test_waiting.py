"""What a deploy may not take for serving, and what it may not take for failed: on a real cluster."""

from __future__ import annotations

import json
import re
import time

import pytest
from tests.conftest import wait_for

from ngc.deploy.cluster import kubectl, waiting
from ngc.deploy.cluster.forwarding import START, forwarded
from ngc.deploy.names import HTTP_PORT

from .meeting import PATIENT, one_sentence, running, until
from .test_hostile import line  # noqa: F401  # a fixture

pytestmark = pytest.mark.long
DEPLOY = ("deploy", "--config=vllm-agg", "--base=stand-in", "--allow-stand-in", "--to=kubernetes", PATIENT)
WORKER = "spec.services.VllmDecodeWorker"
MAIN = f"{WORKER}.extraPodSpec.mainContainer"
# Answers whatever it is asked, as the probes of a worker want it, and registers nothing.
HOLLOW = "import http.server as h; h.HTTPServer(('', 9090), type('A', (h.BaseHTTPRequestHandler,), {'do_GET': lambda s: (s.send_response(200), s.end_headers())})).serve_forever()"
ALWAYS_READY = (
    "--set=spec.services.Frontend.readinessProbe={httpGet: {path: /health, port: 8000}, periodSeconds: 2}",
    "--set=spec.services.Frontend.extraPodSpec.mainContainer.startupProbe=null",
)
HOLLOW_WORKER = (*ALWAYS_READY, f"--set={MAIN}.command=[python3, -c]", f"--set={MAIN}.args={json.dumps([HOLLOW])}")


def test_a_worker_that_is_not_recognised_and_serves_nothing_does_not_serve(verbs, at, namespace, images):
    """Its frontend says healthy without any worker; only asking for a model tells."""
    with running(verbs, *DEPLOY, *HOLLOW_WORKER, *at(namespace)) as child:
        until(child, "requests: no worker is registered")
    # The pods are ready now, however long that took: what is left of the time is for the answer.
    said = verbs(*DEPLOY[:-1], "--timeout=5", *HOLLOW_WORKER, *at(namespace))
    assert said.code == 1, said.err
    last = one_sentence(said)
    assert "vllm-agg does not serve: no worker is registered; no model is listed" in last
    assert f"`invoke logs --config=vllm-agg --context={namespace.context} --namespace={namespace.namespace}`" in last
    status = verbs("status", *at(namespace))
    assert status.code == 1
    assert "not healthy: no model is listed" in status.out


def test_a_worker_that_is_not_recognised_is_asked_for_what_it_registers(verbs, at, namespace, images):
    """A program of the user's own, which starts the engine."""
    own = "import os; os.execvp('python3', ['python3', '-m', 'dynamo.vllm', '--model', 'Qwen/Qwen3-0.6B'])"
    said = verbs(
        *DEPLOY, *ALWAYS_READY, f"--set={MAIN}.command=[python3, -c]", f"--set={MAIN}.args={json.dumps([own])}", *at(namespace)
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "models: Qwen/Qwen3-0.6B" in said.err
    data = json.loads(verbs("status", "--json", *at(namespace)).out)
    assert (data["healthy"], list(data["answers"])) == (True, ["Qwen/Qwen3-0.6B"])


def test_an_api_server_that_goes_away_while_the_frontend_is_asked_is_said_and_not_waited_for(
    verbs, at, line, namespace, images  # noqa: F811
):  # fmt: skip
    cable, config = line
    with running(verbs, *DEPLOY[:-1], *HOLLOW_WORKER, *at(namespace), KUBECONFIG=config) as child:
        until(child, "requests: no worker is registered")
        cable.away()
        begun = time.monotonic()
        until(child, "API server: does not answer")
        rest = child.stderr.read()
        assert child.wait(30) == 1
        # What it was doing has its own limit, and so has the last look.
        assert time.monotonic() - begun < START + waiting.AWAY_FOR + kubectl.CALL
    last = rest.strip().splitlines()[-1]
    assert "does not answer" in last
    assert "revision 1 is applied and stays; run the same command again to go on waiting" in last


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "ResourceQuota", "spec": {"hard": {"limits.cpu": "64"}}}, "must specify limits.cpu"),
        ({"kind": "LimitRange", "spec": {"limits": [{"type": "Container", "max": {"memory": "1Mi"}}]}}, "1Mi"),
    ],
)
def test_pods_that_the_namespace_refuses_end_it_with_the_cause(verbs, at, namespace, images, entry, said):
    """The namespace is made strict after the preflight, which would have said it before."""
    with running(verbs, *DEPLOY[:-1], f"--set={MAIN}.resources.limits.memory=1Gi", *at(namespace)) as child:
        until(child, "waiting until it serves")
        made = {"apiVersion": "v1", "metadata": {"name": "strict"}, **entry}
        kubectl.ask(namespace, "create", "-f", "-", text=json.dumps(made))
        kubectl.ask(namespace, "delete", "pods", "--all", "--wait=false", "--grace-period=0", "--force")
        until(child, said)
        rest = child.stderr.read()
        assert child.wait(120) == 1, rest
    last = rest.strip().splitlines()[-1]
    assert re.search(r"error: vllm-agg-\w+ gets no pods: ", last)
    assert said in last


def test_a_late_etcd_is_no_failure(verbs, at, namespace, images):
    """Its Service leads nowhere until the workers have ended more often than a crash loop may: each end has a longer pause."""
    with running(verbs, *DEPLOY[:-1], "--timeout=8m", *at(namespace)) as child:
        until(child, "waiting until it serves")
        # As with a node that still pulls the image: no pod of etcd runs.
        kubectl.ask(namespace, "scale", "deployment/vllm-agg-etcd", "--replicas=0")
        until(child, "etcd: not ready")

        def restarts() -> int:
            pods = kubectl.get(namespace, "pods", "--selector", "nvidia.com/dynamo-component=VllmDecodeWorker")
            return max(c.get("restartCount", 0) for p in pods for c in p["status"].get("containerStatuses") or [{}])

        wait_for(lambda: restarts() >= waiting.RESTARTS, "a worker that ended three times", 240)
        kubectl.ask(namespace, "scale", "deployment/vllm-agg-etcd", "--replicas=1")
        rest = child.stderr.read()
        assert child.wait(120) == 0, rest


def test_a_graph_that_no_operator_watches_ends_after_half_a_minute(verbs, at, cluster, crds, images):
    """The double cares for namespaces of this run only."""
    from .conftest import real_operator

    if real_operator(cluster):
        pytest.skip("the cluster's own operator may watch every namespace")
    own = kubectl.Cluster(cluster.context, f"unwatched-{cluster.namespace}", cluster.server)
    kubectl.ask(cluster, "create", "namespace", own.namespace)
    try:
        words = ["--to=dgd" if word.startswith("--to=") else word for word in DEPLOY]
        begun = time.monotonic()
        said = verbs(*words, *at(own))
        assert said.code == 1
        assert f"none watches namespace {own.namespace}" in one_sentence(said)
        assert time.monotonic() - begun < waiting.SILENT_FOR + 60
    finally:
        kubectl.call(cluster, "delete", "namespace", own.namespace, "--wait=false")


def test_a_forwarded_port_survives_the_pod_s_death(verbs, at, namespace, images):
    """kubectl stays with the pod that it chose, and leads nowhere when that is gone."""
    from ngc.deploy import asking

    done = verbs(*DEPLOY, *at(namespace))
    assert done.code == 0, done.err
    with forwarded(namespace, "vllm-agg-frontend", HTTP_PORT) as url:
        before = url()
        assert asking.models(before) == ["Qwen/Qwen3-0.6B"]
        frontend = ("pods", "--selector", "nvidia.com/dynamo-component=Frontend")
        (old,) = (pod["metadata"]["name"] for pod in kubectl.get(namespace, *frontend))
        kubectl.ask(namespace, "delete", f"pod/{old}", "--grace-period=1", timeout=60)

        def again() -> bool:
            try:
                return url() != before and asking.models(url()) == ["Qwen/Qwen3-0.6B"]
            except waiting.Failed:  # no pod is ready yet
                return False

        wait_for(again, "the model listed over the same function", 180)
