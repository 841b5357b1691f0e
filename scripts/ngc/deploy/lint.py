"""What is wrong with a config, or will be: every rule that applies, each finding with file, line, field, outcome and fix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ngc import output, yamlfile
from ngc.asked.configs import Validate
from ngc.catalog import ROOT, Catalog
from ngc.deploy import commandline, dryrun, edit, serving
from ngc.deploy.cluster import kubectl
from ngc.deploy.graph import Graph, find, load
from ngc.deploy.paths import text
from ngc.deploy.rules.rule import ERROR, RULES, SEVERITIES, Found, Rule, Subject
from ngc.errors import Wrong

FRONTEND_FLAGS = "common/frontend.yaml"  # in ngc-builds


@dataclass(frozen=True)
class Finding:
    """A finding. `severity`: error, it will not work; warning, likely trouble; info, good to know. `line` from 1."""

    rule: str
    severity: str
    file: str
    line: int
    field: str
    what: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.field}: " if self.field else ""
        return output.line(f"{self.file}:{self.line}: {self.severity} {self.rule}: {place}{self.what}; {self.fix}")


@dataclass(frozen=True)
class Silenced(Finding):
    """A finding that a comment in the file allows, with the comment's reason."""

    reason: str


@dataclass(frozen=True)
class Report:
    """The findings of a config, by line, and those that are silenced."""

    findings: tuple[Finding, ...]
    silenced: tuple[Silenced, ...]

    @property
    def failed(self) -> bool:
        return any(finding.severity == ERROR for finding in self.findings)


def check(catalog: Catalog, graph: Graph, more: Iterable[tuple[str, Found]] = ()) -> Report:
    """Hold a graph to every rule. `more`: findings from elsewhere, each with its rule. Raises Wrong for an unusable DYNAMO_CRDS."""
    subject = _subject(catalog, graph)
    found = [(rule.id, each) for rule in RULES.values() for each in rule.look(subject)]
    wrong = {each.keys for name, each in found if RULES[name].severity == ERROR}
    # What is said already, with a better fix; of a missing field the server names the field, we the mapping around it.
    more = [(name, each) for name, each in more if not each.keys or not {each.keys, each.keys[:-1]} & wrong]
    findings = [_finding(graph, name, each) for name, each in (*found, *more)]
    findings.sort(key=lambda finding: (finding.line, SEVERITIES.index(finding.severity), finding.field))
    return Report(
        tuple(f for f in findings if f.rule not in graph.allowed),
        tuple(Silenced(**asdict(f), reason=graph.allowed[f.rule]) for f in findings if f.rule in graph.allowed),
    )


def check_all(catalog: Catalog, asked: Validate) -> list[Report]:
    """A report for each config, all of configs/ where none is named. Raises Wrong, Failed."""
    if asked.namespace and not asked.context:
        raise Wrong("--namespace is of a cluster; add --context=NAME, or leave it out")
    cluster = kubectl.choose(asked.context, asked.namespace) if asked.context else None
    paths = [find(config) for config in asked.config] or sorted((ROOT / "configs").glob("*.yaml"))
    reports = []
    for path in paths:
        graph = edit.apply(load(path), asked.set)
        reports.append(check(catalog, graph, dryrun.findings(graph, cluster) if cluster else ()))
    return reports


def refuse(catalog: Catalog, graph: Graph) -> Report:
    """Raise Wrong for a graph that would not work, with the first error; else what there is to say of it."""
    report = check(catalog, graph)
    wrong = [finding for finding in report.findings if finding.severity == ERROR]
    if wrong:
        more = f" ({len(wrong) - 1} more: `invoke validate` lists them)" if len(wrong) > 1 else ""
        raise Wrong(f"{wrong[0]}{more}")
    return report


def rules() -> tuple[Rule, ...]:
    """All rules, by severity and id."""
    return tuple(sorted(RULES.values(), key=lambda rule: (SEVERITIES.index(rule.severity), rule.id)))


def summary(reports: Sequence[Report]) -> str:
    """One line for people."""
    found = Counter(finding.severity for report in reports for finding in report.findings)
    silenced = sum(len(report.silenced) for report in reports)
    parts = [
        f"{found[severity]} {severity}{'' if found[severity] == 1 else 's'}"
        for severity in SEVERITIES
        if found[severity]
    ]
    parts += [f"{silenced} silenced"] if silenced else []
    many = f"{len(reports)} config{'' if len(reports) == 1 else 's'}"
    return f"{many}: {', '.join(parts) or 'nothing found'}"


def lines(reports: Sequence[Report]) -> list[str]:
    """The findings for people. What is found in several places with the same words is said once, with the others behind it."""
    same: dict[tuple[str, ...], list[Finding]] = {}
    for finding in (finding for report in reports for finding in report.findings):
        words = (finding.severity, finding.rule, finding.field, finding.what, finding.fix)
        same.setdefault(words, []).append(finding)
    return [f"{first}{_also(first, others)}" for first, *others in same.values()]


def _also(first: Finding, others: Sequence[Finding]) -> str:
    """Where else it is; files of the same folder by their names."""
    folder = f"{Path(first.file).parent}/"
    places = ", ".join(f"{other.file.removeprefix(folder)}:{other.line}" for other in others)
    return f" (also {places})" if places else ""


def as_data(reports: Sequence[Report]) -> dict[str, Any]:
    """All that was found, for programs."""
    return {
        "findings": [asdict(finding) for report in reports for finding in report.findings],
        "silenced": [asdict(finding) for report in reports for finding in report.silenced],
    }


def _finding(graph: Graph, name: str, found: Found) -> Finding:
    line = found.line or graph.line(*found.keys)
    # Short where the file is below the current folder, as editors and people name it.
    file = graph.path.relative_to(Path.cwd()) if graph.path.is_relative_to(Path.cwd()) else graph.path
    return Finding(name, RULES[name].severity, str(file), line, text(found.keys), found.what, found.fix)


def _subject(catalog: Catalog, graph: Graph) -> Subject:
    # An image of a wrong kind is a finding; rules that read images see none.
    services = tuple(s if isinstance(s.image, str) else replace(s, image=None) for s in graph.services)
    graph = replace(graph, services=services)
    base = serving.base_of(catalog, graph)
    data = base.serving if base else {}
    engine = data.get("engine-flags")
    lines = (catalog.folder / engine).read_text() if engine else ""
    file = catalog.folder / FRONTEND_FLAGS
    frontend = yamlfile.load_file(file) if file.exists() else {}
    return Subject(
        graph=graph,
        base=base,
        serving=data,
        frameworks=tuple(framework.name for framework in catalog.frameworks),
        worker_flags=commandline.table(data, lines) if data else None,
        frontend_flags=commandline.table(frontend),
    )
