"""Filling the claim that a config mounts: from Hugging Face by a job in the cluster, or from a folder of this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngc.deploy import modelling, serving
from ngc.deploy.cluster import kubectl, pods
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.graph import Graph, Service
from ngc.deploy.prepare import Prepared
from ngc.deploy.watching import watching
from ngc.errors import Failed, Wrong

HUB = "hub"  # instead of a folder: Hugging Face
LABEL = "ngc-dynamo/fill-cache"
TOKEN_SECRET = "hf-token-secret"  # upstream's convention; the key is HF_TOKEN
DOWNLOAD_LIMIT = 6 * 3600.0  # seconds: 140 GB at 10 MB/s take four hours
# Fields of a worker's pod that decide where it may run, what may be pulled, and who may write to the volume.
LIKE_WORKER = ("imagePullSecrets", "nodeSelector", "tolerations", "serviceAccountName", "securityContext")
# The marker is written last: a download or copy that was cut off is done again.
DOWNLOAD = """
import pathlib, sys
from huggingface_hub import snapshot_download
for model in sys.argv[2:]:
    done = pathlib.Path(sys.argv[1], ".filled", model.replace("/", "--"))
    if done.exists():
        print(model, "was there already")
        continue
    print(model, "is in", snapshot_download(model), flush=True)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()
"""


@dataclass(frozen=True)
class Claim:
    """The claim of a graph that holds models, and where pods see it."""

    name: str
    path: str


def claim_of(graph: Graph) -> Claim:
    """The claim that all of a graph's services mount. Raises Wrong where there is none."""
    for mount in graph.services[0].mounts:
        if mount.name in graph.claims and all(mount in service.mounts for service in graph.services):
            return Claim(mount.name, mount.path)
    raise Wrong(
        f"{graph.path}: no claim is mounted at one path by every service, so there is nothing to fill; take configs/vllm-cache.yaml as a pattern"
    )


def with_folder(prepared: Prepared, source: str) -> Prepared:
    """The graph with its workers on the folder's copy in the claim; unchanged for Hugging Face. Raises Wrong."""
    claim = claim_of(prepared.graph)
    if source == HUB:
        if not _of_the_hub(prepared):
            raise Wrong(
                f"{prepared.graph.path}: no worker names a model of Hugging Face, so there is nothing to download; leave out --fill-cache"
            )
        return prepared
    folder = Path(source)
    if not (folder / "config.json").is_file():
        raise Wrong(f"--fill-cache is '{source}'; write {HUB}, or a folder with a model (it has a config.json)")
    return modelling.served_from(prepared, f"{claim.path}/{folder.resolve().name}", folder.resolve().name)


def _of_the_hub(prepared: Prepared) -> list[str]:
    """The models of the workers by the names that Hugging Face has for them, whatever they are served as."""
    data = prepared.serving
    named = (serving.flag(s.words, data.get("model"), data.get("aliases", {})) for s in prepared.graph.workers)
    return list(dict.fromkeys(name for name in named if name and not name.startswith("/")))


def fill(cluster: Cluster, prepared: Prepared, source: str) -> None:
    """Fill the claim, unless that was done; what does it is removed whatever happens. Raises Failed with the cause."""
    graph, claim = prepared.graph, claim_of(prepared.graph)
    image = prepared.image or next(service.image for service in graph.services if service.image)
    try:
        with watching() as update:
            if source == HUB:
                command = ["python3", "-c", DOWNLOAD, claim.path, *_of_the_hub(prepared)]
                pod = pods.of_job(cluster, pods.create(cluster, _job(_pod(graph, claim, image, command))))
                pods.until(cluster, pod, update, lambda: pods.succeeded(cluster, pod), DOWNLOAD_LIMIT)
                print(pods.log(cluster, pod).strip(), file=sys.stderr)
            else:
                pod = pods.create(cluster, _pod(graph, claim, image, ["sleep", "infinity"]))
                pods.until(cluster, pod, update, lambda: pods.running(cluster, pod))
                _copy(cluster, pod, claim, Path(source).resolve())
    finally:
        words = ("--selector", f"{LABEL}={graph.name}", "--grace-period=0", "--force", "--wait=false")
        for kind in ("jobs.batch", "pods") if source == HUB else ("pods",):
            kubectl.call(cluster, "delete", kind, *words)


def _pod(graph: Graph, claim: Claim, image: str | None, command: list[str]) -> dict[str, Any]:
    """A pod that sees the claim as the workers do, and runs where they may."""
    worker: Service = next(iter(graph.workers), graph.services[0])
    extra: Mapping[str, Any] = worker.spec.get("extraPodSpec") or {}
    environment = [{"name": key, **entry} for key, entry in worker.environment.items() if key != "HF_HUB_OFFLINE"]
    secret = next((service.env_from_secret for service in graph.services if service.env_from_secret), TOKEN_SECRET)
    container: Mapping[str, Any] = {
        "name": "main",
        "image": image,
        **{key: worker.main[key] for key in ("imagePullPolicy", "securityContext") if key in worker.main},
        "command": command,
        "env": environment,
        "envFrom": [{"secretRef": {"name": secret, "optional": True}}],
        "volumeMounts": [{"name": claim.name, "mountPath": claim.path}],
    }
    volume = {"name": claim.name, "persistentVolumeClaim": {"claimName": claim.name}}
    like = {key: extra[key] for key in LIKE_WORKER if key in extra}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": f"{graph.name}-fill-cache-", "labels": {LABEL: graph.name}},
        "spec": {**like, "restartPolicy": "Never", "containers": [container], "volumes": [volume]},
    }


def _job(pod: Mapping[str, Any]) -> dict[str, Any]:
    """A job of one attempt: huggingface_hub itself tries again, and the same command goes on where a download was cut off."""
    labels = {"labels": pod["metadata"]["labels"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": pod["metadata"],
        "spec": {"backoffLimit": 0, "template": {"metadata": labels, "spec": pod["spec"]}},
    }


def _copy(cluster: Cluster, pod: str, claim: Claim, folder: Path) -> None:
    """Stream a folder into the claim: under another name first, then renamed. One that is there already is left alone."""
    target, staged = f"{claim.path}/{folder.name}", f"{claim.path}/.{folder.name}.staged"
    inside = [*cluster.words, "exec", "--stdin", pod, "--"]
    if kubectl.call(cluster, "exec", pod, "--", "test", "-d", target).code == 0:
        print(f"{target} is there already", file=sys.stderr)
        return
    kubectl.ask(cluster, "exec", pod, "--", "sh", "-c", 'rm -rf "$0" && mkdir -p "$0"', staged)
    # Links are followed: in a Hugging Face cache the files are links to blobs elsewhere.
    packing = subprocess.Popen(["tar", "-C", str(folder), "--dereference", "-cf", "-", "."], stdout=subprocess.PIPE)
    done = subprocess.run(
        [*inside, "tar", "-C", staged, "-xf", "-"], stdin=packing.stdout, capture_output=True, text=True
    )
    if packing.stdout is not None:
        packing.stdout.close()
    if packing.wait() or done.returncode:
        raise Failed(
            f"{folder} was not copied whole: {' '.join(done.stderr.split()) or 'tar failed here'}; run the same command again"
        )
    kubectl.ask(cluster, "exec", pod, "--", "mv", staged, target)
    size = kubectl.ask(cluster, "exec", pod, "--", "du", "-sb", target).out.split()[0]
    print(f"{target}: {int(size) / 1e9:.2f} GB", file=sys.stderr)
