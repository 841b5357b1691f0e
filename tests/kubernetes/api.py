"""The API server's own interface, for a controller: through one `kubectl proxy`, because a kubectl for each look would cost a core."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

Object = Mapping[str, Any]
DGD, DCD = "DynamoGraphDeployment", "DynamoComponentDeployment"
KINDS = {
    "Namespace": ("api/v1", "namespaces"),
    "Service": ("api/v1", "services"),
    "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims"),
    "Deployment": ("apis/apps/v1", "deployments"),
    DGD: ("apis/nvidia.com/v1alpha1", "dynamographdeployments"),
    DCD: ("apis/nvidia.com/v1alpha1", "dynamocomponentdeployments"),
}
START_SECONDS = 15


class Refused(Exception):
    """The API server did not do it; the text is its own."""


class _Line(http.client.HTTPConnection):
    """HTTP over a socket file, which nobody but its owner can open."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Api:
    """Reads and writes objects. Writes are server-side apply under the field manager `manager`, as the operator's binary is called."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object, None where there is none."""
        return self._ask("GET", _path(kind, namespace, name), missing=True)

    def every(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """All objects of a kind in all namespaces; none where the kind is not known."""
        query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
        found = self._ask("GET", "/" + "/".join(KINDS[kind]) + query, missing=True)
        return list((found or {}).get("items") or [])

    def apply(self, entry: Object) -> dict[str, Any]:
        """Server-side apply that takes fields over, as an update by the operator does."""
        metadata = entry["metadata"]
        path = _path(entry["kind"], metadata.get("namespace", ""), metadata["name"])
        kind = "application/apply-patch+yaml"
        return self._ask("PATCH", f"{path}?fieldManager=manager&force=true", entry, kind) or {}

    def status(self, entry: Object, status: Object) -> None:
        """Write the status subresource."""
        metadata = entry["metadata"]
        path = _path(entry["kind"], metadata["namespace"], metadata["name"])
        self._ask("PATCH", f"{path}/status?fieldManager=manager", {"status": status}, missing=True)

    def release(self, entry: Object) -> None:
        """Take the finalizers off."""
        metadata = entry["metadata"]
        path = _path(entry["kind"], metadata["namespace"], metadata["name"])
        self._ask("PATCH", path, {"metadata": {"finalizers": None}}, missing=True)

    def _ask(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/merge-patch+json", missing: bool = False
    ) -> dict[str, Any] | None:  # fmt: skip
        try:
            self._line.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": kind})
            answer = self._line.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._line.close()  # the next call opens it again
            raise Refused(f"no answer: {error or type(error).__name__}") from None
        if answer.status == 404 and missing:
            return None
        try:
            data = json.loads(text)
        except ValueError:
            raise Refused(f"{answer.status}: {text[:200].decode(errors='replace')}") from None
        if answer.status >= 300:
            raise Refused(str(data.get("message") or answer.status))
        return dict(data)


def _path(kind: str, namespace: str, name: str) -> str:
    group, plural = KINDS[kind]
    return f"/{group}/{f'namespaces/{namespace}/' if namespace and kind != 'Namespace' else ''}{plural}/{name}"


@contextmanager
def connected(context: str) -> Iterator[Api]:
    """The API of a context of the kubeconfig."""
    with tempfile.TemporaryDirectory(prefix="ngc-api-") as folder:
        path = Path(folder) / "socket"
        words = ["kubectl", "--context", context, "proxy", f"--unix-socket={path}"]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None
            said = child.stdout.readline()  # it says where it serves when it does
            if "Starting to serve" not in said:
                raise Refused(f"kubectl proxy did not start: {said}")
            yield Api(_Line(path))
        finally:
            child.terminate()
            child.wait(START_SECONDS)
