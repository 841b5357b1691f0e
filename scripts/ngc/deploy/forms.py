"""What Kubernetes takes as a name, a key or a path: the API server's own checks, as forms of a text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_WORD = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"


@dataclass(frozen=True)
class Form:
    """A form of texts: the characters that may stand there, how many at most (None: any number), and what to write."""

    pattern: re.Pattern[str]
    longest: int | None
    write: str

    def takes(self, value: Any) -> bool:
        return (
            isinstance(value, str)
            and (self.longest is None or len(value) <= self.longest)
            and self.pattern.fullmatch(value) is not None
        )


# Source: k8s.io/apimachinery/pkg/util/validation and k8s.io/kubernetes/pkg/apis/core/validation, 1.32.
LABEL = Form(re.compile(_PART), 63, "write small letters, digits and hyphens, 63 at most")
SUBDOMAIN = Form(re.compile(rf"{_PART}(\.{_PART})*"), 253, "write small letters, digits, hyphens and dots, 253 at most")
SERVICE = Form(
    re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?"), 63, "write small letters, digits and hyphens, a letter first, 63 at most"
)
SEGMENT = Form(re.compile(r"(?!\.{1,2}$)[^/%\x00-\x1f\x7f]+"), None, "write a name without / and %, and not . or ..")
DATA_KEY = Form(
    re.compile(r"(?!\.$|\.\.)[-._a-zA-Z0-9]+"),
    253,
    "write letters, digits, '-', '_' and '.', 253 at most and no .. first",
)
VARIABLE = Form(re.compile(r"[ -<>-~]+"), None, "write letters, digits and '_'")
MOUNT_PATH = Form(re.compile(r"[^:\x00]+"), None, "write a path without a colon")
HOST_PATH = Form(re.compile(r"(?!(?:.*/)?\.\.(?:/|$))[^\x00]+", re.DOTALL), None, "write a path without ..")
LABEL_KEY = Form(
    re.compile(rf"({_PART}(\.{_PART})*/)?(?=[^/]{{1,63}}$){_WORD}"),
    317,
    "write [PREFIX/]NAME of letters, digits, '-', '_' and '.'",
)
TEXT = Form(re.compile(".*", re.DOTALL), None, "write it as text, in quotes")
LABEL_VALUE = Form(re.compile(rf"({_WORD})?"), 63, "write letters, digits, '-', '_' and '.', 63 at most, in quotes")

# Names of objects are subdomains but for these.
_KINDS: Mapping[str, Form] = {
    "Namespace": LABEL,
    "Service": SERVICE,
    **dict.fromkeys(("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"), SEGMENT),
}


def of_kind(kind: str) -> Form:
    """The form of the names of a kind's objects."""
    return _KINDS.get(kind, SUBDOMAIN)
