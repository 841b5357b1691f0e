#!/bin/bash
# Arranges PyPI's wheel of NIXL as trees that are copied to /.
#   nixl.sh WHEEL TREES BUILD
# WHEEL  where pip --target put it, and CUDA's runtime library
# TREES  gets: system (the wheel as it is, and /opt/dynamo/nixl which leads to it, as in vllm-runtime), venv (the wheel in
#        the venv, and the copy that tensorrtllm-runtime loads by LD_PRELOAD, over the UCX in /usr/local/ucx)
# BUILD  ngc-builds/stand-in/build
set -euo pipefail
wheel=$1 trees=$2 build=$3
python=$(python3 -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')
dist=usr/local/lib/python3.12/dist-packages # the real images' Python
native=.nixl_cu13.mesonpy.libs
bundled=nixl_cu13.libs

# CUDA's runtime library, where the linker looks.
mkdir -p "$trees/system/usr/local/cuda/lib64" "$trees/system/etc/ld.so.conf.d"
cp "$wheel/nvidia/cu13/lib/libcudart.so.13" "$trees/system/usr/local/cuda/lib64/"
echo /usr/local/cuda/lib64 >"$trees/system/etc/ld.so.conf.d/000_cuda.conf"

# Programs, and plugins that need a further library or a device; the wheel has all plugins twice.
cd "$wheel"
rm -rf nvidia* nixl_ep* bin include ./*.scripts ./*.data "$bundled/nixl"
find "$native/plugins" -type f ! -name libplugin_UCX.so ! -name libplugin_POSIX.so -delete
rm -f "$native"/{libobj_utils,libnixl_test_utils,libnixl_capi}.so "$native"/lib{core,pull}.so.* "$native"/liburing.so.*
# Modules of UCX for devices that the stand-in has no drivers of.
find "$bundled/ucx" -type f ! -name 'libuc?_cuda.so.0.0.0' ! -name 'libuct_cma.so.0.0.0' -delete
python3 "$build/reachable.py" "$bundled" "$native" "$native/plugins" nixl_cu13 "$bundled/ucx" | xargs --no-run-if-empty rm -f
# Plain strip breaks what patchelf rewrote, eu-strip does not (see stage.sh).
find . -type f -name '*.so*' -exec eu-strip {} ';'

mkdir -p "$trees/system/$dist" "$trees/system/opt/dynamo" "$trees/venv/opt/dynamo/venv/lib/$python/site-packages"
cp -a . "$trees/venv/opt/dynamo/venv/lib/$python/site-packages/"
mkdir -p "$trees/venv/usr/local"
cp -a "$trees/system/usr/local/cuda" "$trees/venv/usr/local/"
cp -a "$trees/system/etc" "$trees/venv/"
cp -a . "$trees/system/$dist/"
ln -s "/$dist/$native" "$trees/system/opt/dynamo/nixl"

# TensorRT-LLM's copy: the same files here, since its own wheel is not on PyPI. Their RPATHs lead to a folder beside it.
own=$trees/venv/$dist/tensorrt_llm/libs
mkdir -p "$own"
cp -a "$native" "$own/nixl"
mkdir "$own/$bundled"
ln -s /usr/local/ucx/lib/ucx "$own/$bundled/ucx"
for library in "$bundled"/*.so*; do
    name=${library##*/}
    case $name in
        libuc[mpst]-*) ln -s "/usr/local/ucx/lib/${name%%-*}.so.0" "$own/$bundled/$name" ;;
        # What is neither NIXL nor UCX is there once.
        *) ln -s "/opt/dynamo/venv/lib/$python/site-packages/$library" "$own/$bundled/$name" ;;
    esac
done
