"""validate, render."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.exceptions import Exit

from ngc.asked.configs import Render, Validate
from ngc.verbs.flags import verb


@verb(Validate)
def validate(asked: Validate) -> None:
    """What is wrong with configs, or will be: every finding with file, line, field and fix; exit 1 for an error."""
    from json import dumps

    from ngc import catalog
    from ngc.deploy import lint

    reports = lint.check_all(catalog.read(), asked)
    if asked.json:
        print(dumps(lint.as_data(reports), indent=2))
    else:
        for line in lint.lines(reports):
            print(line)
    print(lint.summary(reports), file=sys.stderr)
    if any(report.failed for report in reports):
        raise Exit(code=1)


@verb(Render)
def render(asked: Render) -> None:
    """What a config becomes: a DynamoGraphDeployment, plain Kubernetes objects, or a Compose file."""
    from json import dumps

    from ngc import catalog
    from ngc.deploy import compose, prepare, render

    prepared = prepare.prepare(catalog.read(), asked, asked.registry)
    objects = render.render(prepared, asked.to, asked.namespace, asked.metrics, asked.api)
    if asked.out is not None:
        print(*render.write(prepared, objects, asked.to, Path(asked.out)), sep="\n")
        return

    as_json = objects[0] if asked.to == render.COMPOSE else {"apiVersion": "v1", "kind": "List", "items": objects}
    print(dumps(as_json, indent=2) if asked.json else render.dump(objects).rstrip("\n"))
    if asked.to == render.COMPOSE and (files := compose.files(prepared.graph)):
        print(f"this file needs {', '.join(files)} beside it; --out=FOLDER writes them all", file=sys.stderr)
