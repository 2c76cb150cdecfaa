"""The Merkle tree of RFC 6962 section 2.1 over a log that only grows, kept as its right edge alone. Pure.

The edge holds the roots of the complete subtrees, largest first: one for each bit of the size. It is all that is
needed to add leaves and to tell the root.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of `size` leaves; `edge` holds one hash of 32 bytes for each bit that is set in it."""

    size: int = 0
    edge: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.edge) != self.size.bit_count() or any(len(node) != 32 for node in self.edge):
            raise ValueError(f"no tree of {self.size} leaves has such an edge")

    @property
    def root(self) -> bytes:
        """The tree's hash, which stands for every leaf and its place."""
        if not self.edge:
            return sha256(b"").digest()
        root = self.edge[-1]
        for node in self.edge[-2::-1]:
            root = _parent(node, root)
        return root


def leaf(entry: bytes) -> bytes:
    """An entry's hash as a leaf."""
    return sha256(b"\0" + entry).digest()


def grown(tree: Tree, leaves: Iterable[bytes]) -> Tree:
    """A tree with more leaves (hashes) behind its own. Level by level, for one call costs more than its hash."""
    nodes = list(leaves)
    added, bits = len(nodes), tree.size
    larger, smaller = list(tree.edge), list[bytes]()
    while nodes:
        if bits & 1:
            nodes.insert(0, larger.pop())
        if len(nodes) & 1:
            smaller.append(nodes.pop())
        nodes = [sha256(b"\1" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
        bits >>= 1
    return Tree(tree.size + added, (*larger, *reversed(smaller)))


def _parent(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()
