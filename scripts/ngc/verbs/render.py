"""render."""

from __future__ import annotations

import sys
from pathlib import Path

from ngc import catalog
from ngc.verbs.common import BASE_OF_CONFIG, JSON, one_of, verb
from ngc.verbs.serve import CONFIG, IMAGE, SET

TO = "dgd for the Dynamo operator, kubernetes for plain objects (default: dgd)"
API = "of a DynamoGraphDeployment: v1alpha1, or v1beta1 for Dynamo from 1.2 on (default: v1alpha1)"
METRICS = "with --to=kubernetes: annotations or podmonitor, so that Prometheus finds the pods (default: neither)"
REGISTRY = "host[:port][/path] that the cluster pulls our image from (default: the image's bare name)"


@verb(
    help={
        "config": CONFIG,
        "to": "dgd, kubernetes or compose (default: dgd)",
        "api": API,
        "image": IMAGE,
        "base": BASE_OF_CONFIG,
        "registry": REGISTRY,
        "set": SET,
        "namespace": "written into every object (default: none, so that kubectl's -n decides)",
        "metrics": METRICS,
        "out": "folder to write into instead of printing; a Compose file may need files beside it",
        "json": JSON,
    },
    iterable=["set"],
)
def render(  # type: ignore[no-untyped-def]
    c, set, config=None, to="dgd", api="v1alpha1", image=None, base=None, registry=None, namespace=None, metrics=None, out=None, json=False
):  # fmt: skip
    """What a config becomes: a DynamoGraphDeployment, plain Kubernetes objects, or a Compose file."""
    from json import dumps

    from ngc.deploy import compose, prepare
    from ngc.deploy import render as renders

    to = one_of("--to", to, renders.TARGETS)
    api = one_of("--api", api, renders.APIS)
    prepared = prepare.prepare(catalog.read(), config, set, base, image, registry)
    objects = renders.render(prepared, to, namespace, metrics, api)
    if out is not None:
        print(*renders.write(prepared, objects, to, Path(out)), sep="\n")
        return

    as_json = objects[0] if to == renders.COMPOSE else {"apiVersion": "v1", "kind": "List", "items": objects}
    print(dumps(as_json, indent=2) if json else renders.dump(objects).rstrip("\n"))
    if to == renders.COMPOSE and (files := compose.files(prepared.graph)):
        print(f"this file needs {', '.join(files)} beside it; --out=FOLDER writes them all", file=sys.stderr)
