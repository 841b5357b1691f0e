"""A kubectl of our own that answers a preflight from a table and notes what it was asked, and what the preflight is given."""

import ast
import base64
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ngc import catalog
from ngc.deploy import edit
from ngc.deploy import graph as graphs
from ngc.deploy.cluster import images, preflight
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.prepare import Prepared

# It imports nothing: a preflight starts it a dozen times.
FAKE = """\
import sys
folder = FOLDER
text = sys.stdin.read()
with open(folder + "/asked", "a") as file:
    file.write(repr(sys.argv[1:]) + "\\n")
with open(folder + "/sent", "a") as file:
    file.write(text)
words = " ".join(sys.argv[1:])
for part, (out, err, code) in eval(open(folder + "/answers").read()):
    if part in words:
        if out == "ALLOWED":
            out = "true\\n" * text.count('"SelfSubjectAccessReview"')
        print(out, end="")
        print(err, end="", file=sys.stderr)
        sys.exit(code)
print("Error from server (NotFound): nothing of the kind", file=sys.stderr)
sys.exit(1)
"""
HIDDEN = "s3cr3t-t0k3n"
NODE = 'node1\t\tamd64\t{"nvidia.com/gpu":"8"}\t{}\t\t["docker.io/library/ours:1.0.0"]\n'
KINDS = json.dumps({"resources": [{"name": "dynamographdeployments"}, {"name": "dynamographdeployments/status"}]})
APIS = {"groups": [{"name": "nvidia.com", "versions": [{"version": "v1alpha1"}, {"version": "v1"}]}]}
OPERATOR = (
    "dynamo-system\tplatform-dynamo-operator-controller-manager\t1\t1\tnvcr.io/x/rbac-proxy:1 nvcr.io/nvidia/ai-dynamo/kubernetes-operator:0.6.1\t"
    '["--leader-elect","--natsAddr=nats://p-nats.dynamo-system.svc.cluster.local:4222","--etcdAddr=p-etcd.dynamo-system.svc.cluster.local:2379",'
    '"--mpi-run-ssh-secret-name=mpi-run-ssh-secret","--mpi-run-ssh-secret-namespace=dynamo-system","--planner-cluster-role-name=planner"]\t{}\n'
    "kube-system\tcoredns\t1\t1\tregistry.k8s.io/coredns:1\t\t{}\n"
)
PODS = "".join(
    f'dynamo-system\tp-{name}-0\tnode1\tTrue\t\t\t{{"app.kubernetes.io/name":"{name}"}}\n' for name in ("etcd", "nats")
)
GOOD = {
    "get namespace/mine": "Active",
    "get nodes ": NODE,
    "get pods ": PODS,
    "get --raw /apis ": json.dumps(APIS),
    "get --raw /apis/nvidia.com/v1alpha1": KINDS,
    "get deployments.apps --all-namespaces": OPERATOR,
    "get secrets ": "",
    "get resourcequotas": "",
    "get secret/mpi-run-ssh-secret": "secret/mpi-run-ssh-secret",
    "get clusterrole/planner": "clusterrole/planner",
    "get serviceaccount/default": "",
    "get persistentvolumeclaims": "",
    "get storageclasses": "",
    "create --validate=false -f -": "ALLOWED",
    "auth whoami": "somebody",
    "apply --server-side": "",
}
CLUSTER = Cluster("here", "mine", "https://server")


@dataclass(frozen=True)
class Kubectl:
    """The program on PATH: what it answers may be changed, what it was asked and sent can be read."""

    folder: Path

    def answers(self, changes=None):
        """GOOD with changes, by a part of the command line: a text, or (stdout, stderr, exit code); None for NotFound."""
        table = {**(changes or {}), **{key: value for key, value in GOOD.items() if key not in (changes or {})}}
        rows = [
            (key, value if isinstance(value, tuple) else (value, "", 0))
            for key, value in table.items()
            if value is not None
        ]
        (self.folder / "answers").write_text(repr(rows))

    @property
    def asked(self):
        return [ast.literal_eval(line) for line in (self.folder / "asked").read_text().splitlines()]

    @property
    def sent(self):
        return (self.folder / "sent").read_text()


def forbidden(verb, resource, where="at the cluster scope", group=""):
    text = f'Error from server (Forbidden): {resource} is forbidden: User "joe" cannot {verb} resource "{resource}" in API group "{group}" {where}\n'
    return ("", text, 1)


@pytest.fixture(name="kubectl")
def kubectl_fixture(tmp_path, monkeypatch):
    folder = tmp_path / "fake"
    folder.mkdir()
    program = folder / "kubectl"
    program.write_text(f"#!{sys.executable} -ISE\n" + FAKE.replace("FOLDER", repr(str(folder))))
    program.chmod(0o755)
    (folder / "asked").touch()
    (folder / "sent").touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    made = Kubectl(folder)
    made.answers()
    yield made
    for words in made.asked:
        assert words[:3:2] == ["--context", "--namespace"], words
        assert words[1] == "here", words
        assert words[3] in ("mine", "dynamo-system"), words
    every = json.dumps(made.asked)
    assert HIDDEN not in every
    assert base64.b64encode(HIDDEN.encode()).decode() not in every


@pytest.fixture(autouse=True, name="registries")
def registries_fixture(monkeypatch):
    """No registry is asked: a test says what they answer."""

    def say(said):
        monkeypatch.setattr(images, "published", said if callable(said) else lambda _: said)

    say(None)
    return say


@pytest.fixture(name="prepared")
def prepared_fixture(root):
    """A config of ours with changes, its services all on one image."""
    table = catalog.read()

    def make(config="vllm-agg", *sets, image="ours:1.0.0"):
        graph = edit.apply(graphs.load(root / "configs" / f"{config}.yaml"), sets)
        for service in graph.services:
            graph.data["spec"]["services"][service.key]["extraPodSpec"]["mainContainer"]["image"] = image
        graph = graphs.of(graph.path, graph.data, graph.beside, graph.allowed)
        framework = table.framework(graph.framework)
        return Prepared(graph, framework, framework.bases[0], image)

    return make


def run(prepared, to="dgd"):
    found = preflight.checks(CLUSTER, prepared, to)
    text = repr(found)
    assert HIDDEN not in text
    return found


def states(found):
    return {check.name: check.state for check in found}


def named(found, name):
    return next(check for check in found if check.name == name)


def row(name, sizes, kind="Opaque", config=""):
    return f"{name}\t{kind}\t{sizes} \t{config}\n"


def with_token(*more):
    return ("vllm-agg", "spec.services.VllmDecodeWorker.envFromSecret=hf-token-secret", *more)
