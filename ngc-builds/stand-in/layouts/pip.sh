#!/bin/sh
# Puts the wheels that a file lists into /wheel. A build behind a proxy runs it by with-ca.sh.
#   pip.sh FILE
set -eu
exec /stage/opt/dynamo/venv/bin/python3 -m pip install --no-cache-dir --no-compile --no-deps --require-hashes \
    --only-binary :all: --disable-pip-version-check --target /wheel --requirement "$1"
