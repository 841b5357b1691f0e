"""Names, labels and variables that the Dynamo operator gives, so that leaving or joining it changes nothing for clients.

Source of all: objects that the operator of 0.6.1 made on a real API server, without Grove.
"""

from __future__ import annotations

from collections.abc import Mapping

from ngc.deploy.graph import FRONTEND, Graph, Service

GRAPH_LABEL = "nvidia.com/dynamo-graph-deployment-name"
COMPONENT_LABEL = "nvidia.com/dynamo-component"
NAMESPACE_LABEL = "nvidia.com/dynamo-namespace"
TYPE_LABEL = "nvidia.com/dynamo-component-type"
SUB_TYPE_LABEL = "nvidia.com/dynamo-sub-component-type"
SELECTOR_LABEL = "nvidia.com/selector"
METRICS_LABEL = "nvidia.com/metrics-enabled"
METRICS_ANNOTATION = "nvidia.com/enable-metrics"
HTTP_PORT, SYSTEM_PORT, PLANNER_PORT = 8000, 9090, 9085  # ports of frontend, worker, planner


def component(graph: Graph, service: Service) -> str:
    """The name of a service's Deployment, and of the frontend's Service."""
    return f"{graph.name}-{service.key.lower()}"


def dynamo_namespace(graph: Graph, service: Service) -> str:
    """Where in Dynamo's discovery the service registers."""
    return str(service.spec.get("dynamoNamespace") or f"dynamo-{graph.name}")


def deployment_labels(graph: Graph, service: Service) -> dict[str, str]:
    """Labels of a service's Deployment and pods, the user's own included."""
    metrics = service.spec.get("annotations", {}).get(METRICS_ANNOTATION) != "false"
    return {
        **{str(key): str(value) for key, value in service.spec.get("labels", {}).items()},
        GRAPH_LABEL: graph.name,
        COMPONENT_LABEL: service.key,
        NAMESPACE_LABEL: dynamo_namespace(graph, service),
        TYPE_LABEL: service.type,
        **({SUB_TYPE_LABEL: service.sub_type} if service.sub_type else {}),
        **({METRICS_LABEL: "true"} if metrics else {}),
        SELECTOR_LABEL: component(graph, service),
    }


def injected(graph: Graph, service: Service, etcd: str, nats: str) -> dict[str, str]:
    """Variables that the operator sets, but for the parent's namespace; the user's value wins over each."""
    own: Mapping[str, str] = {}
    if service.type == FRONTEND:
        own = {"DYNAMO_PORT": str(HTTP_PORT), "DYN_HTTP_PORT": str(HTTP_PORT)}
    elif service.type == "worker":
        own = {
            "DYN_SYSTEM_ENABLED": "true",
            "DYN_SYSTEM_PORT": str(SYSTEM_PORT),
            "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]',
        }
    elif service.type == "planner":
        own = {"PLANNER_PROMETHEUS_PORT": str(PLANNER_PORT)}
    return {
        "DYN_NAMESPACE": dynamo_namespace(graph, service),
        "DYN_PARENT_DGD_K8S_NAME": graph.name,
        "ETCD_ENDPOINTS": etcd,
        "NATS_SERVER": nats,
        **own,
    }
