#!/usr/bin/env bash
# Behind the build-<framework>.sh of every framework: build-framework.sh SCRIPT TARGET... [option of `invoke build`...]
# The framework is the folder that SCRIPT, the one that was called, stands in.
set -euo pipefail
folder=$(cd "$(dirname "$(readlink -f "$1")")" && pwd)
name=${1##*/}
shift
# shellcheck source=scripts/venv.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/venv.sh"

targets=()
options=()
for argument; do
  # From the first option on all words are options: its value may be the next word.
  if [[ $argument == -* ]] || ((${#options[@]})); then options+=("$argument"); else targets+=(--target "$argument"); fi
done
if ((${#targets[@]} == 0)); then
  known=$(cd "$folder" && printf '%s\n' Dockerfile.* | sed -n 's/^Dockerfile\.\([a-z0-9-]*\)$/\1/p' | paste -sd' ')
  echo "usage: $name TARGET... [option of \`invoke build\`...]; targets: $known" >&2
  exit 2
fi
make_venv no
invoke_verb build --framework "$(basename "$folder")" "${targets[@]}" ${options[@]+"${options[@]}"}
