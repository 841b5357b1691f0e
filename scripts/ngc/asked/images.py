"""What is asked of images and of this machine: building, testing, looking into them, taking from them, following NGC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ngc.asked import JSON, PLAN, argument, flag, number, one_of

FRAMEWORK = "only this framework; may be repeated (default: all)"
TAG = "tag of the images, replacing the whole tag (default: the base's version)"


def _base(what: str = "what to build on") -> Any:
    said = "ngc, stand-in, or an image reference with one --framework (default: ngc, or the variable NGC_BASE)"
    return flag(f"{what}: {said}")


@dataclass(frozen=True, eq=False, repr=False)
class Doctor:
    """What is asked of `doctor`."""

    json: bool = flag(JSON, False)


@dataclass(frozen=True, eq=False, repr=False)
class Setup:
    """What is asked of `setup`."""

    yes: bool = flag("do it without asking", False)
    plan: bool = flag(PLAN, False)


@dataclass(frozen=True, eq=False, repr=False)
class Listing:
    """What is asked of `list`."""

    base: str | None = _base()
    json: bool = flag(JSON, False)


@dataclass(frozen=True, eq=False, repr=False)
class Images:
    """Which images: frameworks and targets as in the table, and what they stand on."""

    framework: Sequence[str] = flag(FRAMEWORK, ())
    target: Sequence[str] = flag("only this target; may be repeated (default: all)", ())
    base: str | None = _base()


@dataclass(frozen=True, eq=False, repr=False)
class Build(Images):
    """What is asked of `build` and `build-all`. `jobs`: images at the same time, 0 for as many as there are cores."""

    tag: str | None = flag(TAG)
    jobs: int = flag("images built at the same time (default: number of cores)", "0", number(0))
    plan: bool = flag(PLAN, False)
    format: str = flag(
        "of --plan: text, json, or bake for `docker buildx bake -f -` (default: text)",
        "text",
        one_of("text", "json", "bake"),
    )
    pull: bool = flag(
        "ask the registry again for the bases, and make the stand-in anew (default: what is here is used)", False
    )
    push: bool = flag("push all images to --registry, if all succeeded", False)
    registry: str | None = flag("host[:port][/path] that images are pushed to")
    mirror: str | None = flag("host[:port][/path] that bases come from instead of their own registry")
    builder: str | None = flag("buildx builder to use, by one `docker buildx bake` (default: the engine's own)")
    platform: str | None = flag(
        "platform to build for, such as linux/arm64; several with --builder and --push, separated by commas (default: this machine's)"
    )
    no_cache: bool = flag("run every build step again, without the engine's layer cache", False)
    force: bool = flag("call the engine for images that are up to date as well; its layer cache still answers", False)


@dataclass(frozen=True, eq=False, repr=False)
class Push(Images):
    """What is asked of `push`."""

    tag: str | None = flag(TAG)
    registry: str | None = flag("host[:port][/path] to push to")
    allow_stand_in: bool = flag("push images that were built on the stand-in, too", False)
    plan: bool = flag(PLAN, False)


@dataclass(frozen=True, eq=False, repr=False)
class Clean:
    """What is asked of `clean`."""

    plan: bool = flag(PLAN, False)


@dataclass(frozen=True, eq=False, repr=False)
class Shell:
    """What is asked of `shell`."""

    framework: str | None = flag("the framework")
    target: str = flag("the target (default: runtime)", "runtime")
    base: str | None = _base()
    tag: str | None = flag(TAG)
    image: str | None = flag("any image reference instead")
    plan: bool = flag(PLAN, False)


@dataclass(frozen=True, eq=False, repr=False)
class Contract(Images):
    """What is asked of `test` and `test-all`."""

    report: Sequence[str] = flag("write a report to this file, .xml for JUnit or .json; may be repeated", ())
    image: str | None = flag("hold this image reference to the contract instead, with one --framework")
    host: str | None = flag(
        "test what runs elsewhere: kubectl:[NAMESPACE/]POD, local, or chroot:DIR with DIR.json beside it, with one --framework"
    )
    gpu: bool = flag("a missing GPU fails the GPU tests (default: they are skipped)", False)
    model: str | None = flag(
        "folder or name of a small model; then the engine must complete a prompt with it, on a GPU"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Extract:
    """What is asked of `extract-from-ngc`."""

    framework: str | None = flag("whose components, and whose base")
    component: Sequence[str] = flag(
        "a name in the framework's image.yaml, or an absolute path; may be repeated (default: all that image.yaml names)",
        (),
    )
    image: str | None = flag(
        "image reference, OCI layout or `docker save` archive to take from (default: the framework's base)"
    )
    base: str | None = _base("what to take from")
    mirror: str | None = flag("host[:port][/path] that the image comes from instead of its own registry")
    out: str | None = flag("folder for the result (default: ngc-builds/common/extracted/<framework>)")
    platform: str | None = flag("such as linux/arm64 (default: this machine's)")
    plan: bool = flag(PLAN, False)
    check: bool = flag(
        "only say whether the folder still is what was extracted, reading every file; exit 1 if not", False
    )
    owners: bool = flag("give files to the users and groups of the image (root only; default: to who runs this)", False)
    json: bool = flag("print data for programs: events, one JSON object a line", False)


@dataclass(frozen=True, eq=False, repr=False)
class Show:
    """What is asked of `show`."""

    image: str | None = flag("the image to look into, by any reference; it must be here")
    files: bool = flag(
        "also say which folders each layer filled (default: no; it reads the whole image, a minute for 10 GB)", False
    )
    sbom: str | None = flag("write the bill of materials to this file, .spdx.json or .cdx.json, by syft or trivy")
    scan: bool = flag("list known vulnerabilities, by trivy or grype, instead of the page", False)
    json: bool = flag(JSON, False)


@dataclass(frozen=True, eq=False, repr=False)
class Compare:
    """What is asked of `compare`."""

    a: str = argument("an image, by any reference: that of the engine where it has it, else its registry's")
    b: str = argument("the image to compare it with")
    pull: bool = flag("fetch what is not here, to compare files and packages, too (default: nothing is pulled)", False)
    plot: str | None = flag("also draw the layers of both into this file, .svg")
    platform: str | None = flag("of an image in a registry, such as linux/arm64 (default: this machine's)")
    json: bool = flag(JSON, False)


@dataclass(frozen=True, eq=False, repr=False)
class Outdated:
    """What is asked of `outdated`."""

    framework: Sequence[str] = flag(FRAMEWORK, ())
    mirror: str | None = flag("host[:port][/path] that is asked instead of the bases' own registry")
    json: bool = flag(JSON, False)


@dataclass(frozen=True, eq=False, repr=False)
class Bump:
    """What is asked of `bump`."""

    framework: str | None = flag("the framework to move")
    to: str | None = flag("the release to move to: a tag such as 0.7.0, one of those that `outdated` lists")
    pin: bool = flag("write tag and digest, so that the base cannot change under its tag (default: the tag)", False)
    plan: bool = flag("print the changes as a diff, and stop", False)
    force: bool = flag(
        "also change files with changes that are not committed (default: they are left alone, and nothing is done)",
        False,
    )
    mirror: str | None = flag(
        "host[:port][/path] that is asked instead of the base's own registry; nothing of it is written"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Mirror:
    """What is asked of `mirror`."""

    framework: Sequence[str] = flag(FRAMEWORK, ())
    registry: str | None = flag("host[:port][/path] to send to; `build --mirror` with the same words builds from it")
    base: str | None = _base("which bases, and what was built on them")
    allow_stand_in: bool = flag("send images that were built on the stand-in, too", False)
    plan: bool = flag(PLAN, False)
