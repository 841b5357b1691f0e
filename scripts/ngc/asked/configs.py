"""What is asked of configs, and of what serves them: a stack of this machine or a deployment on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ngc.asked import JSON, PLAN, duration, flag, number, one_of
from ngc.errors import Wrong

CONFIG = "name in configs/, or the path of a file"
ON_CLUSTER = ("dgd", "kubernetes")
TARGETS = (*ON_CLUSTER, "compose")
APIS = ("v1alpha1", "v1beta1")
PORTS = range(1, 65536)
FORCE = "take over fields that others have set"
TIMEOUT = "longest wait, in seconds or as 90s, 30m, 1h (default: 30m)"


def _revision(name: str, text: str) -> int:
    if not text.isdecimal():
        raise Wrong(f"{name} is '{text}'; write a number, `invoke status` says the current one")
    return int(text)


@dataclass(frozen=True, eq=False, repr=False)
class Validate:
    """What is asked of `validate`."""

    config: Sequence[str] = flag(CONFIG + "; may be repeated (default: all in configs/)", ())
    set: Sequence[str] = flag(
        "change a field first, as PATH=VALUE, such as spec.services.Frontend.replicas=2; may be repeated", ()
    )
    context: str | None = flag(
        "also ask the API server of this context of kubectl, in a strict dry run (default: no server)"
    )
    namespace: str | None = flag("the namespace that the server is asked for (default: the context's own)")
    json: bool = flag(JSON, False)


@dataclass(frozen=True, eq=False, repr=False)
class Config:
    """Which config, what of it is changed, and which image runs."""

    config: str | None = flag(CONFIG)
    set: Sequence[str] = flag(
        "change a field, as PATH=VALUE, such as spec.services.Frontend.replicas=2; may be repeated", ()
    )
    base: str | None = flag(
        "what the built images stand on: ngc, stand-in, or an image reference (default: the config's own image, or the variable NGC_BASE)"
    )
    image: str | None = flag(
        "image of frontend and workers (default: the built runtime image of the config's framework)"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Up(Config):
    """What is asked of `up`. `timeout` in seconds."""

    model: str | None = flag("another model than the config's: a folder, or a name of Hugging Face")
    gpu: str = flag(
        "auto, on or off (default: auto: GPUs unless the image stands on the stand-in)",
        "auto",
        one_of("auto", "on", "off"),
    )
    port: int = flag("port of the frontend on 127.0.0.1 (default: 8000)", "8000", number(PORTS[0], PORTS[-1]))
    timeout: float = flag(TIMEOUT, "30m", duration)


@dataclass(frozen=True, eq=False, repr=False)
class Down:
    """What is asked of `down`."""

    config: str | None = flag(CONFIG + ", or the name of a stack (default: the one that is up)")


@dataclass(frozen=True, eq=False, repr=False)
class Objects(Config):
    """How a config becomes objects of Kubernetes."""

    api: str = flag(
        "of a DynamoGraphDeployment: v1alpha1, or v1beta1 for Dynamo from 1.2 on (default: v1alpha1)",
        APIS[0],
        one_of(*APIS),
    )
    registry: str | None = flag(
        "host[:port][/path] that the cluster pulls our image from (default: the image's bare name)"
    )
    metrics: str | None = flag(
        "with --to=kubernetes: annotations or podmonitor, so that Prometheus finds the pods (default: neither)"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Render(Objects):
    """What is asked of `render`."""

    to: str = flag("dgd, kubernetes or compose (default: dgd)", TARGETS[0], one_of(*TARGETS))
    namespace: str | None = flag("written into every object (default: none, so that kubectl's -n decides)")
    out: str | None = flag("folder to write into instead of printing; a Compose file may need files beside it")
    json: bool = flag(JSON, False)


@dataclass(frozen=True, eq=False, repr=False)
class Cluster:
    """Which cluster, and where on it."""

    context: str | None = flag(
        "the cluster, by its name in the kubeconfig (default: the only one there; asked for on a terminal)"
    )
    namespace: str | None = flag("Kubernetes namespace (default: the context's own)")


@dataclass(frozen=True, eq=False, repr=False)
class Diff(Cluster, Objects):
    """What is asked of `diff`, which makes no Secret and fills no claim."""

    to: str = flag(
        "dgd for the Dynamo operator, kubernetes for plain objects (default: dgd)", ON_CLUSTER[0], one_of(*ON_CLUSTER)
    )
    force_conflicts: bool = flag(FORCE, False)
    allow_stand_in: bool = flag("deploy an image that stands on the stand-in, which serves nothing real", False)
    create_secrets: bool = False
    fill_cache: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Deploy(Diff):
    """What is asked of `deploy`. `timeout` in seconds."""

    create_secrets: bool = flag(
        "make the Secrets that the config names, from the variables HF_TOKEN and NGC_API_KEY", False
    )
    fill_cache: str | None = flag(
        "first fill the claim that the config mounts: hub for Hugging Face, or a folder with a model"
    )
    timeout: float = flag(TIMEOUT, "30m", duration)
    plan: bool = flag(PLAN, False)


@dataclass(frozen=True, eq=False, repr=False)
class Deployment(Cluster):
    """Which deployment of a cluster."""

    config: str | None = flag(CONFIG + ", or the name of a deployment (default: the one that is there)")


@dataclass(frozen=True, eq=False, repr=False)
class Rollback(Deployment):
    """What is asked of `rollback`. `timeout` in seconds."""

    revision: int | None = flag(
        "number of the revision to go back to (default: the newest before the current one that served)", None, _revision
    )
    force_conflicts: bool = flag(FORCE, False)
    timeout: float = flag(TIMEOUT, "30m", duration)


@dataclass(frozen=True, eq=False, repr=False)
class Undeploy(Deployment):
    """What is asked of `undeploy`. `timeout` in seconds."""

    timeout: float = flag(
        "longest wait until all pods are gone, in seconds or as 90s, 5m (default: 5m)", "5m", duration
    )


@dataclass(frozen=True, eq=False, repr=False)
class Running(Cluster):
    """Which stack of this machine, or which deployment of a cluster."""

    config: str | None = flag(CONFIG + ", or the name of a deployment (default: the one that is up)")


@dataclass(frozen=True, eq=False, repr=False)
class Status(Running):
    """What is asked of `status`."""

    json: bool = flag(JSON, False)


@dataclass(frozen=True, eq=False, repr=False)
class Smoke(Status):
    """What is asked of `smoke`."""

    bench: bool = flag(
        "on a cluster: measure NIXL between two pods like the workers, and say whether it goes over RDMA", False
    )
    image: str | None = flag(
        "with --bench: the image with bench-nixl (default: the benchmark image beside the deployed one)"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Logs(Running):
    """What is asked of `logs`."""

    component: str | None = flag("only this service of the config (default: all)")
    follow: bool = flag("go on until interrupted", False)
    previous: bool = flag("on a cluster: of the containers before the last restart", False)
    tail: int | None = flag("only so many last lines of each (default: all)", None, number(1))
