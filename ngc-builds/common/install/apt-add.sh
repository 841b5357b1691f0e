#!/bin/sh
# Add the packages that FILE lists to this image, and change nothing that the base brought.
# Usage: apt-add.sh FILE, as root; FILE holds one package per line, '#' begins a comment.
# Refuses before anything is installed when apt would upgrade or remove a package, or pull one that would stand beside
# the base's own UCX, NIXL, NCCL, CUDA, PyTorch or MPI (libucx0 from apt broke NIXL: ai-dynamo/dynamo#4263).
# CA: /run/secrets/ca, when it is there, is trusted for https sources during this run only.
# APT_SNAPSHOT: a moment such as 20251106T000000Z; the archives of Ubuntu and Debian as they were then, for builds that can
# be repeated, and for a base older than the archive's packages. Empty: as they are now.
set -eu

stop() {
    echo "error: $*" >&2
    exit 1
}

file=${1:?usage: apt-add.sh FILE}
wanted=$(sed 's/#.*//' "$file")

# A package that the base has stays as it is: naming it to apt would upgrade it.
missing=
for package in $wanted; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :) in
        installed) ;;
        *) missing="$missing $package" ;;
    esac
done
if [ -z "$missing" ]; then
    echo "nothing to add: the base has all of $file"
    exit 0
fi

# Lists, archives and logs live in a folder that goes away, so the layer holds packages and no trace of the download.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/log"
find /var/log /var/cache/ldconfig /var/cache/debconf -type f 2>/dev/null | sort > "$work/before"

# Hold what the base has, and take packages from the same source in the version that fits it: the archive has moved on
# since the base was built, and iproute2's libcap2-bin, say, needs the libcap2 of its own version.
{
    cat /etc/apt/preferences 2>/dev/null || :
    # shellcheck disable=SC2016 # dpkg's own variables
    dpkg-query -W -f '${db:Status-Status} ${Package} ${source:Package} ${Version}\n' | awk '
        $1 == "installed" {
            hold($2, $4)
            if (!($3 in version)) version[$3] = $4
            else if (version[$3] != $4) version[$3] = ""
        }
        END { for (source in version) if (version[source] != "") hold("src:" source, version[source]) }
        function hold(name, version) { printf "\nPackage: %s\nPin: version %s\nPin-Priority: 1001\n", name, version }
    '
} > "$work/preferences"

# _apt, the user apt downloads as, could not write to the folder, nor read a secret of mode 0600.
set -- -q -y --no-install-recommends \
    -o APT::Sandbox::User=root \
    -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work/cache" \
    -o Dir::Log="$work/log" \
    -o Dir::Etc::Preferences="$work/preferences" \
    -o Acquire::Retries=3
if [ -s /run/secrets/ca ]; then
    set -- "$@" -o Acquire::https::CAInfo=/run/secrets/ca
fi

# Sources of their own for this run: apt's option --snapshot is younger than Debian 12, and Ubuntu 22.04 must be told of it.
# What is signed stays signed; a Release file of then says that it is no longer valid.
if [ -n "${APT_SNAPSHOT:-}" ]; then
    expr "$APT_SNAPSHOT" : '[0-9]\{8\}T[0-9]\{6\}Z$' > /dev/null ||
        stop "APT_SNAPSHOT is '$APT_SNAPSHOT'; write a moment such as 20251106T000000Z"
    mkdir "$work/sources"
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ ! -e "$list" ] || sed -E "
            s#(https?://)([a-z0-9-]+\.)*(archive|security)\.ubuntu\.com/ubuntu/?([[:space:]]|\$)#\1snapshot.ubuntu.com/ubuntu/$APT_SNAPSHOT/\4#g
            s#(https?://)ports\.ubuntu\.com(/ubuntu-ports)?/?([[:space:]]|\$)#\1snapshot.ubuntu.com/ubuntu/$APT_SNAPSHOT/\3#g
            s#(https?://)([a-z0-9-]+\.)*debian\.org/(debian(-security)?)/?([[:space:]]|\$)#\1snapshot.debian.org/archive/\3/$APT_SNAPSHOT/\5#g
            s#(https?://)security\.debian\.org/?([[:space:]]|\$)#\1snapshot.debian.org/archive/debian-security/$APT_SNAPSHOT/\2#g
        " "$list" > "$work/sources/${list##*/}"
    done
    grep -Eqs "//snapshot\.(ubuntu\.com|debian\.org)/" "$work"/sources/* ||
        stop "APT_SNAPSHOT is set, and no source of the base is an archive of Ubuntu or Debian, which have snapshots; leave it empty"
    set -- "$@" -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources" -o Acquire::Check-Valid-Until=false
fi

apt-get "$@" update >&2 || stop "apt could not read its package lists; see the lines above (behind a proxy that inspects TLS: --secret id=ca,src=BUNDLE)"
way_out="take what needs it out of ${file##*/}, build on a newer base, or give the base's day: --build-arg APT_SNAPSHOT=20251106T000000Z"
# shellcheck disable=SC2086 # a list of package names
apt-get "$@" -s install $missing > "$work/plan" || {
    cat "$work/plan" >&2
    stop "apt cannot add$missing beside what the base has; see the lines above; $way_out"
}

# Inst NAME [OLD] (NEW ...) is an upgrade, Inst NAME (NEW ...) an addition, Remv NAME [OLD] a removal.
moved=$(awk '$1 == "Remv" || ($1 == "Inst" && $3 ~ /^\[/) { printf " %s", $2 }' "$work/plan")
[ -z "$moved" ] || stop "apt would upgrade or remove packages of the base:$moved; $way_out"

twins=$(awk '$1 == "Inst" { print $2 }' "$work/plan" | grep -E \
    '^(libuc[mpst]|libucx|ucx-|libnixl|nixl|libnccl|libcuda|libcudart|cuda-|nvidia-|libnvidia-|libtorch|python3-torch|openmpi-|libopenmpi|mpich|libmpich)' |
    tr '\n' ' ' || :)
[ -z "$twins" ] || stop "apt would put a second copy beside the base's own: ${twins% }; take what needs it out of ${file##*/}"

# Pages that nobody reads in a container stay out; licences stay in.
# shellcheck disable=SC2086 # a list of package names
DEBIAN_FRONTEND=noninteractive apt-get "$@" \
    -o Dpkg::Options::=--log="$work/log/dpkg.log" \
    -o Dpkg::Options::=--path-exclude='/usr/share/man/*' \
    -o Dpkg::Options::=--path-exclude='/usr/share/info/*' \
    -o Dpkg::Options::=--path-exclude='/usr/share/locale/*' \
    -o Dpkg::Options::=--path-exclude='/usr/share/doc/*' \
    -o Dpkg::Options::=--path-include='/usr/share/doc/*/copyright' \
    install $missing >&2

# What is new there is a log, a cache, or dpkg's backup of the state before.
find /var/log /var/cache/ldconfig /var/cache/debconf -type f 2>/dev/null | sort > "$work/after"
comm -13 "$work/before" "$work/after" | xargs -r rm -f
echo "added:$missing"
