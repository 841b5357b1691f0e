#!/bin/bash
# Arranges PyPI's wheel of UCX as a tree that is copied to /.
#   ucx.sh WHEEL TREE
# WHEEL  where pip --target put it
set -euo pipefail
wheel=$1 tree=$2
mkdir -p "$tree/usr/local"
mv "$wheel/libucx" "$tree/usr/local/ucx"
cd "$tree/usr/local/ucx"
rm -rf __init__.py __pycache__ _version.py load.py GIT_COMMIT VERSION bin/io_demo share
find lib -name '*.la' -delete -o -name '*.a' -delete
sed -i 's|^prefix=.*|prefix=/usr/local/ucx|' lib/pkgconfig/*.pc
# Modules for devices that the stand-in has no drivers of, and the CUDA part of ucx_perftest, half of the size.
find lib/ucx -type f ! -name 'libuc?_cuda.so*' ! -name 'libuct_cma.so*' -delete
# The wheel brings each library three times as full file; two of them become the links that they are elsewhere.
for full in lib/*.so.*.*.* lib/ucx/*.so.*.*.*; do
    file=${full##*/}
    ln -sf "$file" "${full%.*.*}"
    ln -sf "$file" "${full%.*.*.*}"
done
for library in "$wheel"/libucx_cu13.libs/libgomp-*.so.*; do mv "$library" lib/; done
for library in "$wheel"/libucx_cu13.libs/libcudart-*.so.*; do
    ln -s /usr/local/cuda/lib64/libcudart.so.13 "lib/${library##*/}"
done
find bin lib -type f \( -name '*.so*' -o -path 'bin/*' \) -exec sh -c 'head -c 4 "$1" | grep -q ELF && eu-strip "$1"' sh {} ';'
chmod 0755 bin/*
