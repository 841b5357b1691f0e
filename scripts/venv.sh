# shellcheck shell=bash
# Sourced by the scripts beside it: make .venv if there is none or requirements.lock changed, and name the repository's root.
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
venv=$root/.venv

fail() { # TEXT [CODE]
  echo "error: $1" >&2
  exit "${2:-1}"
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

quietly() { # COMMAND...: its output only if it fails
  local log
  log=$(mktemp)
  "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    rm -f "$log"
    return 1
  }
  rm -f "$log"
}

find_python() { # prints the newest Python there is, of those this repository runs on
  local name
  for name in python3 python3.13 python3.12 python3.11 python3.10; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
      command -v "$name"
      return
    fi
  done
  return 1
}

# Everything that can be missing before there is a Python environment; the rest is `invoke setup`.
install_python() {
  command -v apt-get >/dev/null || fail "--setup knows Debian and Ubuntu, and this machine has no apt-get; install Python 3.10 or newer with venv, and run without --setup"
  echo "installing Python (python3, python3-venv)" >&2
  quietly as_root apt-get update -qq || fail "apt-get update failed, its output is above; mend the package sources and run the same command again"
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends python3 python3-venv ca-certificates ||
    fail "apt-get install failed, its output is above"
}

has_venv() { # PYTHON: can it make a virtual environment with pip?
  "$1" -c 'import ensurepip, venv' 2>/dev/null
}

make_venv() { # SETUP(yes|no): the stamp is written last, so a venv that was interrupted is made again
  local setup=$1 stamp python
  stamp=$(sha256sum "$root/requirements.lock" | cut -d' ' -f1)
  [[ -x $venv/bin/invoke && $(cat "$venv/.made-from" 2>/dev/null) == "$stamp" ]] && return
  python=$(find_python) || python=
  if [[ -z $python ]] || ! has_venv "$python"; then
    [[ $setup == yes ]] || fail "Python 3.10 or newer with venv is missing; run \`scripts/build-all.sh --setup\`, or: apt-get install python3 python3-venv"
    install_python
    python=$(find_python) || fail "this release has no Python 3.10 or newer; install one and run again"
    has_venv "$python" || python=/usr/bin/python3
  fi
  echo "making $venv with $("$python" --version)" >&2
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$root/requirements.lock" ||
    fail "pip could not install requirements.lock; check the network (a proxy's certificates go into PIP_CERT) and run the same command again"
  echo "$stamp" >"$venv/.made-from"
}

invoke_verb() { # VERB [ARGUMENT...]: Invoke of the venv, whatever the current folder is
  exec "$venv/bin/invoke" --search-root "$root" "$@"
}
