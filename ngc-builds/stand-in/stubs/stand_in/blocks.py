"""Which full blocks of prompts are in the cache: what a KV-aware router must hear about."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """New blocks in a row: their hashes, the hash of the block before them (None: first of a prompt), their tokens."""

    hashes: list[int]
    parent: int | None
    tokens: list[int]


class BlockCache:
    """Knows blocks by a hash over their tokens and all before them. Nothing is ever evicted: prompts of tests are few."""

    def __init__(self, block_size: int) -> None:
        self._size = block_size
        self._known: set[int] = set()
        self.queries = 0
        self.hits = 0

    def __len__(self) -> int:
        return len(self._known)

    def add(self, tokens: Sequence[int]) -> Run | None:
        """Take up the full blocks of a prompt; returns those that were not known."""
        parent = previous = None
        fresh: list[int] = []
        state = hashlib.sha256()
        full = len(tokens) // self._size * self._size
        for start in range(0, full, self._size):
            state.update(str(tokens[start : start + self._size]).encode())
            # 63 bits: the routers of both engines take signed numbers
            block = int.from_bytes(state.digest()[:8], "big") >> 1
            self.queries += 1
            if block in self._known:
                self.hits += 1
            else:
                if not fresh:
                    parent = previous
                fresh.append(block)
            previous = block
        self._known.update(fresh)
        return Run(fresh, parent, list(tokens[full - len(fresh) * self._size : full])) if fresh else None

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
