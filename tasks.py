"""The verbs of this repository: `invoke --list` shows them, `invoke --help VERB` explains one."""

import sys
from pathlib import Path

from invoke.collection import Collection

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

from ngc.verbs import (  # the path above makes it importable
    cluster,
    compare,
    extract,
    images,
    machine,
    releases,
    render,
    serve,
    show,
    testing,
    validate,
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
    (extract.extract_from_ngc, "extract-from-ngc"),
    (testing.test, "test"),
    (testing.test_all, "test-all"),
    (show.show, "show"),
    (compare.compare, "compare"),
    (releases.outdated, "outdated"),
    (releases.bump, "bump"),
    (releases.mirror, "mirror"),
    (images.shell, "shell"),
    (validate.validate, "validate"),
    (render.render, "render"),
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
