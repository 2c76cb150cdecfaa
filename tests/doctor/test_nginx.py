"""A real nginx between the client and the gateway, as people set it up, and one that is no gateway at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.doctor.findings import Grade
from gateway.rehearsal.application import Application
from tests.doctor.nginx import nginx
from tests.doctor.scenes import chain_of, findings, is_green, visit

FORWARDING = "proxy_pass https://127.0.0.1:{port}; proxy_set_header Host $http_host;"
PASSING = FORWARDING + " proxy_http_version 1.1;"


async def test_an_nginx_that_passes_everything_on_is_all_green(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin, behind_another=True) as chain:
        location = PASSING.format(port=chain.gateway_port)
        async with nginx(tmp_path / "nginx", chain.pair, chain.port, location):
            found = await findings(visit(chain), with_test_user=True)

    assert is_green(found), found


@pytest.mark.parametrize(
    ("location", "check", "seen", "mend"),
    [
        ("return 404;", "wrong-token", "a web page answered, not the gateway: status 404 of nginx", "check host, port"),
        ("return 301 https://www.example.com$request_uri;", "wrong-token", "it redirects (status 301)", "follow no"),
        ('auth_basic "staff"; auth_basic_user_file /dev/null;', "wrong-token", "status 401 of nginx", "a login page"),
        ("limit_except GET POST PUT DELETE { deny all; } " + PASSING, "patch", "status 403 by something", "let PATCH"),
        (PASSING + ' proxy_set_header Authorization "";', "token", "no Authorization arrives", "takes the field"),
        (FORWARDING, "wrong-token", "version-unsupported", "proxy_http_version 1.1"),
        (
            "proxy_set_header Host gateway.internal; proxy_http_version 1.1; proxy_pass https://127.0.0.1:{port};",
            "wrong-token",
            "host-foreign",
            "public_url",
        ),
        ("proxy_pass https://127.0.0.1:1;", "wrong-token", "status 502 of nginx", "check host, port"),
    ],
)
async def test_an_nginx_that_is_in_the_way_is_named(
    tmp_path: Path, application: Application, location: str, check: str, seen: str, mend: str
) -> None:
    async with chain_of(tmp_path, application.origin, behind_another=True) as chain:
        written = location.replace("{port}", str(chain.gateway_port))
        async with nginx(tmp_path / "nginx", chain.pair, chain.port, written):
            found = await findings(visit(chain))

    assert found[check].grade is Grade.FAULT, found
    assert seen in found[check].seen
    assert mend in found[check].mend
