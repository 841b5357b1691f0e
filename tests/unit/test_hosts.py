"""Where the contract tests run: containers, pods, this machine, and root file systems."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import sh

from ngc import catalog, hosts, testing
from ngc.asked.images import Contract, Images
from ngc.errors import Failed, Wrong

from ..conftest import require

IMAGE = "dynamo-vllm-runtime:1-stand-in"


@pytest.fixture
def root_fs(tmp_path):
    """A root file system with a shell, and the file beside it that says how its image is run."""
    folder = tmp_path / "root"
    for name in ("bin/sh", "etc/hosts", "etc/passwd"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\ndynamo:x:1000:0::/home/dynamo:/bin/sh\n")
    config = {
        "Env": ["PATH=/own/bin:/bin", "LD_LIBRARY_PATH=/own/lib", "TEXT=two words"],
        "WorkingDir": "/work space",
        "Labels": {"ngc-dynamo.stand-in": "true", "ngc-dynamo.target": "dev", "ngc-dynamo.name": "dynamo-vllm-dev"},
    }
    (tmp_path / "root.json").write_text(json.dumps([{"Id": "sha256:1", "RepoTags": [IMAGE], "Config": config}]))
    return folder


def configured(root_fs, **changes):
    file = root_fs.with_name("root.json")
    data = json.loads(file.read_text())
    data[0]["Config"].update(changes)
    file.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        (None, "container", ""),
        ("container", "container", ""),
        ("local", "local", ""),
        ("kubectl:pod", "kubectl", "pod"),
        ("kubectl:team/pod", "kubectl", "team/pod"),
    ],
)
def test_a_host_is_read(text, kind, name):
    assert (hosts.parse(text).kind, hosts.parse(text).name) == (kind, name)


@pytest.mark.parametrize("text", ["ssh:x", "kubectl:", "kubectl:a/b/c", "kubectl:/pod", "local:x", "chroot:", "pod"])
def test_a_wrong_host_lists_the_right_ones(text):
    with pytest.raises(Wrong, match=r"choose from: kubectl:\[NAMESPACE/\]POD, local, chroot:DIR"):
        hosts.parse(text)


def test_a_folder_without_a_shell_is_no_root_file_system(tmp_path):
    with pytest.raises(Failed, match="no root file system: it has no /bin/sh"):
        hosts.parse(f"chroot:{tmp_path}")


def test_a_root_file_system_without_its_config_is_told_how_to_make_it(root_fs):
    root_fs.with_name("root.json").unlink()
    with pytest.raises(Failed, match=r"docker image inspect IMAGE >root\.json"):
        hosts.image_of(root_fs)


def test_testinfra_is_given_the_host_as_it_wants_it(root_fs):
    assert hosts.Host("kubectl", "team/pod").address == ("kubectl://pod?namespace=team", {})
    assert hosts.Host("local").address == ("local://", {})
    assert hosts.Host("chroot", str(root_fs)).address == (str(root_fs), {"connection": "chroot"})


def test_a_command_in_a_root_file_system_runs_as_the_images_own_do(root_fs):
    """The driver's folders come last: in front they could hide what the image has."""
    text = hosts.prefix(hosts.Host("chroot", str(root_fs)))
    assert text.startswith("cd '/work space' && exec env -i HOME=/root ")
    assert "PATH=/own/bin:/bin:/usr/local/nvidia/bin " in text
    assert "LD_LIBRARY_PATH=/own/lib:/usr/local/nvidia/lib64 " in text
    assert "'TEXT=two words' " in text


def test_a_place_of_the_driver_that_the_image_has_already_stays_where_it_is(root_fs):
    configured(root_fs, Env=["LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/own"])
    assert hosts.environment(root_fs, "/root")["LD_LIBRARY_PATH"] == "/usr/local/nvidia/lib64:/own"


@pytest.mark.parametrize("user", ["dynamo", "1000", "1000:0"])
def test_a_command_in_a_root_file_system_runs_as_the_images_user(root_fs, user):
    configured(root_fs, User=user)
    text = hosts.prefix(hosts.Host("chroot", str(root_fs)))
    assert f"exec setpriv --reuid={user.partition(':')[0]} --regid=0 --clear-groups env -i HOME=/home/dynamo " in text


def test_only_a_root_file_system_needs_words_before_a_command():
    assert {hosts.prefix(hosts.Host(kind, "x")) for kind in ("container", "kubectl", "local")} == {""}


def test_mounts_are_made_in_a_name_space_of_their_own_and_end_with_the_command(root_fs, tmp_path, monkeypatch):
    library = tmp_path / "libcuda.so.1"
    monkeypatch.setattr(hosts, "driver_files", lambda: ([library], []))
    words = hosts.around(hosts.Host("chroot", str(root_fs)), ["pytest"], {"/a model": "/mnt"})
    assert words[:4] == ["unshare", "--mount", "--propagation", "private"]
    assert words[-2:] == ["sh", "pytest"]
    script = words[words.index("-ec") + 1]
    assert f"mount --rbind /sys {root_fs}/sys" in script
    assert f"mount --bind {library} {root_fs}/usr/local/nvidia/lib64/libcuda.so.1" in script
    assert f"mount --rbind '/a model' {root_fs}/mnt" in script
    assert hosts.around(hosts.Host(), ["pytest"], {}) == ["pytest"]


@pytest.mark.parametrize(
    ("links", "path", "place"),
    [
        ({"proc": "/etc"}, "proc", "etc"),
        ({"usr": "/"}, "usr/local/nvidia", "local/nvidia"),
        ({"etc/passwd": "../../../../etc/shadow"}, "etc/passwd", "etc/shadow"),
        ({"a": "b/", "b": "/c/../d"}, "a/x", "d/x"),
        ({}, "/../../etc/./hosts", "etc/hosts"),
        ({}, "/", "."),
    ],
)
def test_a_path_of_an_image_leads_where_it_does_in_the_image(root_fs, links, path, place):
    for name, target in links.items():
        (root_fs / name).unlink(missing_ok=True)
        (root_fs / name).symlink_to(target)
    assert hosts.inside(root_fs, path) == root_fs / place


def test_links_without_end_are_one_sentence(root_fs):
    (root_fs / "proc").symlink_to("/proc")
    with pytest.raises(Failed, match="more than 40 symlinks lie on the way to /proc"):
        hosts.inside(root_fs, "proc")


def test_no_user_of_this_machine_is_read_for_an_image(root_fs):
    (root_fs / "etc" / "passwd").unlink()
    (root_fs / "etc" / "passwd").symlink_to("/../../../../../../../../etc/passwd.there")
    (root_fs / "etc" / "passwd.there").write_text("dynamo:x:1000:77:\xff:/inside:/bin/sh\n", encoding="latin-1")
    configured(root_fs, User="dynamo")
    assert "--regid=77 --clear-groups env -i HOME=/inside " in hosts.prefix(hosts.Host("chroot", str(root_fs)))


def test_a_shell_of_this_machine_is_none_of_an_image(root_fs):
    (root_fs / "bin" / "sh").unlink()
    (root_fs / "bin" / "sh").symlink_to("/usr/bin/env")
    with pytest.raises(Failed, match="it has no /bin/sh"):
        hosts.parse(f"chroot:{root_fs}")


@pytest.fixture
def own_mounts():
    """Skip where this user may not mount in a name space of its own."""
    try:
        sh.Command("unshare")("--mount", "true")
    except (sh.CommandNotFound, sh.ErrorReturnCode):
        require("mounts", "this user may make no mounts of its own (unshare --mount)")


FAR_UP = "../../../../../../../../../.."
LEADING_OUT = [
    *({name: target} for name in ("proc", "dev", "sys", "mnt", "usr/local/nvidia") for target in ("OUTSIDE", f"{FAR_UP}OUTSIDE")),
    {"usr": "OUTSIDE"},
    {"etc/hosts": "OUTSIDE/file"},
    {"etc/hosts": "/etc/passwd"},
    {"tmp": "/etc"},
    {"proc": "/etc", "tmp": "/etc"},
    {"usr/local/nvidia": "/dev/new"},
    {"usr/local/nvidia": "/dev/shm"},
    {"usr/local/nvidia": "/"},
    {"mnt": "/usr/local/nvidia"},
    {"mnt": "/dev/new"},
    {"mnt": "/"},
]  # fmt: skip


@pytest.mark.usefixtures("own_mounts")
@pytest.mark.parametrize("links", LEADING_OUT, ids=str)
def test_links_of_an_image_lead_no_mount_and_no_file_to_this_machine(root_fs, tmp_path, monkeypatch, links):
    """Whether the command then starts or not: this machine has nothing more, and nothing mounted over it."""
    outside, model, library = tmp_path / "outside", tmp_path / "model", tmp_path / "libcuda.so.1"
    for folder in (outside, model, *(root_fs / name for name in ("proc", "dev", "sys", "tmp", "mnt", "usr/local"))):
        folder.mkdir(parents=True)
    for file in (outside / "file", library):
        file.write_text("of this machine")
    for name, target in links.items():
        place = root_fs / name
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.symlink_to(target.replace("OUTSIDE", str(outside)))
    monkeypatch.setattr(hosts, "driver_files", lambda: ([library], []))
    words = hosts.around(hosts.Host("chroot", str(root_fs)), ["true"], {str(model): "/mnt"})
    script = words.index("-ec") + 1
    look = "cat /proc/self/mountinfo"  # before and after in one name space: engines mount and unmount meanwhile
    words[script] = f"{look}; echo; trap '{look}' EXIT\n" + words[script].replace('exec "$@"', '"$@"')
    before = [*tmp_path.iterdir(), *outside.iterdir(), *model.iterdir()]
    done = sh.Command(words[0])(*words[1:], _ok_code=list(range(256)), _return_cmd=True, _tty_out=False)
    own, mounted = (
        Counter(point for line in half.splitlines() if not Path(point := line.split()[4]).is_relative_to(root_fs))
        for half in done.stdout.decode().split("\n\n")
    )
    assert own
    assert not mounted - own  # an engine that removes a folder meanwhile takes its mount away in every name space
    assert not Path("/dev/new").exists()
    assert [*tmp_path.iterdir(), *outside.iterdir(), *model.iterdir()] == before
    assert {file.read_text() for file in (outside / "file", library)} == {"of this machine"}


def test_a_root_file_system_says_what_it_is(root_fs):
    host = hosts.Host("chroot", str(root_fs))
    subject = testing.elsewhere(catalog.read(), Images(["vllm"]), host)
    assert (subject.image, subject.target, subject.stand_in) == (IMAGE, "dev", True)
    assert subject.host == f"chroot:{root_fs}"


def test_a_pod_is_what_base_says(monkeypatch):
    monkeypatch.setattr(hosts, "check", lambda _: None)
    subject = testing.elsewhere(catalog.read(), Images(["vllm"], ["dev"], "stand-in"), hosts.Host("kubectl", "pod"))
    assert (subject.entry, subject.target, subject.stand_in) == (
        catalog.read().framework("vllm").stand_in.key,
        "dev",
        True,
    )


def test_an_image_and_a_host_exclude_each_other():
    with pytest.raises(Wrong, match="exclude each other"):
        testing.test(catalog.read(), Contract(["vllm"], image="x:1", host="local"))
