"""Layers, sizes, download and configuration of two images, as plain data; sizes in bytes, null where they are not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ngc.comparing.sides import Layer, Side

KINDS = ("on_disk", "compressed")
# Fields of an image's config that are one value, by the name that people know.
_FIELDS = {
    "user": "User",
    "entrypoint": "Entrypoint",
    "command": "Cmd",
    "working directory": "WorkingDir",
    "stop signal": "StopSignal",
}


def of(a: Side, b: Side) -> dict[str, Any]:
    """All that the two descriptions say: no file of the images is read."""
    return {
        "a": _described(a),
        "b": _described(b),
        "same": a.id == b.id,
        "sizes": {kind: _size(kind, a, b) for kind in KINDS},
        "layers": _layers(a, b),
        "download": download(a, b),
        "config": _config(a.config, b.config),
    }


def _described(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "where": side.where,
        "id": side.id,
        "digest": side.digest,
        "platform": side.platform,
        "layers": [vars(layer) for layer in side.layers],
    }


def _size(kind: str, a: Side, b: Side) -> dict[str, int | None]:
    one, two = getattr(a, kind), getattr(b, kind)
    return {"a": one, "b": two, "difference": two - one if one is not None and two is not None else None}


def shared(a: Side, b: Side) -> set[str]:
    """The diff_ids that both have."""
    return {layer.diff_id for layer in a.layers} & {layer.diff_id for layer in b.layers}


def common(a: Side, b: Side) -> int:
    """How many layers are the same from the bottom on."""
    pairs = list(zip(a.layers, b.layers, strict=False))
    return next((number for number, (one, two) in enumerate(pairs) if one.diff_id != two.diff_id), len(pairs))


def _layers(a: Side, b: Side) -> dict[str, Any]:
    both = shared(a, b)
    ours, theirs = ([layer for layer in side.layers if layer.diff_id not in both] for side in (a, b))
    same = {
        kind: total((layer for side in (a, b) for layer in side.layers if layer.diff_id in both), kind)
        for kind in KINDS
    }
    return {
        "shared": {"count": len(both), **same, "from_the_bottom": common(a, b)},
        "only_a": {"count": len({layer.diff_id for layer in ours}), **{kind: total(ours, kind) for kind in KINDS}},
        "only_b": {"count": len({layer.diff_id for layer in theirs}), **{kind: total(theirs, kind) for kind in KINDS}},
    }


def total(layers: Iterable[Layer], kind: str) -> int | None:
    """The sum of the layers' sizes, each layer once; None if that of one is not known. What one side does not know the other may."""
    known: dict[str, int | None] = {}
    for layer in layers:
        if known.get(layer.diff_id) is None:
            known[layer.diff_id] = getattr(layer, kind)
    sizes = list(known.values())
    return None if None in sizes else sum(size for size in sizes if size is not None)


def download(a: Side, b: Side) -> dict[str, Any]:
    """What a node that has A must fetch for B.

    containerd keeps blobs by their digest, wherever in an image they lie. Docker takes a layer over only with all layers
    below it (its chain id), so from the first difference on it fetches everything.
    """
    if all(layer.digest for side in (a, b) for layer in side.layers):
        have: set[str | None] = {layer.digest for layer in a.layers}
        missing = [layer for layer in b.layers if layer.digest not in have]
    else:  # an engine does not know the blobs that its layers came from; their content it knows
        have = {layer.diff_id for layer in a.layers}
        missing = [layer for layer in b.layers if layer.diff_id not in have]
    above = list(b.layers[common(a, b) :])
    return {
        client: {"layers": len({layer.diff_id for layer in layers}), **{kind: total(layers, kind) for kind in KINDS}}
        for client, layers in (("containerd", missing), ("docker", above))
    }


def _config(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that differ, {a, b}; of variables, labels, ports and volumes those that are added, removed and changed."""
    fields = {name: (a.get(key) or None, b.get(key) or None) for name, key in _FIELDS.items()}
    return {
        **{name: {"a": one, "b": two} for name, (one, two) in fields.items() if one != two},
        "environment": changes(_variables(a.get("Env")), _variables(b.get("Env"))),
        "labels": changes(a.get("Labels") or {}, b.get("Labels") or {}),
        "ports": changes(dict.fromkeys(a.get("ExposedPorts") or (), ""), dict.fromkeys(b.get("ExposedPorts") or (), "")),
        "volumes": changes(dict.fromkeys(a.get("Volumes") or (), ""), dict.fromkeys(b.get("Volumes") or (), "")),
    }  # fmt: skip


def _variables(entries: Sequence[str] | None) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in entries or ())}


def changes(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What B has more, has no more, and has with another value."""
    return {
        "added": {key: b[key] for key in b if key not in a},
        "removed": {key: a[key] for key in a if key not in b},
        "changed": {key: {"a": a[key], "b": b[key]} for key in a if key in b and a[key] != b[key]},
    }
