"""The verbs of this repository: `invoke --list` shows them, `invoke --help VERB` explains one."""

import sys
from pathlib import Path

from invoke.collection import Collection

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

from ngc.verbs import (  # the path above makes it importable
    cluster,
    config,
    contract,
    follow,
    images,
    inspect,
    machine,
    serve,
)

namespace = Collection()
for verb, name in (
    (images.list_, "list"),
    (machine.doctor, "doctor"),
    (machine.setup, "setup"),
    (images.build, "build"),
    (images.build_all, "build-all"),
    (images.push, "push"),
    (images.clean, "clean"),
    (inspect.extract_from_ngc, "extract-from-ngc"),
    (contract.test, "test"),
    (contract.test_all, "test-all"),
    (inspect.show, "show"),
    (inspect.compare, "compare"),
    (follow.outdated, "outdated"),
    (follow.bump, "bump"),
    (follow.mirror, "mirror"),
    (images.shell, "shell"),
    (config.validate, "validate"),
    (config.render, "render"),
    (serve.up, "up"),
    (serve.down, "down"),
    (cluster.deploy, "deploy"),
    (cluster.diff, "diff"),
    (cluster.rollback, "rollback"),
    (cluster.undeploy, "undeploy"),
    (serve.status, "status"),
    (serve.logs, "logs"),
    (serve.smoke, "smoke"),
):
    namespace.add_task(verb, name=name)
