#!/bin/sh
# Put the Python tools of requirements.txt into /opt/tools/venv, and links to their commands into /opt/tools/bin.
# The venv is the system Python's, not one made from the base's venv: the tools see none of the base's packages.
set -eu
export PYTHONDONTWRITEBYTECODE=1
here=$(dirname "$0")
# --without-pip: a pip needs the package python3-venv, which apt ties to one exact version of the base's python3.
/usr/bin/python3 -m venv --without-pip /opt/tools/venv
sh /mnt/pip.sh --python /opt/tools/venv/bin/python install --require-hashes -r "$here/requirements.txt"
mkdir -p /opt/tools/bin
for command in debugpy ipython meson py-spy pytest ruff; do
    ln -s "../venv/bin/$command" "/opt/tools/bin/$command"
done
