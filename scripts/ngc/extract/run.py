"""What the verb does: plan, extract or check, and say so."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from ngc import sizes
from ngc.asked.images import Extract
from ngc.catalog import Catalog
from ngc.errors import Wrong
from ngc.extract import asking, inventory, parts, report, staging, work
from ngc.extract.asking import Order


def extract(catalog: Catalog, asked: Extract) -> bool:
    """Extract, or only print the plan."""
    order = asking.order(catalog, asked)
    there = work.unchanged(order)
    if asked.plan:
        print(
            json.dumps(planned(order, there is not None), indent=2)
            if asked.json
            else text(planned(order, there is not None))
        )
        return True
    if there is None:
        with report.listening(asked.json) as listener:
            made = work.run(order, listener)
    else:
        with suppress(OSError):  # a run may have been killed when its result was in place already
            staging.remove_left(order.out)
    report.result(there or made, order.out, there is not None, asked.json)
    return True


def planned(order: Order, unchanged: bool) -> dict[str, Any]:
    """The plan as data. `layers` are what will be asked for: bytes as the registry counts them, and why."""
    components = parts.choose(order.framework, asking.entry_of(order), order.asked)
    located = {part.name: part.located(asking.environment(order)) for part in components}
    return {
        "image": order.source.name,
        "digest": order.source.digest,
        "platform": order.source.platform,
        "out": str(order.out),
        "components": {
            name: ["/" + path.decode(errors="backslashreplace") for path in paths] for name, paths in located.items()
        },
        "layers": [] if unchanged else work.planned(order, located),
    }


def text(plan: dict[str, Any]) -> str:
    """The plan for people."""
    lines = [f"# {plan['image']} {plan['platform']} {plan['digest']}"]
    lines += [
        f"take  {name}: {' '.join(paths) or 'nothing, its variables are not set'}"
        for name, paths in plan["components"].items()
    ]
    layers = plan["layers"]
    lines += [
        f"read  {layer['layer']}  {sizes.text(layer['size']) if layer['size'] else '-'}  {layer['why']}"
        for layer in layers
    ]
    lines.append(
        f"write {plan['out']}" if layers else f"# {plan['out']} already holds this: nothing to read, nothing to write"
    )
    return "\n".join(lines)


def check(catalog: Catalog, asked: Extract) -> bool:
    """Say whether the folder still matches its inventory. Asks no registry."""
    out = asking.folder(catalog, asked)
    made = inventory.read(out)
    if made is None:
        raise Wrong(f"{out} has no inventory.json of an extraction; extract first, or name the folder with --out")
    problems = list(inventory.differences(made, out, content=True))
    if asked.json:
        print(
            json.dumps(
                {
                    "out": str(out),
                    "image": made.image,
                    "digest": made.digest,
                    "matches": not problems,
                    "differences": problems,
                }
            )
        )
    else:
        print("\n".join([*problems, f"{out} {'is not' if problems else 'is'} what was extracted from {made.image}"]))
    return not problems
