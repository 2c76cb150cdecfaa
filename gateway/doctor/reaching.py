"""The way to the port: the host's name, its addresses, and whether anybody listens there."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from gateway.doctor.findings import Finding, fault, ok, warning
from gateway.doctor.visit import Visit


async def name_is_one_that_okta_takes(visit: Visit) -> Finding:
    """Okta refuses a Base URL whose host holds "_", and no public authority certifies one."""
    if "_" in visit.host:
        return fault(
            f"{visit.host} holds a '_'", "give the gateway another name, for instance with '-': Okta refuses this one"
        )
    return ok(visit.host)


async def name_resolves(visit: Visit) -> Finding:
    """DNS of the host's name, as this machine sees it."""
    try:
        addresses = await _addresses(visit)
    except (OSError, UnicodeError) as error:  # the latter: it cannot even be asked for
        return fault(
            f"{visit.host} cannot be resolved: {error.strerror if isinstance(error, OSError) else error}",
            "make a DNS record for it, in the public zone; or correct gateway.public_url or --url",
        )
    private = [address for address in addresses if _is_private(address)]
    inside = f" ({', '.join(private)} is a private address: from the internet it must be another)" if private else ""
    return ok(f"{visit.host} is {', '.join(addresses)}{inside}")


async def port_is_open(visit: Visit) -> Finding:
    """A TCP connection to each address: Okta may take any of them."""
    addresses = await _addresses(visit)
    limit = visit.limits.connect_seconds
    troubles = await asyncio.gather(*[_trouble_of(address, visit.port, limit) for address in addresses])
    closed = [f"{address} {trouble}" for address, trouble in zip(addresses, troubles, strict=True) if trouble]
    if not closed:
        return ok(f"port {visit.port} is open at {', '.join(addresses)}")
    refused = any("refused" in trouble for trouble in troubles)
    mend = (
        "start the gateway, and compare the port with listen.address and with what firewall and balancer forward"
        if refused
        else "let firewalls and routes pass connections to this address; the port is the one of gateway.public_url"
    )
    seen = f"port {visit.port}: {'; '.join(closed)}"
    if len(closed) == len(addresses):
        return fault(seen, mend)
    return warning(seen, f"{mend}; or take the address out of the DNS")


async def _addresses(visit: Visit) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(visit.host, visit.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _trouble_of(address: str, port: int, seconds: float) -> str:
    """Why there is no connection; "" when there is one."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return f"does not answer within {seconds:g} s (a firewall drops it)"
    except ConnectionRefusedError:
        return "refused the connection (nobody listens)"
    except OSError as error:
        return f"cannot be reached ({error.strerror})"
    writer.close()
    return ""


def _is_private(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_private
