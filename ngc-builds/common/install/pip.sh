#!/bin/sh
# Run pip with these arguments, whichever pip the base has; used as a program only, nothing is installed beside it.
# CA: /run/secrets/ca, when it is there, is trusted during this run only.
set -eu
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# Importing the base's pip would write byte code beside it.
export PYTHONDONTWRITEBYTECODE=1
if [ -s /run/secrets/ca ]; then
    export PIP_CERT=/run/secrets/ca
fi
for python in "${VIRTUAL_ENV:-}/bin/python" /opt/dynamo/venv/bin/python python3; do
    # 22.3 brought --python, which installs into another Python's venv.
    if "$python" -c 'import pip; assert tuple(map(int, pip.__version__.split(".")[:2])) >= (22, 3)' 2>/dev/null; then
        exec "$python" -m pip "$@"
    fi
done
echo "error: this base has no pip 22.3 or newer (looked in \$VIRTUAL_ENV, /opt/dynamo/venv and python3); add one to the base" >&2
exit 1
