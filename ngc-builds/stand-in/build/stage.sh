#!/bin/bash
# Puts the native parts of the stand-in where the real images have them, under the folder named as first argument.
#   stage.sh STAGE NATIVE BUILD
# STAGE   root of what the image gets; holds opt/dynamo/venv already
# NATIVE  where pip --target put the wheels of native.txt
# BUILD   ngc-builds/stand-in/build
set -euo pipefail
stage=$1 native=$2 build=$3
nixl=/opt/nvidia/nvda_nixl
libdir=$nixl/lib/x86_64-linux-gnu
site=$(echo "$stage"/opt/dynamo/venv/lib/python3.*/site-packages)

# Symbols out of the ELF files listed on stdin. Plain strip breaks what auditwheel's patchelf rewrote ("ELF load command
# address/offset not page-aligned"); eu-strip does not.
strip_all() {
    # shellcheck disable=SC2016  # for the inner shell
    xargs -0 --max-args=1 sh -c 'if head -c 4 "$0" | grep -q ELF; then eu-strip "$0"; fi'
}

# Tests, build tools and headers that nothing of the stand-in uses.
rm -rf "$site"/setuptools* "$site"/pkg_resources "$site"/_distutils_hack "$site"/distutils-precedence.pth
rm -rf "$stage"/opt/dynamo/venv/include/site
find "$site/numpy" -type d -name tests -prune -exec rm -rf {} +

# UCX: the wheel brings each library three times as full file; two of them become the links that they are elsewhere.
mkdir -p "$stage/usr/local"
mv "$native/libucx" "$stage/usr/local/ucx"
cd "$stage/usr/local/ucx"
rm -rf __init__.py __pycache__ _version.py load.py GIT_COMMIT VERSION bin/io_demo share
find lib -name '*.la' -delete -o -name '*.a' -delete
sed -i 's|^prefix=.*|prefix=/usr/local/ucx|' lib/pkgconfig/*.pc
for full in lib/*.so.*.*.* lib/ucx/*.so.*.*.*; do
    file=${full##*/}
    ln -sf "$file" "${full%.*.*}"
    ln -sf "$file" "${full%.*.*.*}"
done
# ucx_perftest and its CUDA part were linked to libraries of the wheel's own, under names of its own.
mv "$native"/libucx_cu12.libs/libgomp-*.so.* lib/
for cudart in "$native"/libucx_cu12.libs/libcudart-*.so.*; do
    ln -s /usr/local/cuda/lib64/libcudart.so.12 "lib/${cudart##*/}"
done
find bin lib -type f \( -name '*.so*' -o -path 'bin/*' \) -print0 | strip_all
chmod 0755 bin/*

# NIXL's C++ side: one copy at the real place, and the wheel's own folders lead there. RPATHs of both sides
# ($ORIGIN/../nixl.libs, $ORIGIN/../../nixl.libs) hold in this arrangement without patching a file.
mkdir -p "$stage$nixl/lib"
mv "$site/.nixl.mesonpy.libs" "$stage$libdir"
mv "$site/nixl.libs" "$stage$nixl/lib/nixl.libs"
ln -s "$libdir" "$site/.nixl.mesonpy.libs"
ln -s "$nixl/lib/nixl.libs" "$site/nixl.libs"
# Plugins that need no further library; the others of the wheel link DOCA, GUSLI, AWS, libfabric, cuFile.
find "$stage$libdir/plugins" -type f ! -name libplugin_UCX.so ! -name libplugin_UCX_MO.so ! -name libplugin_POSIX.so -delete
rm -rf "$stage$nixl/lib/nixl.libs/nixl"

# The wheel's plugin would load the UCX that auditwheel put beside it, before LD_LIBRARY_PATH is asked, and modules
# from the folder ucx there. Links make both the base's: without the second a GPU is never seen.
cd "$stage$nixl/lib/nixl.libs"
rm -rf ucx
ln -s /usr/local/ucx/lib/ucx ucx
for bundled in libuc[mpst]-*.so.*; do
    ln -sf "/usr/local/ucx/lib/${bundled%%-*}.so.0" "$bundled"
done

# What neither the library nor a kept plugin reaches goes.
python3 "$build/reachable.py" "$stage$nixl/lib/nixl.libs" "$stage$libdir" "$stage$libdir/plugins" "$site/nixl" | xargs --no-run-if-empty rm -f

find "$stage$nixl/lib" "$site" -type f -name '*.so*' -print0 | strip_all

# CUDA's runtime library, for UCX_MO.
mkdir -p "$stage/usr/local/cuda/lib64" "$stage/etc/ld.so.conf.d"
mv "$native"/nvidia/cuda_runtime/lib/libcudart.so.12 "$stage/usr/local/cuda/lib64/"
echo /usr/local/cuda/lib64 >"$stage/etc/ld.so.conf.d/000_cuda.conf"

# See libcuda.c for the place and the SONAME.
mkdir -p "$stage/usr/lib"
gcc -shared -fPIC -Os -s -nostdlib -Wl,-soname,libcuda-stand-in.so "$build/libcuda.c" -o "$stage/usr/lib/libcuda.so.1"

# Services, without what Debian packages around them: the real images hold plain binaries at these places too.
mkdir -p "$stage/usr/local/bin/etcd" "$stage/usr/bin"
cp /usr/bin/etcd /usr/bin/etcdctl "$stage/usr/local/bin/etcd/"
cp "$(command -v nats-server)" "$stage/usr/bin/nats-server"
strip "$stage"/usr/local/bin/etcd/* "$stage/usr/bin/nats-server"

python3 "$build/make_model.py" "$stage/opt/stand-in/model"

mkdir -p "$stage/opt/dynamo/wheelhouse/nixl"

# The stubs are found through this line, in any Python version and with `env -i`; no dist-info claims a package.
echo /opt/stand-in/stubs >"$site/stand-in.pth"
