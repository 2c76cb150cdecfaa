"""Names resolved anew for each connection, each in a thread of its own: a name server that hangs holds up nobody else.

The event loop's own pool has a few threads for everything. Two names that hang would keep every other tenant from
connecting, and the process from ending.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address

_under_way: dict[tuple[asyncio.AbstractEventLoop, str, int], asyncio.Future[list[str]]] = {}


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order; whoever asks while it is being looked up shares the answer.

    Raises:
        socket.gaierror: it has none.
    """
    with suppress(ValueError):
        return [str(ip_address(host))]
    loop = asyncio.get_running_loop()
    key = (loop, host, port)
    found = _under_way.get(key)
    if found is None:
        found = _under_way[key] = loop.create_future()
        found.add_done_callback(lambda _: _under_way.pop(key))
        try:
            threading.Thread(target=_look_up, args=(loop, host, port, found), name="resolver", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            _tell(found, [])
    return await asyncio.shield(found)


def _look_up(loop: asyncio.AbstractEventLoop, host: str, port: int, found: asyncio.Future[list[str]]) -> None:
    addresses: list[str] = []
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in entries))
    except (OSError, UnicodeError):  # UnicodeError: it is no name at all, such as "jira..internal"
        pass
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(_tell, found, addresses)


def _tell(found: asyncio.Future[list[str]], addresses: list[str]) -> None:
    if found.done():
        return
    if addresses:
        found.set_result(addresses)
    else:
        found.set_exception(socket.gaierror(socket.EAI_NONAME, "the name does not resolve"))
        found.exception()  # whoever asked may have given up, and then nobody else fetches it
