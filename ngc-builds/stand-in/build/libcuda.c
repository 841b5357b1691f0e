/*
 * libcuda.so.1 for machines without a driver: every function says CUDA_ERROR_NO_DEVICE, what a driver says without a device.
 * NIXL's UCX plugin and UCX's cuda module link libcuda.so.1 and do not load without one.
 *
 * The real driver must always win, so:
 *  - it is installed as /usr/lib/libcuda.so.1, in the last folder where the dynamic loader looks: after RPATH,
 *    LD_LIBRARY_PATH, ld.so.cache and /usr/lib/<triplet>, the places where drivers get mounted;
 *  - its SONAME is another one, so that ldconfig, which lists libraries by SONAME, never puts "libcuda.so.1" in its cache.
 */
#define STUB(name) int name(void) { return 100; }

STUB(cuCtxGetCurrent)
STUB(cuCtxGetDevice)
STUB(cuCtxPopCurrent_v2)
STUB(cuCtxPushCurrent_v2)
STUB(cuCtxSetCurrent)
STUB(cuDeviceGet)
STUB(cuDeviceGetAttribute)
STUB(cuDeviceGetCount)
STUB(cuDevicePrimaryCtxGetState)
STUB(cuDevicePrimaryCtxRelease_v2)
STUB(cuDevicePrimaryCtxRetain)
STUB(cuDriverGetVersion)
STUB(cuGetErrorName)
STUB(cuGetErrorString)
STUB(cuGetProcAddress_v2)
STUB(cuInit)
STUB(cuMemAlloc_v2)
STUB(cuMemFree_v2)
STUB(cuMemGetAddressRange_v2)
STUB(cuPointerGetAttribute)
STUB(cuPointerGetAttributes)
