"""Rules about the arguments of a worker's engine beside its flags: a file of them, and the text that wins over both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import join, normpath
from typing import Any

from ngc import yamlfile
from ngc.deploy import serving
from ngc.deploy.commandline import flags
from ngc.deploy.graph import Graph, Service, plain
from ngc.deploy.paths import Keys
from ngc.deploy.rules.rule import ERROR, WARNING, Found, Subject, entries, get, in_main, rule
from ngc.errors import Wrong

KINDS = ("tensor", "pipeline", "data")  # of parallelism: the fields of serving.Parallel


@dataclass(frozen=True)
class EngineFile:
    """The engine file that a worker is given, where it comes from a ConfigMap of the same file. `text` None: the map lacks it."""

    path: str
    config_map: str
    text: str | None

    @property
    def data(self) -> Mapping[str, Any] | None:
        """Its content, None where that is no mapping."""
        try:
            data = plain(yamlfile.load(self.text or "", self.path))
        except Wrong:
            return None
        return {} if data is None else data if isinstance(data, Mapping) else None


def config_maps(graph: Graph, service: Service) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """(mount path, name, files) of each ConfigMap of the file that a service mounts whole."""
    maps = graph.config_maps
    volumes = {
        str(v.get("name")): get(v, "configMap", "name") for v in entries(get(service.spec, "extraPodSpec", "volumes"))
    }
    for mount in entries(service.main.get("volumeMounts")):
        name = str(volumes.get(str(mount.get("name"))))
        if name in maps and "subPath" not in mount:
            yield str(mount.get("mountPath")), name, maps[name]


def _said(subject: Subject, service: Service, key: str) -> str | None:
    """The value of the flag that a key of `serving` names."""
    return serving.flag(service.words, subject.serving.get(key), subject.serving.get("aliases", {})) or None


def _place(subject: Subject, service: Service, *keys: str) -> Keys:
    """Where the first of the flags stands that keys of `serving` name."""
    names = {subject.serving.get(key) for key in keys}
    return next((f.keys for f in flags(service) if f.head in names), in_main(service, "args"))


def engine_file(subject: Subject, service: Service) -> EngineFile | None:
    """The worker's engine file, where its content can be known."""
    path = _said(subject, service, "engine-file")
    if not path:
        return None
    path = normpath(join(service.working_dir or "/", path))
    for folder, name, files in config_maps(subject.graph, service):
        if path.startswith(folder.rstrip("/") + "/"):
            return EngineFile(path, name, files.get(path[len(folder.rstrip("/")) + 1 :]))
    return None


def _override(subject: Subject, service: Service) -> Mapping[str, Any]:
    """The engine's arguments that are given as JSON; {} for none, and for what is no mapping: flag-value says so."""
    try:
        data = json.loads(_said(subject, service, "engine-override") or "{}")
    except json.JSONDecodeError:
        return {}
    return data if isinstance(data, Mapping) else {}


def _sources(subject: Subject, service: Service) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(flag, arguments) of what is said beside the flags, that which wins last; a file whose content is not known is left out."""
    file = engine_file(subject, service)
    if file and file.text is not None and file.data is not None:
        yield "engine-file", file.data
    yield "engine-override", _override(subject, service)


def by_engine(subject: Subject, service: Service) -> dict[str, tuple[int, str]]:
    """The parallelism that is said beside the flags: kind to number and where. Its keys are named as the flags are."""
    keys = {kind: str(subject.serving.get(f"{kind}-parallel", "")).lstrip("-").replace("-", "_") for kind in KINDS}
    found: dict[str, tuple[int, str]] = {}
    for source, data in _sources(subject, service):
        for kind, key in keys.items():
            number = data.get(key)
            if isinstance(number, int) and not isinstance(number, bool) and number > 0:
                found[kind] = number, source
    return found


@rule("engine-file", ERROR)
def engine_file_is_there(subject: Subject) -> Iterator[Found]:
    """An engine file that the mounted ConfigMap does not have, or that is no YAML mapping: the worker ends at once."""
    for service in subject.workers:
        file = engine_file(subject, service)
        if file is not None and (file.text is None or file.data is None):
            state = "has no such file" if file.text is None else "holds no YAML mapping there"
            yield Found(_place(subject, service, "engine-file"), f"{file.path}: the ConfigMap {file.config_map} {state}: the worker ends at once",
                        "name a key of the ConfigMap" if file.text is None else "mend the text in the ConfigMap")  # fmt: skip


@rule("engine-file-wins", WARNING)
def engine_file_wins(subject: Subject) -> Iterator[Found]:
    """Parallelism in the engine's file or in its text of overrides that contradicts the flags: it wins, and the operator believes the flags."""
    for service in subject.workers:
        said = serving.parallel(service, subject.serving)
        for kind, (number, source) in by_engine(subject, service).items():
            if getattr(said, kind) != number:
                name = "the engine file" if source == "engine-file" else subject.serving[source]
                what = f"{name} says {kind} parallel {number}, the flags {getattr(said, kind)}: the flags lose, and the operator reads them"
                keys = _place(subject, service, f"{kind}-parallel", source)
                yield Found(keys, what, f'write {subject.serving[f"{kind}-parallel"]} "{number}"')


@rule("engine-needs", WARNING)
def engine_needs(subject: Subject) -> Iterator[Found]:
    """A worker of a disaggregated graph whose engine lacks an argument that a hand-over needs: requests fail."""
    for service in subject.workers if subject.disaggregated else ():
        needs: Mapping[str, Any] = subject.serving.get("engine-needs", {}).get(subject.roles.get(service.key), {})
        file = engine_file(subject, service)
        if _said(subject, service, "engine-file") and (file is None or file.text is None or file.data is None):
            continue  # a file of the image, which may hold them, or one that engine-file finds wrong
        said: dict[str, Any] = {}
        for _, data in _sources(subject, service):
            said |= data
        for name, value in needs.items():
            if said.get(name) is None or (value is not None and said[name] != value):
                written = f"{name}: {json.dumps(value)}" if value is not None else name
                where = "the engine file" if file else f"a file that {subject.serving['engine-file']} names"
                yield Found(_place(subject, service, "engine-file"), f"its engine is not given {written}, which a hand-over needs: requests fail",
                            f"add {written} to {where}")  # fmt: skip
