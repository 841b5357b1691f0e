"""What the preflight says of images: on the nodes, in registries, and stand-ins."""

import http.server
import json
import threading

import pytest

from ngc import reference as references
from ngc.deploy.cluster import images
from ngc.deploy.cluster.images import Published
from ngc.errors import Failed, Wrong
from ngc.manifests import digest_of

from .preflighting import NODE, kubectl_fixture, named, prepared_fixture, registries_fixture, run, states  # noqa: F401  # fixtures


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


def put(content, data):
    """Serve data under its digest."""
    digest = digest_of(json.dumps(data).encode())
    content[digest] = data
    return digest


def test_platforms_user_and_stand_in_are_read_from_a_registry(served):
    host, content = served
    labels = {"ngc-dynamo.stand-in": "true"}
    config = {"architecture": "arm64", "os": "linux", "config": {"User": "dynamo", "Labels": labels}}
    layer = {"digest": f"sha256:{'a' * 64}", "size": 1}
    manifest = {"config": {"digest": put(content, config), "size": 1}, "layers": [layer]}
    content["one"], digest = manifest, put(content, manifest)
    content["many"] = {
        "manifests": [
            {"digest": digest, "size": 1, "platform": {"os": "linux", "architecture": name}}
            for name in ("amd64", "arm64")
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
