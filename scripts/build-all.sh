#!/usr/bin/env bash
# Build every image: makes the Python environment if there is none, then `invoke build-all` with the same arguments.
# --setup, given first or last, installs and starts what this machine lacks (Debian, Ubuntu; root or sudo).
set -euo pipefail
# shellcheck source=scripts/venv.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/venv.sh"

setup=no
arguments=()
for argument; do
  if [[ $argument == --setup ]]; then setup=yes; else arguments+=("$argument"); fi
done
make_venv "$setup"
if [[ $setup == yes ]]; then
  "$venv/bin/invoke" --search-root "$root" setup --yes
  # A user who was just put into the group docker is not in it yet in this shell.
  if [[ $(id -u) != 0 ]] && ! id -nG | grep -qw docker && getent group docker | grep -qw "$(id -un)"; then
    exec sg docker -c "$(printf '%q ' "$venv/bin/invoke" --search-root "$root" build-all ${arguments[@]+"${arguments[@]}"})"
  fi
fi
invoke_verb build-all ${arguments[@]+"${arguments[@]}"}
