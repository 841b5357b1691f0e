"""A deployment as its config says it: a DynamoGraphDeployment, its services, and where in the file each thing stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ngc import yamlfile
from ngc.catalog import ROOT
from ngc.deploy import allowing
from ngc.errors import Wrong

KIND = "DynamoGraphDeployment"
GROUP, VERSION, NEWER = "nvidia.com", "v1alpha1", "v1beta1"  # of configs; `render` writes the newer one from them
FRONTEND = "frontend"
PREFILL, DECODE, WORKER = "prefill", "decode", "worker"
FRONTEND_COMMAND = ("python3", "-m", "dynamo.frontend")
SHARED_MEMORY = "8Gi"  # the operator's default for /dev/shm
Keys = tuple[str | int, ...]
_MODULE = re.compile(r"dynamo\.(\w+)")


@dataclass(frozen=True)
class Mount:
    """A volume of spec.pvcs in a service."""

    name: str
    path: str


@dataclass(frozen=True)
class Service:
    """One service of the graph. `gpus` is a pod's; `nodes` is 1 unless multinode; `shared_memory` None: switched off."""

    key: str
    type: str  # componentType
    sub_type: str | None
    replicas: int
    nodes: int
    gpus: int
    image: str | None
    command: tuple[str, ...]
    args: tuple[str, ...]
    working_dir: str | None
    environment: Mapping[str, Mapping[str, Any]]  # the user's, by name: {value} or {valueFrom}
    env_from_secret: str | None
    mounts: tuple[Mount, ...]
    shared_memory: str | None
    spec: Mapping[str, Any]  # all that the config says, plain

    @property
    def words(self) -> tuple[str, ...]:
        """The command line as separate words, also where a shell is given it as one text."""
        line = (*self.command, *self.args)
        if (not self.command and self.args) or line[:2] in (("/bin/sh", "-c"), ("sh", "-c"), ("bash", "-c")):
            text = " ".join(self.args if not self.command else line[2:])
            try:
                return tuple(shlex.split(text))
            except ValueError:  # no closing quotation
                return tuple(text.split())
        return line

    @property
    def module(self) -> str | None:
        """X of `python -m dynamo.X`; the operator gives a frontend without a command its own."""
        if self.type == FRONTEND and not self.command and not self.args:
            return FRONTEND
        found = (_MODULE.fullmatch(word) for word in self.words)
        return next((match[1] for match in found if match), None)

    @property
    def main(self) -> Mapping[str, Any]:
        """extraPodSpec.mainContainer."""
        return _mapping(_mapping(self.spec.get("extraPodSpec")).get("mainContainer"))


@dataclass(frozen=True)
class Graph:
    """A config. `data` is the object with its comments and lines, and so are `others` of the file, such as ConfigMaps."""

    path: Path
    name: str
    data: Any
    services: tuple[Service, ...]
    others: tuple[Any, ...]
    allowed: Mapping[str, str]  # rules that the file switches off, with the reason

    @property
    def plain(self) -> Any:
        """The object as Python's own kinds."""
        return plain(self.data)

    @cached_property
    def beside(self) -> tuple[Mapping[str, Any], ...]:
        """The other objects, plain."""
        return tuple(plain(document) for document in self.others)

    @property
    def config_maps(self) -> Mapping[str, Mapping[str, str]]:
        """The files of each ConfigMap among them, by its name."""
        maps = (entry for entry in self.beside if entry["kind"] == "ConfigMap")
        return {
            str(entry["metadata"].get("name")): {key: str(text) for key, text in (entry.get("data") or {}).items()}
            for entry in maps
        }

    @property
    def spec(self) -> Mapping[str, Any]:
        return _mapping(self.data.get("spec"))

    @property
    def frontend(self) -> Service | None:
        return next((service for service in self.services if service.type == FRONTEND), None)

    @property
    def workers(self) -> tuple[Service, ...]:
        return tuple(service for service in self.services if service.module not in (None, FRONTEND))

    @property
    def framework(self) -> str | None:
        """backendFramework, or the module that the workers run."""
        named = self.spec.get("backendFramework")
        return named if isinstance(named, str) else next((service.module for service in self.workers), None)

    @property
    def claims(self) -> Mapping[str, Mapping[str, Any]]:
        """spec.pvcs by name."""
        entries = self.spec.get("pvcs")
        return {str(e["name"]): e for e in entries if "name" in e} if isinstance(entries, list) else {}

    def line(self, *keys: str | int) -> int:
        """The line of a field in the file, of the nearest one above where it does not stand there; from 1."""
        return line_of(self.data, *keys)


def line_of(node: Any, *keys: str | int) -> int:
    """The line of a field of an object, of the nearest one above where it does not stand there; from 1."""
    line = node.lc.line
    for key in keys:
        try:
            line = node.lc.data[key][0]
            node = node[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return int(line) + 1


def at(service: Service, *keys: str | int) -> Keys:
    """The place of a service's field."""
    return ("spec", "services", service.key, *keys)


def find(config: str | None, folder: Path = ROOT / "configs") -> Path:
    """The file of a config, given as a path or by its name in configs/. Raises Wrong with the names there are."""
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if config is None:
        raise Wrong(f"which config? add --config=NAME, one of: {', '.join(names)}; or the path of a file")
    path = Path(config)
    if ("/" in config or path.suffix in (".yaml", ".yml")) and path.is_file():
        return path
    if config in names:
        return folder / f"{config}.yaml"
    if path.is_dir():
        raise Wrong(f"{config} is a folder; name a file in it, or one of: {', '.join(names)}")
    if "/" in config or path.suffix in (".yaml", ".yml"):
        raise Wrong(f"there is no file {config}; name a file, or one of: {', '.join(names)}")
    raise Wrong(f"unknown config '{config}'; choose from: {', '.join(names)}; or the path of a file")


def load(path: Path) -> Graph:
    """Read a config. Raises Wrong with file and line for what is no DynamoGraphDeployment."""
    text = yamlfile.read(path, yamlfile.CONFIG)
    documents = [document for document in yamlfile.editable(text, path) if document is not None]
    graphs = [document for document in documents if isinstance(document, dict) and document.get("kind") == KIND]
    if len(graphs) != 1:
        kinds = [str(d.get("kind", "without a kind")) if isinstance(d, dict) else "no mapping" for d in documents]
        raise Wrong(
            f"{path} holds {len(graphs)} objects of kind {KIND} ({', '.join(kinds) or 'it is empty'}); a config holds exactly one"
        )
    others = [document for document in documents if document is not graphs[0]]
    for document in others:
        _check_object(path, document)
    return of(path, graphs[0], others, allowing.silenced(text))


def _check_object(path: Path, document: Any) -> None:
    """Raise Wrong for a document beside the graph that is no object of Kubernetes."""
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        line = document.lc.line + 1 if hasattr(document, "lc") else 1
        raise Wrong(
            f"{path}:{line}: a document has no kind; write an object of Kubernetes with apiVersion, kind and metadata.name"
        )
    if not isinstance(document.get("metadata"), dict):
        raise Wrong(f"{path}:{line_of(document, 'metadata')}: {document['kind']} has no metadata; add metadata.name")
    for *above, key in (("data",), ("stringData",), ("metadata", "labels"), ("metadata", "annotations")):
        if not isinstance((document["metadata"] if above else document).get(key), (dict, type(None))):
            where = f"{path}:{line_of(document, *above, key)}: {'.'.join([*above, key])} of {document['kind']}"
            raise Wrong(f"{where} is no mapping; write it as one")


def of(path: Path, data: Any, others: Sequence[Any], allowed: Mapping[str, str]) -> Graph:
    """The graph of an object that was read already. Raises Wrong for another version, or nothing to make services of."""
    _version(path, data)
    name = _mapping(data.get("metadata")).get("name")
    if not isinstance(name, str) or not name:
        raise Wrong(f"{path}:{data.lc.line + 1}: metadata.name is missing; give the deployment a name")
    services = _mapping(data.get("spec")).get("services")
    if not isinstance(services, dict) or not services:
        raise Wrong(f"{path}:{data.lc.line + 1}: spec.services has no service; add a frontend and a worker")
    common = _environment(data["spec"].get("envs"))
    made = tuple(_service(str(key), _set(plain(_mapping(spec))), common) for key, spec in services.items())
    return Graph(path, name, data, made, tuple(others), allowed)


def _version(path: Path, data: Any) -> None:
    """Raise Wrong for an apiVersion that configs do not have; lint finds one that is missing."""
    version = data.get("apiVersion", f"{GROUP}/{VERSION}")
    if version == f"{GROUP}/{VERSION}":
        return
    line = data.lc.data["apiVersion"][0] + 1 if "apiVersion" in data.lc.data else data.lc.line + 1
    newer = f" with services in place of components; `invoke render --api={NEWER}` makes {NEWER} of it"
    fix = f"write the config as {GROUP}/{VERSION}{newer if version == f'{GROUP}/{NEWER}' else ''}"
    raise Wrong(f"{path}:{line}: apiVersion is {version}, and configs here are {GROUP}/{VERSION}; {fix}")


def _service(key: str, spec: Mapping[str, Any], common: Mapping[str, Mapping[str, Any]]) -> Service:
    main = _mapping(_mapping(spec.get("extraPodSpec")).get("mainContainer"))
    memory = _mapping(spec.get("sharedMemory"))
    return Service(
        key=key,
        type=str(spec.get("componentType", "main")),
        sub_type=_text(spec.get("subComponentType")),
        replicas=_count(spec.get("replicas"), 1),
        nodes=_count(_mapping(spec.get("multinode")).get("nodeCount"), 1),
        gpus=_count(_mapping(_mapping(spec.get("resources")).get("limits")).get("gpu"), 0),
        image=_text(main.get("image")),
        command=_texts(main.get("command")),
        args=_texts(main.get("args")),
        working_dir=_text(main.get("workingDir")),
        environment={**common, **_environment(spec.get("envs")), **_environment(main.get("env"))},
        env_from_secret=_text(spec.get("envFromSecret")),
        mounts=tuple(_mounts(spec.get("volumeMounts"))),
        shared_memory=None if memory.get("disabled") is True else str(memory.get("size", SHARED_MEMORY)),
        spec=spec,
    )


def _mounts(entries: Any) -> Iterator[Mount]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and "name" in entry:
            yield Mount(str(entry["name"]), str(entry.get("mountPoint", "/root/.cache/vllm")))


def _environment(entries: Any) -> dict[str, Mapping[str, Any]]:
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {
        str(e["name"]): {key: plain(e[key]) for key in ("value", "valueFrom") if key in e} for e in found if "name" in e
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _count(value: Any, default: int) -> int:
    """A number that may be written as text; the default for what is none: lint says so, not this."""
    return int(value) if re.fullmatch(r"[0-9]{1,9}", str(value)) else default


def _set(value: Any) -> Any:
    """Data without the fields that are null: to Kubernetes they are not there."""
    if isinstance(value, dict):
        return {key: _set(item) for key, item in value.items() if item is not None}
    return [_set(item) for item in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Data as Python's own kinds, without comments and anchors."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    kinds = () if isinstance(value, bool) else (int, float, str)  # ruamel.yaml has kinds of its own below these
    return next((kind(value) for kind in kinds if isinstance(value, kind)), value)
