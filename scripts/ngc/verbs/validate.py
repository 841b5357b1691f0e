"""validate."""

from __future__ import annotations

import json as jsons
import sys

from invoke.exceptions import Exit

from ngc import catalog
from ngc.errors import Wrong
from ngc.verbs.common import JSON, verb


@verb(
    help={
        "config": "name in configs/, or the path of a file; may be repeated (default: all in configs/)",
        "set": "change a field first, as PATH=VALUE, such as spec.services.Frontend.replicas=2; may be repeated",
        "context": "also ask the API server of this context of kubectl, in a strict dry run (default: no server)",
        "namespace": "the namespace that the server is asked for (default: the context's own)",
        "json": JSON,
    },
    iterable=["config", "set"],
)
def validate(c, config, set, context=None, namespace=None, json=False):  # type: ignore[no-untyped-def]
    """What is wrong with configs, or will be: every finding with file, line, field and fix; exit 1 for an error."""
    from ngc.deploy import lint
    from ngc.deploy.cluster import kubectl

    if namespace and not context:
        raise Wrong("--namespace is of a cluster; add --context=NAME, or leave it out")
    reports = lint.check_all(catalog.read(), config, set, kubectl.choose(context, namespace) if context else None)
    if json:
        print(jsons.dumps(lint.as_data(reports), indent=2))
    else:
        for line in lint.lines(reports):
            print(line)
    print(lint.summary(reports), file=sys.stderr)
    if any(report.failed for report in reports):
        raise Exit(code=1)
