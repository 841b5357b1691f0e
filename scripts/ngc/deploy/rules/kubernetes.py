"""Rules about what Kubernetes gives a pod: volumes, devices, ports, time to leave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import join, normpath

from ngc import reference as references
from ngc.deploy import serving
from ngc.deploy.commandline import words
from ngc.deploy.graph import FRONTEND, WORKER, Service
from ngc.deploy.names import HTTP_PORT, SYSTEM_PORT
from ngc.deploy.rules.engine import config_maps
from ngc.deploy.rules.parallel import GPU
from ngc.deploy.rules.rule import ERROR, INFO, WARNING, Found, Subject, at, entries, get, in_main, rule, variable
from ngc.errors import Wrong

_FILE = re.compile(r"[./\w-]+/[./\w-]*|[\w-]+\.(?:ya?ml|json|jinja|py|sh|txt)")


@rule("claim-incomplete", ERROR)
def claim_incomplete(subject: Subject) -> Iterator[Found]:
    """A claim to be created without size, storageClass or volumeAccessMode: the API server refuses the graph."""
    for number, claim in enumerate(entries(subject.graph.spec.get("pvcs"))):
        missing = [key for key in ("size", "storageClass", "volumeAccessMode") if claim.get(key) is None]
        if claim.get("create") is True and missing:
            yield Found(("spec", "pvcs", number), f"create: true without {', '.join(missing)}: the API server refuses it",
                        f"add {', '.join(missing)}")  # fmt: skip


@rule("claim-needed", INFO)
def claim_needed(subject: Subject) -> Iterator[Found]:
    """A claim that is not created here: where the namespace lacks it, the graph fails."""
    for number, claim in enumerate(entries(subject.graph.spec.get("pvcs"))):
        if claim.get("create") is not True:
            yield Found(("spec", "pvcs", number), f"the claim {claim.get('name')} must be in the namespace already; without it the graph fails",
                        "create it first, or write create: true")  # fmt: skip


@rule("volume-unknown", ERROR)
def volume_unknown(subject: Subject) -> Iterator[Found]:
    """A mount of a volume that neither spec.pvcs nor the pod has: the graph fails or its pods are refused."""
    for service in subject.graph.services:
        claims = set(subject.graph.claims)
        volumes = {str(v.get("name")) for v in entries(get(service.spec, "extraPodSpec", "volumes"))}
        for number, mount in enumerate(entries(service.spec.get("volumeMounts"))):
            if str(mount.get("name")) not in claims:
                yield Found(at(service, "volumeMounts", number), f"there is no claim {mount.get('name')} in spec.pvcs: the graph fails",
                            f"choose from: {', '.join(sorted(claims))}" if claims else "add it to spec.pvcs")  # fmt: skip
        for number, mount in enumerate(entries(service.main.get("volumeMounts"))):
            if str(mount.get("name")) not in {*volumes, *(m.name for m in service.mounts)}:
                yield Found(in_main(service, "volumeMounts", number), f"there is no volume {mount.get('name')} in extraPodSpec.volumes: its pods are refused",
                            f"choose from: {', '.join(sorted(volumes))}" if volumes else "add it to extraPodSpec.volumes")  # fmt: skip


def _mounts(service: Service) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(place, path in the container) of every mount of a folder."""
    for number, mount in enumerate(service.mounts):
        yield at(service, "volumeMounts", number), mount.path
    for number, entry in enumerate(entries(service.main.get("volumeMounts"))):
        if "subPath" not in entry and isinstance(entry.get("mountPath"), str):
            yield in_main(service, "volumeMounts", number), entry["mountPath"]


def _inside(path: str, folder: str) -> bool:
    return path == folder.rstrip("/") or path.startswith(folder.rstrip("/") + "/")


@rule("mount-hides-files", ERROR)
def mount_hides_files(subject: Subject) -> Iterator[Found]:
    """A volume mounted over the working directory while args name files below it: the image's files are hidden."""
    for service in subject.graph.services:
        home = service.working_dir or (subject.base.workdir if subject.base else None)
        if not home:
            continue
        given = {
            normpath(join(folder, name)) for folder, _, files in config_maps(subject.graph, service) for name in files
        }
        model = serving.flag(service.words, subject.serving.get("model"), subject.serving.get("aliases", {})) or ""
        name = None if model.startswith(("/", ".")) else model  # a name of Hugging Face looks like a path
        named = [normpath(join(home, word)) for word, _ in words(service) if _FILE.fullmatch(word) and word != name]
        for keys, folder in _mounts(service):
            hidden = [path for path in named if _inside(path, folder) and path not in given]
            if _inside(home, folder) and hidden:
                yield Found(
                    keys,
                    f"the mount at {folder} hides the image's files, and args name {hidden[0]}",
                    "mount it at a folder of its own, such as /opt/dynamo/configs",
                )


def _runs_as_root(service: Service) -> bool:
    for security in (get(service.main, "securityContext"), get(service.spec, "extraPodSpec", "securityContext")):
        if get(security, "runAsNonRoot") is True or get(security, "runAsUser") not in (None, 0):
            return False
    try:
        version = references.semantic_version(references.parse(service.image).tag) if service.image else None
    except Wrong:
        return False
    # The images have a user of their own since 0.7.0.
    return version is not None and tuple(map(int, version.partition("-")[0].split("."))) < (0, 7, 0)


@rule("mount-under-root", WARNING)
def mount_under_root(subject: Subject) -> Iterator[Found]:
    """A mount below /root in an image that does not run as root (all from 0.7.0 on): it cannot be read (dynamo#4290)."""
    for service in subject.graph.services:
        for keys, folder in _mounts(service):
            if _inside(folder, "/root") and not _runs_as_root(service):
                yield Found(keys, f"{folder} belongs to root, and images from 0.7.0 on run as another user: it cannot be read",
                            "mount it elsewhere and set HF_HOME or the cache's variable to it")  # fmt: skip


@rule("model-not-at-frontend", WARNING)
def model_not_at_frontend(subject: Subject) -> Iterator[Found]:
    """A model in a volume that the frontend does not mount at the same path: it reads the tokenizer there, and drops the model."""
    front = subject.graph.frontend
    for service in subject.workers if front else ():
        model = serving.flag(service.words, subject.serving.get("model"), subject.serving.get("aliases", {})) or ""
        holding = next(
            (folder for _, folder in _mounts(service) if model.startswith("/") and _inside(model, folder)), None
        )
        if holding and front and not any(_inside(model, folder) for _, folder in _mounts(front)):
            yield Found(at(front), f"the model {model} of {service.key} is on a volume that it does not mount: it drops the model",
                        f"mount the same volume at {holding} there")  # fmt: skip


def _devices(service: Service) -> list[str]:
    """The pod's extended resources that are no GPUs: an RDMA device has the name that its plugin gives it."""
    custom, limits = get(service.spec, "resources", "limits", "custom"), get(service.main, "resources", "limits")
    named = [*custom] if isinstance(custom, dict) else []
    named += [key for key in limits if "/" in str(key)] if isinstance(limits, dict) else []
    return [str(name) for name in named if str(name) != GPU]


def _may_lock(service: Service) -> bool:
    security = get(service.main, "securityContext")
    added = get(security, "capabilities", "add")
    return get(security, "privileged") is True or bool(
        {"IPC_LOCK", "ALL"} & {*map(str, added if isinstance(added, list) else ())}
    )


@rule("no-rdma", INFO)
def no_rdma(subject: Subject) -> Iterator[Found]:
    """Disaggregated without RDMA devices: on one node that is well; between nodes the KV cache goes over TCP, 200 to 500 times slower."""
    lacking = [service for service in subject.workers if not _devices(service)] if subject.disaggregated else []
    if lacking:
        what = f"{' and '.join(s.key for s in lacking)} have no RDMA device: between nodes the KV cache goes over TCP, 200 to 500 times slower"
        yield Found(
            at(lacking[0], "resources"),
            what,
            "well on one node; else add RDMA devices and IPC_LOCK, as configs/*-rdma.yaml have them",
        )


@rule("rdma-without-ipc-lock", WARNING)
def rdma_without_ipc_lock(subject: Subject) -> Iterator[Found]:
    """An RDMA device without the capability IPC_LOCK: memory cannot be pinned for it, and UCX takes TCP."""
    for service in subject.workers if subject.disaggregated else ():
        if _devices(service) and not _may_lock(service):
            what = f"it has {', '.join(_devices(service))} and not IPC_LOCK: memory cannot be pinned, and UCX takes TCP"
            yield Found(in_main(service), what, "add IPC_LOCK to mainContainer.securityContext.capabilities.add")


@rule("no-pre-stop", INFO)
def no_pre_stop(subject: Subject) -> Iterator[Found]:
    """A frontend or worker without a preStop hook: an update cuts the requests that still come in."""
    for service in subject.graph.services:
        if service.type in (FRONTEND, WORKER) and not get(service.main, "lifecycle", "preStop"):
            yield Found(in_main(service), "it has no preStop hook: an update cuts requests that still come in",
                        "add lifecycle.preStop with a sleep of 15 seconds")  # fmt: skip


@rule("ready-early", INFO)
def ready_early(subject: Subject) -> Iterator[Found]:
    """A frontend without a start-up probe: ready before it answers for a model, so clients of an update get 503 and 404."""
    front = subject.graph.frontend
    if front is not None and not get(front.main, "startupProbe"):
        yield Found(in_main(front), "it has no startupProbe: it is ready before it answers, and an update gives clients 503 and 404",
                    "add the startupProbe that frontends in configs/ have; it asks for one token")  # fmt: skip


def _variable(subject: Subject, service: Service, name: str) -> str | None:
    said = variable(subject.graph, service, name)
    return said[0] if said else None


@rule("frontend-port", WARNING)
def frontend_port(subject: Subject) -> Iterator[Found]:
    """A frontend on another port than 8000: the operator's Service and probes ask there."""
    front = subject.graph.frontend
    if front is not None:
        port = serving.flag(front.words, "--http-port", {}) or _variable(subject, front, "DYN_HTTP_PORT")
        if port and port.isdecimal() and port != str(HTTP_PORT):
            yield Found(
                at(front),
                f"it listens on {port}, and the operator's Service and probes ask {HTTP_PORT}",
                "leave the port out",
            )


@rule("system-port", WARNING)
def system_port(subject: Subject) -> Iterator[Found]:
    """A worker whose status server is off or on another port than 9090: the operator's probes find nothing, and it is restarted."""
    for service in subject.workers:
        port, on = _variable(subject, service, "DYN_SYSTEM_PORT"), _variable(subject, service, "DYN_SYSTEM_ENABLED")
        if service.type == WORKER and (
            (port or str(SYSTEM_PORT)) != str(SYSTEM_PORT) or (on or "true").lower() in ("false", "0")
        ):
            state = f"is on port {port}" if port and port != str(SYSTEM_PORT) else "is off"
            yield Found(at(service, "envs"), f"its status server {state}, and the operator's probes ask {SYSTEM_PORT}: it is restarted for ever",
                        "leave DYN_SYSTEM_PORT and DYN_SYSTEM_ENABLED out")  # fmt: skip
