#!/usr/bin/env bash
# Deploy a config to a cluster and wait until it serves: makes the Python environment if there is none, then `invoke deploy`
# with the same arguments.
set -euo pipefail
# shellcheck source=scripts/venv.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/venv.sh"

make_venv no
invoke_verb deploy "$@"
