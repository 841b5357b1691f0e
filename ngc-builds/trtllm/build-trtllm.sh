#!/usr/bin/env bash
# Build images of the framework this folder is named after: build-<framework>.sh TARGET... [option of `invoke build`...]
set -euo pipefail
folder=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=scripts/venv.sh
source "$folder/../../scripts/venv.sh"

targets=()
options=()
for argument; do
  if [[ $argument == -* ]]; then options+=("$argument"); else targets+=(--target "$argument"); fi
done
if ((${#targets[@]} == 0)); then
  echo "usage: ${0##*/} TARGET... [option of \`invoke build\`...]; targets:" "$(cd "$folder" && printf '%s\n' Dockerfile.* | sed -n 's/^Dockerfile\.\([a-z0-9-]*\)$/\1/p' | paste -sd' ')" >&2
  exit 2
fi
make_venv no
invoke_verb build --framework "$(basename "$folder")" "${targets[@]}" ${options[@]+"${options[@]}"}
