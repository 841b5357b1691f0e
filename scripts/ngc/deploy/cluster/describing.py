"""The plan of a deploy, as --plan prints it: each step with the command that does it by hand."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator

from ngc import bases
from ngc.asked.configs import Deploy
from ngc.deploy import render
from ngc.deploy.cluster import adapting, applying, modelcache, revisions, secrets
from ngc.deploy.cluster.adapting import Adapted
from ngc.deploy.cluster.checking import command
from ngc.deploy.cluster.deploying import Plan
from ngc.deploy.cluster.kubectl import Unreachable
from ngc.errors import Failed, Wrong

INDENT = "    "


def described(made: Plan, asked: Deploy) -> str:
    """The steps, in their order. Nothing is changed; what the cluster does not tell is said to be unknown. Raises Unreachable."""
    unknown = ""
    try:
        there = applying.live(made.cluster, made.objects)
        gone = applying.surplus(made.cluster, made.revision, made.before)
    except Unreachable:
        raise
    except (Failed, Wrong) as error:
        there, gone, unknown = {}, [], f"what is there already is not known: {error}"
    ready = adapting.adapted(made.objects, there, asked.force_conflicts)
    lines = [f"image {made.revision.image}", *([unknown] if unknown else []), *_secrets(made)]
    if asked.fill_cache is not None:
        claim = modelcache.claim_of(made.prepared.graph)
        lines.append(f"fill the claim {claim.name} from {asked.fill_cache}, by a pod that is removed again")
    lines += map(str, ready.left)
    lines += _kept(made)
    lines += [f"apply {' '.join(adapting.key(entry))}" for entry in made.objects]
    lines += [f"{INDENT}{_by_hand(made, asked, ready)}"]
    lines.append(f"wait until it serves, {asked.timeout:.0f} s at most")
    if gone:
        lines.append(f"then remove {', '.join(gone)}")
        lines.append(f"{INDENT}{command(made.cluster, 'delete', '--wait=false', *gone)}")
    return "\n".join(lines)


def _secrets(made: Plan) -> Iterator[str]:
    """Each Secret that is made, by a command that has its value on no command line: printf is the shell's own."""
    for name, variable in made.secrets.items():
        yield f"make Secret {name} from {variable}"
        words = ["create", "secret", "generic", name]
        if variable == secrets.NGC:
            login = json.dumps({"auths": {secrets.NGC_HOST: {"username": secrets.NGC_USER, "password": "%s"}}})
            form = shlex.quote(login)
            words += [f"--type={secrets.PULL}", "--from-file=.dockerconfigjson=/dev/stdin"]
        else:
            form = "%s"
            words += [f"--from-file={variable}=/dev/stdin"]
        yield f'{INDENT}printf {form} "${variable}" | {command(made.cluster, *words)}'


def _kept(made: Plan) -> list[str]:
    """Which revision it will be."""
    last = made.before[-1] if made.before else None
    if last and list(last.objects) == list(made.objects):
        return [f"revision {last.number} is unchanged"]
    number = last.number + 1 if last else 1
    return [f"keep it as ConfigMap {revisions.name(made.revision.graph, number)}, for rollback and undeploy"]


def _by_hand(made: Plan, asked: Deploy, ready: Adapted) -> str:
    """The same objects by hand, but for the marks by which `deploy` sees a change taken up."""
    given = {name: getattr(asked, name) for name in ("config", "to", "api", "base", "image", "registry", "metrics")}
    given["base"] = asked.base or os.environ.get(bases.VARIABLE)
    given["api"] = asked.api if asked.to == render.DGD else None
    words = ["invoke", "render", *(f"--{flag}={value}" for flag, value in given.items() if value)]
    words += [f"--set={setting}" for setting in (*asked.set, *made.sets, *_model(made, asked), *_replicas(made, ready))]
    labels = [
        f"{key}={value}" for key, value in {**revisions.MANAGED, revisions.OWN_LABEL: made.revision.graph}.items()
    ]
    label = command(made.cluster, "label", "--local", "--output=json", "-f", "-", *labels)
    return f"{shlex.join(words)} | {label} | {command(made.cluster, *applying.words(asked.force_conflicts))}"


def _model(made: Plan, asked: Deploy) -> Iterator[str]:
    """The workers' arguments, where --fill-cache has put a folder's model in."""
    for worker in made.prepared.graph.workers if asked.fill_cache not in (None, modelcache.HUB) else ():
        yield f"spec.services.{worker.key}.extraPodSpec.mainContainer.args={json.dumps(worker.args)}"


def _replicas(made: Plan, ready: Adapted) -> Iterator[str]:
    """The numbers that are left to others, as they are now: an apply that says the same takes nothing from anybody."""
    for part in made.revision.parts:
        for left in ready.left:
            if left.name in (part.deployment, part.key):
                yield f"spec.services.{part.key}.replicas={left.count}"
