#!/usr/bin/env bash
# Makes the root-file-system image that ngc-builds/stand-in/Dockerfile builds on.
#
#   make-root.sh IMAGE [LABEL=VALUE...]
#
# DOCKER         the client to use: docker (default) or podman
# STAND_IN_ROOT  ubuntu: from docker.io's ubuntu:24.04, the system of the real images
#                mmdebstrap: a Debian or Ubuntu of this machine's own release, from this machine's own apt sources
#                unset: ubuntu when it is here or a registry answers, else mmdebstrap
set -euo pipefail

docker=${DOCKER:-docker}
ubuntu=docker.io/library/ubuntu:24.04

say() { printf '%s\n' "make-root: $*" >&2; }
die() { say "error: $*"; exit 1; }

have_ubuntu() {
    local limit=$1
    "$docker" image inspect "$ubuntu" >/dev/null 2>&1 && return
    say "asking for $ubuntu"
    timeout "$limit" "$docker" pull --quiet "$ubuntu" >&2
}

# The sources of this machine's own release, one-line style; third parties (other suites, other components) stay out.
# mmdebstrap finds the distribution's key by itself.
own_sources() {
    local release=$1 uri suite component
    # shellcheck disable=SC2016  # apt fills these in
    apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        sort --unique |
        while read -r uri suite component; do
            case $suite:$component in
                "$release":main | "$release-updates":main | "$release-security":main | \
                    "$release":universe | "$release-updates":universe | "$release-security":universe)
                    printf 'deb %s %s %s\n' "$uri" "$suite" "$component"
                    ;;
            esac
        done
}

from_ubuntu() {
    local image=$1 options=() label
    shift
    for label in "$@"; do options+=(--label "$label"); done
    # An empty folder as context: nothing of this machine can get in.
    mkdir "$work/context"
    printf 'FROM %s\n' "$ubuntu" |
        DOCKER_BUILDKIT=1 "$docker" build --quiet --tag "$image" "${options[@]}" --file - "$work/context" >/dev/null
}

from_mmdebstrap() {
    local image=$1 changes=() options=() label release
    shift
    command -v mmdebstrap >/dev/null ||
        die "mmdebstrap is missing and no registry gave $ubuntu; run: apt-get install mmdebstrap"
    # shellcheck disable=SC1091  # a file of the system
    release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    own_sources "$release" >"$work/sources.list"
    [ -s "$work/sources.list" ] ||
        die "apt on this machine has no source for '$release'; add one to /etc/apt, or set STAND_IN_ROOT=ubuntu"

    # Ubuntu's own image brings this file too: packages do not stay in a layer.
    cat >"$work/docker-clean" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
CONF

    # Debian 12's usrmerge brings 46 MB of perl; mmdebstrap can merge /usr by itself. Later systems come merged, and there
    # the hook fails.
    if [ "$release" = bookworm ] && [ -d /usr/share/mmdebstrap/hooks/merged-usr ]; then
        options+=(--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr)
    fi

    # A mirror that is frozen or behind needs these here as on the machine itself.
    while IFS= read -r label; do options+=(--aptopt="$label"); done < <(
        apt-config dump Acquire::Check-Valid-Until
        apt-config dump Acquire::Check-Date
    )

    # path-exclude stays in the image's dpkg.cfg.d: later packages bring no manuals either. Licences stay.
    say "mmdebstrap $release: takes about a minute"
    # shellcheck disable=SC2016  # mmdebstrap's shell fills in $1
    mmdebstrap --variant=minbase --include=apt "${options[@]}" \
        --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --customize-hook="copy-in '$work/docker-clean' /etc/apt/apt.conf.d" \
        --customize-hook='rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1"/var/cache/apt/*.bin' \
        "$release" "$work/root.tar" "$work/sources.list" 2>"$work/log" ||
        { cat "$work/log" >&2; die "mmdebstrap failed, see above; is the machine's own 'apt-get update' well?"; }

    changes=(--change 'CMD ["bash"]')
    for label in "$@"; do changes+=(--change "LABEL ${label%%=*}=\"${label#*=}\""); done
    "$docker" import "${changes[@]}" "$work/root.tar" "$image" >/dev/null
}

[ $# -ge 1 ] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
image=$1
shift
for label in "$@"; do
    case $label in
        ?*=*) ;;
        *) say "error: '$label' is no label; write NAME=VALUE"; exit 2 ;;
    esac
done
command -v "$docker" >/dev/null || die "there is no '$docker' on PATH; install docker.io or podman, or set DOCKER"
"$docker" info >/dev/null 2>&1 || die "'$docker info' fails: start the engine, or join its group"

# The image gets its name in one last step, so a kill leaves a folder in the temporary directory at worst.
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

case ${STAND_IN_ROOT:-} in
    ubuntu)
        have_ubuntu 600 || die "no registry gave $ubuntu; set STAND_IN_ROOT=mmdebstrap to do without"
        from_ubuntu "$image" "$@"
        ;;
    mmdebstrap) from_mmdebstrap "$image" "$@" ;;
    '')
        if have_ubuntu 60; then from_ubuntu "$image" "$@"; else from_mmdebstrap "$image" "$@"; fi
        ;;
    *) say "error: STAND_IN_ROOT is '$STAND_IN_ROOT'; write ubuntu or mmdebstrap"; exit 2 ;;
esac
say "made $image"
