"""The fields of a DynamoGraphDeployment of v1alpha1 and the kinds they take, for where no CRDs are at hand.

Written as the part of an OpenAPI schema that CRDs use, so that one walk (deploy.schema) reads both. Source: the CRD of 0.6.1.
What Kubernetes itself defines (volumes, probes, autoscaling ...) is open below its name; what is read of it here has its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ngc.deploy.graph import KIND

Schema = Mapping[str, Any]
API_VERSION = "nvidia.com/v1alpha1"
OPEN_KEY, EITHER_KEY = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
YES_OR_NO: Schema = {"type": "boolean"}
QUANTITY: Schema = {EITHER_KEY: True}  # 8Gi, or a number
OPEN: Schema = {"type": "object", OPEN_KEY: True}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _open(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {**_object(required, **properties), OPEN_KEY: True}


def _any(names: str) -> dict[str, Schema]:
    return {name: {} for name in names.split()}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


_ENVIRONMENT = _list(_object(("name",), name=TEXT, value=TEXT, valueFrom=OPEN))
_METADATA = _object(
    **_any(
        "creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName generation managedFields"
    ),
    **_any("ownerReferences resourceVersion selfLink uid"),
    name=TEXT,
    namespace=TEXT,
    labels=_map(TEXT),
    annotations=_map(TEXT),
)
# The CRD wants text for each of these, numbers too.
_RESOURCES = _object(cpu=TEXT, memory=TEXT, gpu=TEXT, custom=_map(TEXT))

# Of what Kubernetes defines, the kinds of the fields that are read here.
_PROBE = _open(
    exec=_open(command=_list(TEXT)),
    httpGet=_open(
        ("port",),
        port=QUANTITY,
        path=TEXT,
        scheme=TEXT,
        httpHeaders=_list(_open(("name", "value"), name=TEXT, value=TEXT)),
    ),
    tcpSocket=_open(("port",), port=QUANTITY),
    periodSeconds=WHOLE,
    timeoutSeconds=WHOLE,
    failureThreshold=WHOLE,
)
_CONTAINER = _object(
    **_any("lifecycle name resizePolicy restartPolicy"),
    **_any("stdin stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices"),
    **dict.fromkeys(("livenessProbe", "readinessProbe", "startupProbe"), _PROBE),
    envFrom=_list(OPEN),
    ports=_list(_open(("containerPort",), name=TEXT, containerPort=WHOLE)),
    resources=_open(limits=_map(QUANTITY), requests=_map(QUANTITY), claims=_list(OPEN)),
    securityContext=_open(capabilities=_open(add=_list(TEXT), drop=_list(TEXT)), runAsUser=WHOLE, runAsGroup=WHOLE),
    image=TEXT,
    imagePullPolicy=TEXT,
    workingDir=TEXT,
    command=_list(TEXT),
    args=_list(TEXT),
    env=_ENVIRONMENT,
    volumeMounts=_list(_open(("mountPath", "name"), name=TEXT, mountPath=TEXT, subPath=TEXT, readOnly=YES_OR_NO)),
)
_POD = _object(
    **_any(
        "activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks ephemeralContainers"
    ),
    **_any("hostAliases hostIPC hostNetwork hostPID hostUsers hostname imagePullSecrets nodeName nodeSelector os"),
    **_any(
        "overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims resources restartPolicy runtimeClassName"
    ),
    **_any("schedulerName schedulingGates serviceAccount setHostnameAsFQDN shareProcessNamespace subdomain"),
    **_any("terminationGracePeriodSeconds tolerations topologySpreadConstraints"),
    mainContainer=_CONTAINER,
    serviceAccountName=TEXT,
    securityContext=OPEN,
    containers=_list(OPEN),
    initContainers=_list(OPEN),
    volumes=_list(
        _open(("name",), name=TEXT, configMap=_open(name=TEXT), hostPath=_open(("path",), path=TEXT), emptyDir=OPEN)
    ),
)

COMPONENT = _object(
    componentType=TEXT,
    subComponentType=TEXT,
    dynamoNamespace=TEXT,
    serviceName=TEXT,
    replicas=WHOLE,
    resources=_object(
        requests=_RESOURCES, limits=_RESOURCES, claims=_list(_object(("name",), name=TEXT, request=TEXT))
    ),
    envs=_ENVIRONMENT,
    envFromSecret=TEXT,
    volumeMounts=_list(_object(("name",), name=TEXT, mountPoint=TEXT, useAsCompilationCache=YES_OR_NO)),
    sharedMemory=_object(disabled=YES_OR_NO, size=QUANTITY),
    multinode=_object(("nodeCount",), nodeCount={**WHOLE, "minimum": 2}),
    annotations=_map(TEXT),
    labels=_map(TEXT),
    autoscaling=_open(enabled=YES_OR_NO, minReplicas=WHOLE, maxReplicas=WHOLE),
    ingress=_object(
        enabled=YES_OR_NO,
        host=TEXT,
        hostPrefix=TEXT,
        hostSuffix=TEXT,
        ingressControllerClassName=TEXT,
        useVirtualService=YES_OR_NO,
        virtualServiceGateway=TEXT,
        annotations=_map(TEXT),
        labels=_map(TEXT),
        tls=_object(secretName=TEXT),
    ),
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    extraPodMetadata=_object(annotations=_map(TEXT), labels=_map(TEXT)),
    extraPodSpec=_POD,
)

MODEL = _object(
    apiVersion={**TEXT, "enum": [API_VERSION]},
    kind={**TEXT, "enum": [KIND]},
    metadata=_METADATA,
    spec=_object(
        backendFramework=TEXT,  # the frameworks stand in the CRD and in the tree
        envs=_ENVIRONMENT,
        pvcs=_list(
            _object(("name",), name=TEXT, create=YES_OR_NO, storageClass=TEXT, size=QUANTITY, volumeAccessMode=TEXT)
        ),
        services=_map(COMPONENT),
    ),
    status=OPEN,
)


def complete(schema: Schema) -> Schema:
    """A CRD's schema with what every CRD leaves to the API server: apiVersion, kind, metadata."""
    known = MODEL["properties"]
    properties = {**schema["properties"], "apiVersion": TEXT, "kind": known["kind"], "metadata": _METADATA}
    return {**schema, "properties": properties}


def kind(node: Schema) -> str:
    """What a field takes, for a sentence."""
    if "enum" in node:
        return f"one of: {', '.join(map(str, node['enum']))}"
    if node.get(EITHER_KEY):
        return "a whole number or text"
    names = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
             "array": "a list", "object": "a mapping"}  # fmt: skip
    return names.get(node.get("type", ""), "any value")


def below(node: Schema, key: str | int) -> Schema | None:
    """The schema of a key's value: {} where anything may stand there, None where nothing may."""
    if isinstance(key, int):
        return node.get("items") if node.get("type") == "array" else ({} if not node else None)
    if key in node.get("properties", {}):
        found: Schema = node["properties"][key]
        return found
    if isinstance(node.get("additionalProperties"), Mapping):
        more: Schema = node["additionalProperties"]
        return more
    return {} if not node or node.get(OPEN_KEY) else None


def places(name: str, node: Schema = MODEL, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where in our model a field of that name stands, the nearest first; "*" is any key of a map."""
    found: list[tuple[str, ...]] = []
    for key, child in node.get("properties", {}).items():
        found += [(*above, key)] if key == name else places(name, child, (*above, key))
    if "additionalProperties" in node:
        found += places(name, node["additionalProperties"], (*above, "*"))
    return sorted(found, key=len)
