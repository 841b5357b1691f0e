#!/bin/bash
# Arranges what the first layouts have in a venv for those with a system Python, as trees that are copied to /.
#   trees.sh STAGE TREES
# STAGE  what stage.sh made
# TREES  gets: system (packages, services, the stub of the driver), dynamo (Dynamo among them), venv (Dynamo in a venv that
#        sees the system's packages)
set -euo pipefail
stage=$1 trees=$2
python=$(basename "$(echo "$stage"/opt/dynamo/venv/lib/python3.*)")
from=$stage/opt/dynamo/venv/lib/$python/site-packages
dist=usr/local/lib/python3.12/dist-packages # the real images' Python

mkdir -p "$trees/system/$dist" "$trees/system/opt/dynamo" "$trees/system/usr/local" "$trees/dynamo/$dist"
cp -a "$from/." "$trees/system/$dist/"
rm -rf "$trees/system/$dist"/nixl* "$trees/system/$dist"/.nixl*
mv "$trees/system/$dist"/dynamo "$trees/system/$dist"/ai_dynamo* "$trees/dynamo/$dist/"

cp -a "$stage/opt/stand-in" "$trees/system/opt/"
cp -a "$stage/opt/dynamo/wheelhouse" "$trees/system/opt/dynamo/"
rmdir "$trees/system/opt/dynamo/wheelhouse/nixl"
cp -a "$stage/usr/bin" "$stage/usr/lib" "$trees/system/usr/"
cp -a "$stage/usr/local/bin" "$trees/system/usr/local/"

# At its final path, as its scripts name that. pip is the system's.
python3 -m venv --without-pip --system-site-packages /opt/dynamo/venv
mkdir -p "$trees/venv/opt/dynamo"
cp -a "$trees/dynamo/$dist/." "/opt/dynamo/venv/lib/$python/site-packages/"
mv /opt/dynamo/venv "$trees/venv/opt/dynamo/"
