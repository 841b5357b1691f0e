#!/usr/bin/env bash
# Check everything: lint, unit tests, and the contract tests of the built images (never builds).
# --base=stand-in, --base=REFERENCE: the images to test, as for build-all; other arguments go to the test runner.
set -euo pipefail
# shellcheck source=scripts/venv.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/venv.sh"

make_venv no
exec "$venv/bin/nox" --noxfile "$root/noxfile.py" -- "$@"
