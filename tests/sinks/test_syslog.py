"""The connection to a syslog server: verified both ways, never in the clear, and its end is noticed."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from gateway.sinks import SyslogOutlet
from tests.sinks.servers import Papers, serving
from tests.waiting import until

LINE = b'{"seq":1,"time":"2027-01-15T08:00:00Z","instance":"gw-1","event":"notice"}'


async def test_a_message_arrives_with_its_length_ahead(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    async with serving(papers) as server:
        outlet = SyslogOutlet(papers.section(server.port))
        async with outlet.open() as channel:
            await channel.send(outlet.frame(LINE))
            await until(lambda: server.received)

    message = b'<85>1 2027-01-15T08:00:00Z gw-1 scim-gateway - notice [meta sequenceId="1"] ' + LINE
    assert bytes(server.received) == b"%d " % len(message) + message


@pytest.mark.parametrize("changes", [{"ca_file": None}, {"certificate_file": None, "key_file": None}])
async def test_who_cannot_be_verified_gets_nothing(tmp_path: Path, changes: dict[str, object]) -> None:
    papers = Papers(tmp_path)
    async with serving(papers) as server:
        outlet = SyslogOutlet(papers.section(server.port, **changes))
        with pytest.raises(
            (ssl.SSLError, ConnectionError)
        ):  # in TLS 1.3 the server's refusal comes as the connection's end
            async with outlet.open() as channel:
                await until(lambda: channel.has_ended)
                raise ConnectionResetError

        assert not server.received


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    papers = Papers(tmp_path, name="elsewhere.test")
    async with serving(papers) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            async with SyslogOutlet(papers.section(server.port)).open():
                pass


async def test_the_end_of_the_server_is_noticed_at_rest(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    async with serving(papers) as server, SyslogOutlet(papers.section(server.port)).open() as channel:
        await until(lambda: server.writers)
        server.writers[0].close()
        await until(lambda: channel.has_ended)


async def test_a_server_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        async with SyslogOutlet(papers.section(port)).open():
            pass
