#!/usr/bin/env bash
# Take components out of a framework's base: extract-from-ngc.sh FRAMEWORK [COMPONENT...] [option of `invoke extract-from-ngc`...]
set -euo pipefail
folder=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=scripts/venv.sh
source "$folder/../../scripts/venv.sh"

framework=
components=()
options=()
for argument; do
  if [[ $argument == -* ]] || ((${#options[@]})); then # from the first option on: its value may be the next word
    options+=("$argument")
  elif [[ -z $framework ]]; then
    framework=$argument
  else
    components+=(--component "$argument")
  fi
done
if [[ -z $framework ]]; then
  echo "usage: ${0##*/} FRAMEWORK [COMPONENT...] [option of \`invoke extract-from-ngc\`...]; frameworks:" "$(cd "$folder/.." && printf '%s\n' */image.yaml | sed 's,/.*,,' | paste -sd' ')" >&2
  exit 2
fi
make_venv no
invoke_verb extract-from-ngc --framework "$framework" ${components[@]+"${components[@]}"} ${options[@]+"${options[@]}"}
