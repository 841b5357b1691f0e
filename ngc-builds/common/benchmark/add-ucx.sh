#!/bin/sh
# A base without ucx_perftest (NGC from 1.3 on, where UCX hides inside NIXL's wheel) gets the one of PyPI's libucx, in a
# folder of its own on no path of the base: bench-ucx alone starts it, with its own libraries, and names its version.
set -eu
if command -v ucx_perftest; then
    echo "the base has ucx_perftest"
    exit 0
fi
here=$(dirname "$0")
to=/opt/benchmark/ucx
sh "$here/../pip.sh" install --no-deps --no-compile --require-hashes --target "$to" -r "$here/requirements-ucx.txt"
# The wheel spells every library three times, as files (56 MB); links do (5 MB). Static libraries and headers go.
cd "$to/libucx"
rm -rf include share lib/cmake lib/pkgconfig
find lib \( -name '*.a' -o -name '*.la' \) -delete
find lib -name '*.so.0.0.0' | while read -r library; do
    name=${library##*/}
    ln -sf "$name" "${library%.0.0}"
    ln -sf "$name" "${library%.0.0.0}"
done
