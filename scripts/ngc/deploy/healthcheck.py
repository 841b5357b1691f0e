"""A service's readiness probe as a Compose health check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ngc.deploy import names
from ngc.deploy.graph import FRONTEND, WORKER, Service

# A worker may load its model for two hours, as long as the operator's start-up probe lets it.
START = "7200s"
# Kubernetes' defaults for what a probe does not say.
PERIOD, TIMEOUT, FAILURES = 10, 1, 3
_PORTS = {FRONTEND: ("http", names.HTTP_PORT), WORKER: ("system", names.SYSTEM_PORT)}


def of(service: Service) -> dict[str, Any] | None:
    """The health check of a service for which `not_compose` has nothing; None where neither config nor operator gives a probe."""
    probe = _probe(service)
    if not probe:
        if service.type not in _PORTS:
            return None
        # Sooner than the operator's own: this is one machine, and nothing is taken out of a load balancer.
        return _check(_shell(f"curl -fsS http://127.0.0.1:{_PORTS[service.type][1]}/health"), 10, 5, 6)
    period, timeout, failures = (
        int(probe.get(key) or default)
        for key, default in (("periodSeconds", PERIOD), ("timeoutSeconds", TIMEOUT), ("failureThreshold", FAILURES))
    )
    return _check(_test(service, probe), period, timeout, failures)


def _test(service: Service, probe: Mapping[str, Any]) -> list[str]:
    """What a kubelet does, by programs of the image."""
    if "exec" in probe:
        return ["CMD", *(str(word) for word in probe["exec"].get("command") or ())]
    if "tcpSocket" in probe:
        return ["CMD", "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{_port(service, probe['tcpSocket']['port'])}"]
    asked = probe["httpGet"]
    scheme = str(asked.get("scheme", "HTTP")).lower()
    headers = "".join(f" -H '{h['name']}: {h['value']}'" for h in asked.get("httpHeaders") or [])
    # A kubelet does not check certificates either.
    words = f"curl -fsS{'k' if scheme == 'https' else ''}{headers}"
    url = f"{scheme}://127.0.0.1:{_port(service, asked['port'])}{asked.get('path', '/')}"
    return _shell(f"{words} '{url}'")


def _shell(text: str) -> list[str]:
    return ["CMD-SHELL", text]


def not_compose(service: Service) -> str | None:
    """What is asked by the probe that no program in the container can ask; None if all can."""
    probe = _probe(service)
    if probe and not {"exec", "tcpSocket", "httpGet"} & set(probe):
        return "has a readinessProbe that is no exec, httpGet or tcpSocket"
    asked = probe.get("tcpSocket") or probe.get("httpGet")
    if asked and _port(service, asked.get("port")) is None:
        return f"has a readinessProbe on the port {asked.get('port')!r}, which no port of it is called"
    return None


def _probe(service: Service) -> Mapping[str, Any]:
    """The config's own readiness probe, {} without one; one beside mainContainer wins."""
    return service.spec.get("readinessProbe") or service.main.get("readinessProbe") or {}


def _port(service: Service, port: Any) -> int | None:
    """The number of a port that may be given by its name: of the container's own, or of the one that the operator gives."""
    if isinstance(port, int) or str(port).isdecimal():
        return int(port)
    given = {str(entry.get("name")): entry.get("containerPort") for entry in service.main.get("ports") or []}
    name, number = _PORTS.get(service.type, ("", None))
    found = given.get(str(port), number if port == name else None)
    return None if found is None else int(found)


def _check(test: list[str], period: int, timeout: int, failures: int) -> dict[str, Any]:
    """Seconds, seconds, and how often in a row."""
    return {
        "test": test,
        "interval": f"{period}s",
        "timeout": f"{timeout}s",
        "retries": failures,
        "start_period": START,
    }
