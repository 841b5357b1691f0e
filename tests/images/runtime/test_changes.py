"""What this image changed against the one it was built on: a list of what it may, and anything else fails.

The list is changes.yaml in the folder of the image's target. Paths, sizes, times, modes and owners are compared, not
contents: whoever changes a file without changing its size sets another time.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from .. import snapshot
from ..inspect_image import differences
from ..snapshot import merged

CERTIFICATE = "-----BEGIN (TRUSTED )?CERTIFICATE-----"
# Keys of the services that people of this field use, and private keys that hold something.
SECRET = "|".join(
    (
        r"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----[^A-Za-z]{0,4}[A-Za-z0-9+/=]{40}",
        r"\bnvapi-[A-Za-z0-9_-]{20,}",
        r"\bhf_[A-Za-z0-9]{30,}",
        r"\bgh[pousr]_[A-Za-z0-9]{36}",
        r"\bAKIA[0-9A-Z]{16}\b",
        r'"auth": *"[A-Za-z0-9+/=]{20,}"',
    )
)
CREDENTIAL_FILES = ("*/.docker/config.json", "*/.netrc", "*/.pypirc", "*/.ssh/id_*", "*/.cache/huggingface/token")


def own_files(changed, after):
    """Changed files with content that no package of the distribution brought."""
    plain = (path for path, file in changed.items() if file.kind == "f" and file.size)
    return [path for path in plain if merged(path) not in after.owned]


def new_packages(before, after):
    return sorted(set(after.packages) - set(before.packages))


def explained(wanted, packages):
    """The wanted packages and all that they need, as far as it is installed."""
    providers = {}
    for name, package in packages.items():
        for word in (name, *package.provides):
            providers.setdefault(word, []).append(name)
    found, todo = set(), list(wanted)
    while todo:
        name = todo.pop()
        if name in found or name not in packages:
            continue
        found.add(name)
        todo += [one for group in packages[name].needs for word in group for one in providers.get(word, ())]
    return found


def test_nothing_of_the_parent_is_lost(before, after):
    """A build that removes a file saves no byte, and takes it from whoever uses it (ai-dynamo/dynamo#4263)."""
    assert len(before.files) > 1000
    lost = [path for path in before.files if path not in after.files]
    assert lost == [], f"{len(lost)} paths are gone: {' '.join(lost[:20])}"


def test_only_files_that_are_listed_changed(before, after, changed, allowed):
    """What nobody listed nobody meant: a cache, a log, a library in the wrong place (ai-dynamo/dynamo#6671)."""
    packaged = after.owned - before.owned

    def comes_with_a_package(path):
        """A package's own file, or a link that update-alternatives made to one."""
        target = after.files[path].target
        return merged(path) in packaged or target.startswith("/etc/alternatives/") or merged(target) in packaged

    unknown = [
        path
        for path in changed
        if not any(fnmatchcase(one, pattern) for pattern in allowed.files for one in (path, f"{path}/"))
        and (path in before.files or not comes_with_a_package(path))
    ]
    assert len(after.files) >= len(before.files)
    assert unknown == [], f"{len(unknown)} paths changed and are in no list: {' '.join(unknown[:20])}"


def test_only_packages_that_are_listed_were_added(before, after, allowed):
    """Each package of the system has its reason in a list; what they depend on comes along (ai-dynamo/dynamo#4263)."""
    known = explained(allowed.packages, after.packages)
    assert "bash" in after.packages
    assert [name for name in new_packages(before, after) if name not in known] == []


def test_the_systems_packages_of_the_parent_did_not_move(before, after):
    """apt may add, never upgrade or remove: NVIDIA built and tested against these versions (ai-dynamo/dynamo#4263)."""
    moved = {
        name: (package.version, after.packages[name].version if name in after.packages else "gone")
        for name, package in before.packages.items()
        if name not in after.packages or after.packages[name].version != package.version
    }
    assert "bash" in before.packages
    assert moved == {}


def test_the_python_packages_of_the_base_did_not_move(before, after):
    """Upstream's solve stays as it is: one more test tool can move a dependency of vLLM's (NVIDIA/TensorRT-LLM#9752)."""
    assert "ai-dynamo" in before.python
    assert differences(before.python, after.python) == {}


def test_no_certificate_came_along(client, image, changed, after, before):
    """A proxy's CA that was needed to build would be trusted by whoever runs the image."""
    assert "BEGIN CERTIFICATE" in after.trusted, "there is no bundle of trusted certificates to compare"
    assert after.trusted == before.trusted
    assert snapshot.containing(client, image.id, CERTIFICATE, own_files(changed, after)) == []


def test_no_secret_came_along(client, image, changed, after):
    """Tokens for NGC and Hugging Face are used while building, and an image is pushed where many can read it."""
    assert snapshot.containing(client, image.id, "root:", ["/etc/passwd"]) == ["/etc/passwd"]
    assert snapshot.containing(client, image.id, SECRET, own_files(changed, after)) == []
    assert [path for path in changed if any(fnmatchcase(path, one) for one in CREDENTIAL_FILES)] == []
    assert [path for path in changed if path.startswith(("/run/secrets", "/var/run/secrets"))] == []


def test_no_list_of_apt_is_left(after, changed):
    """40 MB for nothing, and out of date on the day after (ai-dynamo/dynamo#1058 is about such layers)."""
    assert "/var/lib/apt/lists" in after.files
    left = ("/var/lib/apt/lists/", "/var/cache/apt/")
    assert [path for path, file in changed.items() if path.startswith(left) and file.kind == "f"] == []


def test_nothing_is_writable_for_everybody(after, changed):
    """Any process in the container could change what the next one runs; /tmp is what such things are for."""
    assert oct(after.files["/tmp"].mode) == "0o1777"
    open_to_all = [
        path
        for path, file in changed.items()
        if file.kind in "fd" and file.mode & 0o002 and not path.startswith(("/tmp/", "/var/tmp/")) and path != "/tmp"
    ]
    assert open_to_all == []


def test_no_program_is_newly_setuid(before, after, changed):
    """Each is a way to root; a package that brings one is to be left out or stripped of it."""
    assert any(file.mode & 0o4000 for file in before.files.values())
    assert [path for path, file in changed.items() if file.kind == "f" and file.mode & 0o6000] == []
