"""deploy/nftables: nft itself takes the rules, and a kernel of ours loads them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
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


# The host, and across a cable a namespace that plays everybody else: a client, a stranger, and an application.
_TWO_HOSTS = f"""
unshare --net sleep 30 & OTHERS=$!
trap 'kill $OTHERS' EXIT
until [ "$(readlink /proc/$OTHERS/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add host type veth peer name others netns $OTHERS
ip addr add 198.51.100.1/24 dev host
ip link set host up
ip route add 203.0.113.0/24 dev host
nsenter --target $OTHERS --net sh -ec 'ip addr add 203.0.113.7/24 dev others; ip addr add 198.51.100.7/24 dev others;
    ip link set others up; ip link set lo up'
$NFT -f RULES
{sys.executable} -c "$LISTEN" 198.51.100.1 443 9443 8443 & HOST=$!
nsenter --target $OTHERS --net {sys.executable} -c "$LISTEN" 198.51.100.7 5501 5502 & INSIDE=$!
trap 'kill $OTHERS $HOST $INSIDE' EXIT
CALL="{sys.executable} -c"
nsenter --target $OTHERS --net $CALL "$TRY" 203.0.113.7 198.51.100.1 443
nsenter --target $OTHERS --net $CALL "$TRY" 203.0.113.7 198.51.100.1 9443
nsenter --target $OTHERS --net $CALL "$TRY" 203.0.113.7 198.51.100.1 8443
nsenter --target $OTHERS --net $CALL "$TRY" 198.51.100.7 198.51.100.1 443
$CALL "$TRY" 198.51.100.1 198.51.100.7 5501
$CALL "$TRY" 198.51.100.1 198.51.100.7 5502
"""
_LISTEN = """
import signal, socket, sys
held = [socket.create_server((sys.argv[1], int(port))) for port in sys.argv[2:]]
signal.pause()
"""
_TRY = """
import socket, sys, time
source, target, port = sys.argv[1:]
ends_at = time.monotonic() + 10
while True:
    try:
        socket.create_connection((target, int(port)), 0.5, (source, 0)).close()
        print(source, port, "passes")
        break
    except TimeoutError:
        print(source, port, "is dropped")
        break
    except OSError as error:
        if time.monotonic() > ends_at:  # until then, it may not listen yet
            print(source, port, error)
            break
        time.sleep(0.02)
"""


def test_clients_get_in_at_one_port_and_the_gateway_gets_out_to_the_application_alone(rules: Path) -> None:
    text = rules.read_text().replace("skuid 65534", "skuid 0")  # who runs the script
    rules.write_text(text.replace("10.0.1.11 . 5501", "198.51.100.7 . 5501"))
    script = f"LISTEN={shlex.quote(_LISTEN)}; TRY={shlex.quote(_TRY)}\n" + _TWO_HOSTS.replace("RULES", str(rules))
    if shutil.which("ip") is None:
        debian.missing("ip", "two hosts cannot be played", "iproute2")
    ran = in_a_network_of_its_own(script)

    assert ran.stdout.splitlines() == [
        "203.0.113.7 443 passes",
        "203.0.113.7 9443 is dropped",
        "203.0.113.7 8443 is dropped",
        "198.51.100.7 443 is dropped",
        "198.51.100.1 5501 passes",
        "198.51.100.1 5502 is dropped",
    ], ran.stderr
