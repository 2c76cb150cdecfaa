from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.merkle import Tree, grown, leaf

# The entries and roots that the implementations of Certificate Transparency test themselves with.
ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_one_of_rfc_6962(size: int) -> None:
    tree = grown(Tree(), [leaf(bytes.fromhex(entry)) for entry in ENTRIES[:size]])

    assert (tree.size, tree.root.hex()) == (size, ROOTS[size])


@given(st.lists(st.integers(0, 20), max_size=12))
def test_a_tree_that_grows_in_pieces_is_the_same(pieces: list[int]) -> None:
    leaves = [leaf(bytes([number])) for number in range(sum(pieces))]
    tree, place = Tree(), 0
    for piece in pieces:
        tree = grown(tree, leaves[place : place + piece])
        place += piece

    assert tree == grown(Tree(), leaves)


@pytest.mark.parametrize(("size", "edge"), [(1, ()), (3, (bytes(32),)), (-1, ()), (1, (b"short",))])
def test_an_edge_that_does_not_fit_its_size_is_no_tree(size: int, edge: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="no tree"):
        Tree(size, edge)
