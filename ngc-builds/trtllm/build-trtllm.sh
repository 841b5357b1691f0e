#!/usr/bin/env bash
# Build images of the framework that this folder is named after: TARGET... [option of `invoke build`...]
exec "$(dirname "$(readlink -f "$0")")/../common/build-framework.sh" "$(readlink -f "$0")" "$@"
