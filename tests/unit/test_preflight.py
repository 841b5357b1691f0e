"""Preflight against a kubectl of our own that answers from a table and notes what it was asked."""

import ast
import base64
import http.server
import json
import logging
import os
import re
import shlex
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ngc import catalog
from ngc import reference as references
from ngc.deploy import edit
from ngc.deploy import graph as graphs
from ngc.deploy.cluster import images, preflight, secrets
from ngc.deploy.cluster.images import Published
from ngc.deploy.cluster.kubectl import Cluster, Unreachable
from ngc.deploy.prepare import Prepared
from ngc.errors import Failed, Wrong

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


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
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


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    """No registry is asked: a test says what they answer."""

    def say(said):
        monkeypatch.setattr(images, "published", said if callable(said) else lambda _: said)

    say(None)
    return say


CLUSTER = Cluster("here", "mine", "https://server")


@pytest.fixture
def prepared(root):
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


def test_everything_is_checked_in_the_order_in_which_it_is_mended(kubectl, prepared):
    found = run(prepared())
    assert [check.state for check in found] == ["pass"] * len(found), found
    assert [check.name for check in found] == [
        "namespace",
        "rights",
        "crd",
        "operator",
        "etcd",
        "nats",
        "gpus",
        "image",
    ]
    assert "context here, server https://server, namespace mine" in found[0].detail


def test_plain_objects_need_neither_kinds_nor_operator(kubectl, prepared):
    found = run(prepared(), "kubernetes")
    assert [check.name for check in found] == ["namespace", "rights", "gpus", "image"]
    words = " ".join(" ".join(each) for each in kubectl.asked)
    assert "nvidia.com/v1alpha1" not in words
    assert "deployments.apps --all" not in words


def test_kubectl_is_called_few_times_and_little_time_is_our_own(kubectl, prepared):
    ready = prepared()
    run(ready)
    calls = len(kubectl.asked)
    before = time.process_time()
    run(ready)
    assert time.process_time() - before < 0.3
    assert calls <= 12


def test_a_namespace_that_is_missing_or_going_fails(kubectl, prepared):
    kubectl.answers({"get namespace/mine": None})
    assert named(run(prepared()), "namespace").state == "fail"
    assert named(run(prepared()), "namespace").fix == "kubectl --context here create namespace mine"
    kubectl.answers({"get namespace/mine": "Terminating"})
    assert named(run(prepared()), "namespace").state == "fail"


def test_a_login_without_rights_fails_with_the_role_that_it_lacks(kubectl, prepared):
    kubectl.answers({"create --validate=false": "false\n" * 17})
    found = named(run(prepared()), "rights")
    assert found.state == "fail"
    assert "somebody" in found.detail
    assert "patch configmaps, dynamographdeployments.nvidia.com" in found.detail
    first, second = found.fix.split(" && ")
    assert first.startswith("kubectl --context here --namespace mine create role ngc-dynamo-deploy --verb=")
    assert second.endswith("--role=ngc-dynamo-deploy --user=somebody")


def test_a_right_that_only_explaining_takes_is_a_warning(kubectl, prepared):
    kubectl.answers({"create --validate=false": "true\n" * 16 + "false\n"})
    found = named(run(prepared()), "rights")
    assert found.state == "warn"
    assert "may not list events in namespace mine" in found.detail


def test_rights_that_the_server_does_not_tell_are_unknown(kubectl, prepared):
    kubectl.answers({"create --validate=false": ("", "error: something else\n", 1)})
    assert named(run(prepared()), "rights").state == "unknown"


def test_a_missing_kind_fails_and_names_the_version_to_install(kubectl, prepared):
    kubectl.answers({"get --raw /apis/nvidia.com/v1alpha1": None})
    found = named(run(prepared()), "crd")
    assert found.state == "fail"
    assert "dynamo-platform-0.6.1.tgz" in found.fix
    assert "--kube-context here" in found.fix
    # The group alone is no sign of it: the GPU operator has kinds there too.
    kubectl.answers({"get --raw /apis/nvidia.com/v1alpha1": json.dumps({"resources": [{"name": "nvidiadrivers"}]})})
    assert named(run(prepared()), "crd").state == "fail"


def test_another_version_of_the_kind_is_named(kubectl, prepared):
    groups = {"groups": [{"name": "nvidia.com", "versions": [{"version": "v1beta1"}]}]}
    kubectl.answers(
        {
            "get --raw /apis/nvidia.com/v1alpha1": None,
            "get --raw /apis/nvidia.com/v1beta1": KINDS,
            "get --raw /apis ": json.dumps(groups),
        }
    )
    assert "is served as v1beta1, not as v1alpha1" in named(run(prepared()), "crd").detail


@pytest.mark.parametrize(
    ("pattern", "answer", "names"),
    [
        ("get namespace/mine", forbidden("get", "namespaces", 'in the namespace "mine"'), ["namespace"]),
        ("get --raw /apis/nvidia.com/v1alpha1", forbidden("get", "x"), ["crd"]),
        ("get deployments.apps --all-namespaces", forbidden("list", "deployments", group="apps"), ["operator"]),
        ("get pods ", forbidden("list", "pods"), ["etcd", "nats", "gpus"]),
        ("get nodes ", forbidden("list", "nodes"), ["gpus"]),
        ("get clusterrole/planner", forbidden("get", "clusterroles"), ["planner role"]),
    ],
)
def test_what_may_not_be_read_is_a_warning_with_the_right_that_is_missing(kubectl, prepared, pattern, answer, names):
    kubectl.answers({pattern: answer})
    found = run(prepared())
    warned = [check for check in found if check.state != "pass" and check.name != "image"]
    assert [check.name for check in warned] == names
    for check in warned:
        assert check.state == "warn"
        assert "--user=joe" in check.fix or "custom-columns" in check.fix


def test_an_operator_that_is_not_there_is_a_warning(kubectl, prepared):
    kubectl.answers({"get deployments.apps --all-namespaces": ""})
    found = named(run(prepared()), "operator")
    assert found.state == "warn"
    assert "dynamo-platform" in found.fix


def test_an_operator_that_is_not_available_fails(kubectl, prepared):
    kubectl.answers({"get deployments.apps --all-namespaces": OPERATOR.replace("\t1\t1\tnvcr", "\t\t1\tnvcr")})
    found = named(run(prepared()), "operator")
    assert found.state == "fail"
    assert "--namespace dynamo-system describe" in found.fix


def test_an_operator_of_another_namespace_fails(kubectl, prepared):
    here = OPERATOR.replace('"--leader-elect"', '"--leader-elect","--restrictedNamespace=theirs"')
    kubectl.answers({"get deployments.apps --all-namespaces": here})
    found = named(run(prepared()), "operator")
    assert found.state == "fail"
    assert "watches theirs only" in found.detail
    kubectl.answers({"get deployments.apps --all-namespaces": here.replace("=theirs", "=mine")})
    assert named(run(prepared()), "operator").state == "pass"


def test_an_operator_of_another_release_is_a_warning(kubectl, prepared):
    kubectl.answers({"get deployments.apps --all-namespaces": OPERATOR.replace("operator:0.6.1", "operator:0.8.0")})
    assert named(run(prepared()), "operator").state == "warn"


def test_an_etcd_that_is_down_fails_and_one_elsewhere_is_unknown(kubectl, prepared):
    kubectl.answers({"get pods ": PODS.replace("p-etcd-0\tnode1\tTrue", "p-etcd-0\tnode1\tFalse")})
    assert states(run(prepared()))["etcd"] == "fail"
    kubectl.answers({"get pods ": PODS.splitlines()[1] + "\n"})
    assert states(run(prepared()))["etcd"] == "fail"
    there = OPERATOR.replace("p-etcd.dynamo-system.svc.cluster.local", "etcd.example.com")
    kubectl.answers({"get deployments.apps --all-namespaces": there})
    assert states(run(prepared()))["etcd"] == "unknown"


def test_what_the_operator_takes_for_granted_is_a_warning_when_it_is_missing(kubectl, prepared):
    kubectl.answers({"get secret/mpi-run-ssh-secret": None, "get clusterrole/planner": None})
    found = states(run(prepared()))
    assert (found["mpi secret"], found["planner role"]) == ("warn", "warn")


def row(name, sizes, kind="Opaque", config=""):
    return f"{name}\t{kind}\t{sizes} \t{config}\n"


def with_token(*more):
    return ("vllm-agg", "spec.services.VllmDecodeWorker.envFromSecret=hf-token-secret", *more)


def test_a_secret_must_be_there_with_its_key_and_a_value(kubectl, prepared):
    def said(text):
        kubectl.answers({"get secrets ": text})
        return named(run(prepared(*with_token())), "secret")

    assert said("").state == "fail"
    assert "in namespace mine" in said("").detail
    assert 'printf %s "$HF_TOKEN" | kubectl --context here --namespace mine create secret generic' in said("").fix
    assert "--create-secrets" in said("").fix
    assert "no HF_TOKEN" in said(row("hf-token-secret", "OTHER=8")).detail
    assert "an empty HF_TOKEN" in said(row("hf-token-secret", "HF_TOKEN=0")).detail
    assert said(row("hf-token-secret", "HF_TOKEN=40")).state == "pass"


def test_a_secret_may_be_read_by_name_where_they_may_not_be_listed(kubectl, prepared):
    no = forbidden("list", "secrets", 'in the namespace "mine"')
    kubectl.answers({"get secrets ": no, "get secret/hf-token-secret": row("hf-token-secret", "HF_TOKEN=40")})
    assert named(run(prepared(*with_token())), "secret").state == "pass"
    kubectl.answers(
        {"get secrets ": no, "get secret/hf-token-secret": forbidden("get", "secrets", 'in the namespace "mine"')}
    )
    found = named(run(prepared(*with_token())), "secret")
    assert found.state == "warn"
    assert "--namespace mine create role get-secrets" in found.fix


def test_secrets_that_single_variables_come_from_are_looked_for(kubectl, prepared):
    entry = "{name: X, valueFrom: {secretKeyRef: {name: mine-only, key: PASS}}}"
    found = run(prepared("vllm-agg", f"spec.envs=[{entry}]"))
    assert "mine-only is not in namespace mine" in named(found, "secret").detail
    optional = entry.replace("key: PASS", "key: PASS, optional: true")
    assert "secret" not in states(run(prepared("vllm-agg", f"spec.envs=[{optional}]")))


def test_no_value_of_a_secret_is_asked_for_but_logins_of_registries(kubectl, prepared):
    run(prepared(*with_token()))
    words = next(words for words in kubectl.asked if "secrets" in words)
    template = words[-2] if words[-1].startswith("--request-timeout") else words[-1]
    assert re.findall(r"\$value\b", template) == ["$value", "$value"]
    assert "{{len $value}}" in template
    assert 'eq .type "kubernetes.io/dockerconfigjson"' in template


def config(host):
    return base64.b64encode(json.dumps({"auths": {host: {"password": HIDDEN}}}).encode()).decode()


@pytest.mark.parametrize("host", ["nvcr.io", "https://nvcr.io", "nvcr.io/v2/"])
def test_a_pull_secret_is_found_by_its_registry(kubectl, prepared, registries, host, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    registries(Failed("nvcr.io wants a login"))
    ready = prepared(image="nvcr.io/team/ours:1.0.0")
    assert named(run(ready), "pull secret").state == "warn"
    assert named(run(ready), "pull secret").fix == "add --create-secrets, with NGC_API_KEY set"
    text = row("any-name", ".dockerconfigjson=99", secrets.PULL, config(host))
    kubectl.answers({"get secrets ": text})
    found = named(run(ready), "pull secret")
    assert (found.state, found.detail) == ("pass", "any-name is for nvcr.io")
    said = capfd.readouterr()
    assert HIDDEN not in said.out + said.err + caplog.text
    assert config(host) not in said.out + said.err + caplog.text


def test_plain_objects_must_name_the_pull_secret(kubectl, prepared, registries):
    registries(None)
    kubectl.answers({"get secrets ": row("pull", ".dockerconfigjson=9", secrets.PULL, config("nvcr.io"))})
    ready = prepared(image="nvcr.io/team/ours:1.0.0")
    found = named(run(ready, "kubernetes"), "pull secret")
    assert found.state == "warn"
    assert "patch serviceaccount/default" in found.fix
    sets = [f"spec.services.{s.key}.extraPodSpec.imagePullSecrets=[{{name: pull}}]" for s in ready.graph.services]
    assert (
        named(run(prepared("vllm-agg", *sets, image="nvcr.io/team/ours:1.0.0"), "kubernetes"), "pull secret").state
        == "pass"
    )
    kubectl.answers(
        {
            "get secrets ": row("pull", ".dockerconfigjson=9", secrets.PULL, config("nvcr.io")),
            "get serviceaccount/default": "other pull",
        }
    )
    assert named(run(ready, "kubernetes"), "pull secret").state == "pass"


def test_an_image_that_all_may_read_wants_no_pull_secret(kubectl, prepared, registries):
    registries(Published(("linux/amd64",), "", False, True))
    found = run(prepared(image="ghcr.io/team/ours:1.0.0"))
    assert (states(found)["pull secret"], states(found)["image"]) == ("pass", "pass")


@pytest.mark.parametrize(
    ("answer", "state", "says"),
    [
        ("", "fail", "model-cache is not in namespace mine"),
        ("model-cache\tBound\tfast\n", "pass", "bound"),
        ("model-cache\tPending\tlate\n", "pass", "when a pod uses it"),
        ("model-cache\tPending\tfast\n", "warn", "Pending, not Bound"),
        ("model-cache\tLost\tfast\n", "fail", "is gone"),
        (forbidden("list", "persistentvolumeclaims", 'in the namespace "mine"'), "warn", "joe"),
    ],
)
def test_a_claim_that_the_graph_does_not_make_must_be_there(kubectl, prepared, answer, state, says):
    classes = "late\tWaitForFirstConsumer\t{}\nfast\tImmediate\t{}\n"
    kubectl.answers({"get persistentvolumeclaims": answer, "get storageclasses": classes})
    found = named(run(prepared("vllm-cache")), "storage")
    assert (found.state, says in found.detail) == (state, True), found
    assert found.fix or state == "pass"


@pytest.mark.parametrize(
    ("kind", "classes", "state"),
    [
        ("fast", "fast\tImmediate\t{}\n", "pass"),
        ("fast", "slow\tImmediate\t{}\n", "fail"),
        ("", "slow\tImmediate\t{}\n", "fail"),
        ("", 'slow\tImmediate\t{"storageclass.kubernetes.io/is-default-class":"true"}\n', "pass"),
        ("", forbidden("list", "storageclasses"), "warn"),
    ],
)
def test_a_claim_that_the_graph_makes_needs_a_storage_class(kubectl, prepared, kind, classes, state):
    kubectl.answers({"get storageclasses": classes})
    entry = f"[{{name: model-cache, create: true, size: 1Gi, volumeAccessMode: ReadWriteOnce{f', storageClass: {kind}' if kind else ''}}}]"
    assert named(run(prepared("vllm-cache", f"spec.pvcs={entry}")), "storage").state == state


def test_a_quota_without_room_fails(kubectl, prepared):
    kubectl.answers(
        {
            "get resourcequotas": 'q\t{"requests.nvidia.com/gpu":"4","pods":"9"}\t{"requests.nvidia.com/gpu":"4","pods":"1"}\n'
        }
    )
    found = [check for check in run(prepared()) if check.name == "quota"]
    assert [check.detail for check in found] == [
        "the quota q allows 4 requests.nvidia.com/gpu, of which 4 are used; this needs 1"
    ]


def test_a_multinode_worker_needs_somebody_who_starts_it(kubectl, prepared):
    kubectl.answers({"get nodes ": NODE + NODE.replace("node1", "node2")})
    assert states(run(prepared("vllm-multinode")))["multinode"] == "fail"
    groups = {"groups": [*APIS["groups"], {"name": "grove.io", "versions": [{"version": "v1alpha1"}]}]}
    kubectl.answers({"get --raw /apis ": json.dumps(groups), "get nodes ": NODE + NODE.replace("node1", "node2")})
    assert states(run(prepared("vllm-multinode")))["multinode"] == "pass"


def test_devices_that_no_node_offers_fail(kubectl, prepared):
    found = named(run(prepared("vllm-disagg-rdma")), "devices")
    assert found.state == "fail"
    assert "rdma/ib" in found.detail
    kubectl.answers({"get nodes ": NODE.replace('"8"}', '"8","rdma/ib":"4"}')})
    assert named(run(prepared("vllm-disagg-rdma")), "devices").state == "pass"


def test_a_mount_below_root_is_a_warning_unless_the_image_runs_as_root(kubectl, prepared):
    sets = ("spec.services.VllmDecodeWorker.volumeMounts[0].mountPoint=/root/.cache/huggingface",)
    kubectl.answers({"get persistentvolumeclaims": "model-cache\tBound\tx\n"})
    ready = prepared("vllm-cache", *sets)
    as_root, as_user = (replace(ready, base=replace(ready.base, user=user)) for user in ("root", "dynamo"))
    assert "mounts" not in states(run(as_root))
    found = named(run(as_user), "mounts")
    assert found.state == "warn"
    assert "HF_HOME" in found.fix


def test_a_bare_name_is_unknown_until_a_node_reports_it(kubectl, prepared):
    assert states(run(prepared()))["image"] == "pass"
    found = named(run(prepared(image="ours:2.0.0")), "image")
    assert found.state == "unknown"
    assert "names no registry: the nodes must have it already; no node reports it" in found.detail
    kubectl.answers({"get nodes ": NODE + NODE.replace("node1", "node2").replace("ours", "theirs")})
    found = named(run(prepared()), "image")
    assert found.state == "warn"
    assert "is on node1 only" in found.detail


def test_what_this_machine_has_says_nothing_of_the_nodes(kubectl, prepared):
    assert named(run(prepared(image="localhost:5000/ours:2.0.0")), "image").state == "unknown"
    assert images.elsewhere("localhost:5000/ours:2.0.0") is None
    assert images.elsewhere("ours:2.0.0") is None


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (Published(("linux/amd64",), "", False, True), "pass"),
        (Published(("linux/arm64",), "", False, True), "fail"),
        (Published((), "", False, True), "pass"),
        (Wrong("registry.example.com has no x"), "fail"),
        (Failed("registry.example.com wants a login for x"), "unknown"),
    ],
)
def test_an_image_is_held_to_its_registry(kubectl, prepared, registries, said, state):
    registries(said)
    assert named(run(prepared(image="registry.example.com/ours:2.0.0")), "image").state == state


def test_an_image_for_some_of_the_nodes_is_a_warning(kubectl, prepared, registries):
    registries(Published(("linux/amd64",), "", False, True))
    kubectl.answers({"get nodes ": NODE + NODE.replace("node1", "node2").replace("amd64", "arm64")})
    found = named(run(prepared(image="registry.example.com/ours:2.0.0")), "image")
    assert found.state == "warn"
    assert "is linux/amd64 only, and nodes are linux/amd64, linux/arm64" in found.detail


@pytest.fixture
def served():
    """A registry of one repository on this machine: its manifests and blobs by their last part."""
    content = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = content.get(self.path.rpartition("/")[2])
            self.send_response(200 if body is not None else 404)
            data = json.dumps(body).encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", content
    server.shutdown()
    server.server_close()


def test_platforms_user_and_stand_in_are_read_from_a_registry(served):
    host, content = served
    manifest = {"config": {"digest": "sha256:c"}, "layers": []}
    labels = {"ngc-dynamo.stand-in": "true"}
    content["sha256:c"] = {"architecture": "arm64", "os": "linux", "config": {"User": "dynamo", "Labels": labels}}
    content["one"] = content["sha256:m"] = manifest
    content["many"] = {
        "manifests": [
            {"digest": "sha256:m", "platform": {"os": "linux", "architecture": name}} for name in ("amd64", "arm64")
        ]
    }
    assert images._look_up(references.parse(f"{host}/a:one")) == Published(("linux/arm64",), "dynamo", True, True)
    assert images._look_up(references.parse(f"{host}/a:many")).platforms == ("linux/amd64", "linux/arm64")
    with pytest.raises(Wrong, match="or deploy another with --image"):
        images._look_up(references.parse(f"{host}/a:none"))


def test_a_stand_in_is_refused_unless_allowed(kubectl, prepared, registries):
    graph = prepared(image="dynamo-vllm-runtime:0.6.1-stand-in").graph
    with pytest.raises(Wrong, match="add --allow-stand-in"):
        images.refuse_stand_ins(graph, allowed=False)
    assert images.refuse_stand_ins(graph, allowed=True)
    registries(lambda image: Published((), "", "team" in image, True))
    assert images.is_stand_in("registry.example.com/team/retagged:1.0.0")
    assert not images.is_stand_in("registry.example.com/other/real:1.0.0")


def test_an_api_server_that_is_away_is_one_sentence(kubectl, prepared):
    kubectl.answers({"--context": ("", "The connection to the server was refused: connection refused\n", 1)})
    with pytest.raises(Unreachable, match="does not answer at https://server"):
        preflight.checks(CLUSTER, prepared(), "dgd")


def test_secrets_are_made_over_a_pipe_and_leave_no_trace(kubectl, prepared, capfd, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    environment = {"HF_TOKEN": HIDDEN, "NGC_API_KEY": HIDDEN}
    ready = prepared(*with_token(), image="nvcr.io/team/ours:1.0.0")
    assert secrets.create(CLUSTER, ready, environment=environment) == ["hf-token-secret", secrets.NGC_SECRET]
    made = {entry["metadata"]["name"]: entry for entry in json.loads(kubectl.sent)["items"]}
    assert base64.b64decode(made["hf-token-secret"]["data"]["HF_TOKEN"]).decode() == HIDDEN
    pull = made[secrets.NGC_SECRET]
    assert pull["type"] == "kubernetes.io/dockerconfigjson"
    login = json.loads(base64.b64decode(pull["data"][".dockerconfigjson"]))["auths"]["nvcr.io"]
    assert (login["username"], login["password"]) == ("$oauthtoken", HIDDEN)
    assert base64.b64decode(login["auth"]).decode() == f"$oauthtoken:{HIDDEN}"
    said = capfd.readouterr()
    encoded = base64.b64encode(HIDDEN.encode()).decode()
    assert not {HIDDEN, encoded} & set(re.split(r"\W", said.out + said.err + caplog.text))
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "sent"]
    assert not [path for path in left if HIDDEN in path.read_text() or encoded in path.read_text()]
    assert kubectl.asked[-1][4:8] == ["apply", "--server-side", "--field-manager=ngc-dynamo-secrets", "-f"]


def test_only_secrets_that_the_graph_asks_for_are_made(kubectl, prepared):
    assert secrets.create(CLUSTER, prepared(), environment={"HF_TOKEN": HIDDEN, "NGC_API_KEY": HIDDEN}) == []
    assert kubectl.asked == []
    assert secrets.create(CLUSTER, prepared(), ["HF_TOKEN"], {"HF_TOKEN": HIDDEN}) == ["hf-token-secret"]
    other = prepared("vllm-agg", "spec.services.VllmDecodeWorker.envFromSecret=team-token")
    assert secrets.create(CLUSTER, other, environment={"HF_TOKEN": HIDDEN}) == ["team-token"]


@pytest.mark.parametrize("environment", [{}, {"HF_TOKEN": " "}])
def test_a_variable_that_is_not_set_is_a_wrong_call(kubectl, prepared, environment):
    with pytest.raises(Wrong, match="HF_TOKEN, not set here"):
        secrets.create(CLUSTER, prepared(*with_token()), environment=environment)
    with pytest.raises(Wrong, match="choose from: HF_TOKEN, NGC_API_KEY"):
        secrets.create(CLUSTER, prepared(), ["AWS"], environment)
    assert kubectl.asked == []


def test_another_ones_secret_is_not_overwritten(kubectl, prepared):
    err = 'error: Apply failed with 1 conflict: conflict with "kubectl-create": .data.HF_TOKEN\n'
    kubectl.answers({"apply --server-side": ("", err, 1)})
    with pytest.raises(Failed, match="made by somebody else and with another value; delete it first"):
        secrets.create(CLUSTER, prepared(*with_token()), environment={"HF_TOKEN": HIDDEN})


def test_what_a_server_says_of_a_refused_secret_is_not_repeated(kubectl, prepared):
    kubectl.answers({"apply --server-side": (HIDDEN, f"The Secret is invalid: data: Invalid value: {HIDDEN}\n", 1)})
    with pytest.raises(Failed) as raised:
        secrets.create(CLUSTER, prepared(*with_token()), environment={"HF_TOKEN": HIDDEN})
    assert HIDDEN not in str(raised.value)


def test_secrets_written_into_a_config_are_found_with_their_line_and_without_their_value(root, tmp_path):
    text = (root / "configs" / "vllm-agg.yaml").read_text()
    text = text.replace(
        "backendFramework: vllm", f"backendFramework: vllm\n  envs:\n    - {{name: HF_TOKEN, value: {HIDDEN}}}", 1
    )
    text += f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\nstringData: {{A: {HIDDEN}}}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    found = secrets.literal_secrets(graphs.load(path))
    line = text.splitlines().index(f"    - {{name: HF_TOKEN, value: {HIDDEN}}}") + 1
    assert found == [f"HF_TOKEN (line {line})", "Secret x"]


@pytest.mark.parametrize(
    ("name", "value", "literal"),
    [
        ("HF_TOKEN", HIDDEN, True),
        ("NGC_API_KEY", HIDDEN, True),
        ("AWS_SECRET_ACCESS_KEY", HIDDEN, True),
        ("DB_PASSWORD", HIDDEN, True),
        ("api_token_2", HIDDEN, True),
        ("HF_TOKEN", "", False),
        ("HF_TOKEN", "$(OTHER)", False),
        ("SSH_KEY", "/etc/ssh/key", False),
        ("MAX_TOKENS", "8", False),
        ("VLLM_TOKENIZER", "x", False),
        ("KEYS_PER_BLOCK", "4", False),
        ("HF_HOME", "/models", False),
    ],
)
def test_a_variable_is_a_secret_by_its_name_and_only_with_a_value(name, value, literal):
    assert secrets._literal(name, value) is literal


def test_a_secret_of_a_sidecar_is_found_too(prepared):
    ready = prepared(
        "vllm-agg",
        f"spec.services.Frontend.extraPodSpec.containers=[{{name: side, env: [{{name: MY_TOKEN, value: {HIDDEN}}}]}}]",
    )
    assert [text.partition(" ")[0] for text in secrets.literal_secrets(ready.graph)] == ["MY_TOKEN"]


def test_our_own_configs_have_no_secret(root):
    for path in (root / "configs").glob("*.yaml"):
        assert secrets.literal_secrets(graphs.load(path)) == []


def test_every_fix_that_calls_kubectl_names_its_context(kubectl, prepared, registries):
    registries(Failed("x wants a login"))
    kubectl.answers(
        {
            "get namespace/mine": None,
            "get nodes ": NODE.replace('"8"', '"1"'),
            "create --validate=false": "false\n" * 17,
            "get deployments.apps --all-namespaces": OPERATOR.replace("\t1\t1\tnvcr", "\t\t1\tnvcr"),
        }
    )
    ready = prepared(
        "vllm-multinode", "spec.services.Frontend.envFromSecret=x", image="registry.example.com/ours:1.0.0"
    )
    found = [check for check in run(ready) if check.state == "fail"]
    assert len(found) > 4
    for check in found:
        assert check.fix, check
        for part in re.split(r" && |; | \| ", check.fix):
            words = shlex.split(part, comments=True)
            if words and words[0] == "kubectl":
                assert "--context" in words, check.fix


def test_the_fake_is_the_kubectl_that_is_found(kubectl):
    assert os.environ["PATH"].startswith(str(kubectl.folder))
