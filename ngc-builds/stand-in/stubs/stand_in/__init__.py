"""What the stubs of both engines share: a KV pool on real NIXL, the words of the answer, the model folder."""
