"""The CUDA release that the layout stands for: NIXL chooses its wheel by it."""

cuda = "13.0"
