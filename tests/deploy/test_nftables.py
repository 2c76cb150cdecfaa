"""deploy/nftables: nft itself takes the rules, and a kernel of ours loads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import debian

RULES = Path(__file__).parents[2] / "deploy/nftables/scim-gateway.nft"
USER = 'skuid "scim-gateway"'


def in_a_network_of_its_own(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script as root of a network namespace that ends with it; $NFT is nft."""
    nft = debian.call("edge", "nft", "nftables")
    words = ("unshare", "--map-root-user", "--net", "sh", "-euc", script.replace("$NFT", " ".join(nft)))
    ran = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if "unshare" in ran.stderr:
        debian.missing("a network namespace", ran.stderr, "util-linux")
    return ran


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """As shipped, for a user whom this machine has."""
    text = RULES.read_text()
    assert text.count(USER) == 1
    file = tmp_path / "rules.nft"
    file.write_text(text.replace(USER, "skuid 65534"))
    return file


def test_nft_takes_the_rules(rules: Path) -> None:
    ran = in_a_network_of_its_own(f"$NFT --check --file {rules}")

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_they_can_be_loaded_again_and_again_and_let_nothing_in_or_out_by_default(rules: Path) -> None:
    ran = in_a_network_of_its_own(f"$NFT -f {rules}; $NFT -f {rules}; $NFT list ruleset")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("policy drop;") == 3
    assert ran.stdout.count("table inet scim_gateway") == 1


def test_a_mistake_would_be_found(rules: Path) -> None:
    rules.write_text(rules.read_text().replace("dport 443 accept", "dport https443 accept", 1))

    assert in_a_network_of_its_own(f"$NFT --check --file {rules}").returncode != 0
