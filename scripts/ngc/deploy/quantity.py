"""Kubernetes' quantities: 500m, 8Gi, 1.5, 2e9."""

from __future__ import annotations

import re
from decimal import Decimal

# kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity
_FORM = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?\d{1,3}))?"
)
LONGEST = 64  # characters; Kubernetes takes no number above 2^63
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def parse(text: str) -> Decimal | None:
    """The number that a quantity stands for; None if it is none."""
    match = _FORM.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if match is None:
        return None
    number, suffix = Decimal(match["number"]), match["suffix"] or ""
    if suffix in _BINARY:
        return number * Decimal(2 ** _BINARY[suffix])
    return number.scaleb(int(match["exponent"] or _DECIMAL.get(suffix, 0)))
