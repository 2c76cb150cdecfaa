"""The systems under measurement, each doing the same: TLS, one bearer token, a limit never reached, a line a request.

All stand in front of one upstream, with one certificate, on one core, with one worker.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.rehearsal.certificates import DevelopmentCertificates, make_development_certificates
from tests.bench.processes import OTHER_CORE, SYSTEM_CORE, lives, running
from tests.bench.programs import Programs
from tests.ports import unused_port

PEERS = Path(__file__).parent / "peers"
PATH = "/scim/zbs848185728/v2"
TOKEN = "scimgw_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG_000000"
UPSTREAM_TOKEN = "inside-secret-of-the-application-0123456789"
START_SECONDS = 20.0

PATCH = json.dumps(
    {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        # Nobody loses access by it: ten thousand deactivations would be a wave, and held.
        "Operations": [{"op": "replace", "value": {"active": True}}],
    }
)

GATEWAY = """
[gateway]
public_url = "https://127.0.0.1:{port}"
state_directory = "{directory}/state"
drain_seconds = 2
[listen]
address = "127.0.0.1:{port}"
certificate_file = "{certificate}"
key_file = "{key}"
max_connections = 4000
[admin]
address = "127.0.0.1:{admin_port}"
[audit]
directory = "{directory}/audit"
[tenants.jira]
path = "{path}"
client = "okta"
upstream = ["http://127.0.0.1:{upstream_port}"]
upstream_token_file = "{directory}/upstream-token"
sources = ["127.0.0.0/8"]
[[tenants.jira.credentials]]
name = "okta-2027"
token_sha256 = "{token_sha256}"
[tenants.jira.limits]
requests_per_second = 100000
burst = 1000000
concurrent = 2000
"""


class SystemFailed(Exception):
    """A system did not start, or does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all systems share."""

    directory: Path  # on a disk: an audit log in memory would cost nothing
    programs: Programs
    certificates: DevelopmentCertificates
    upstream_port: int


@dataclass(frozen=True, slots=True)
class System:
    """One that runs: whom to watch, and where to call."""

    name: str
    pid: int
    port: int
    ca_file: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


def user_json(upstream_port: int) -> str:
    """A user of about 720 bytes, as nginx is to answer it: $id and $collection are its variables."""
    place = f"http://127.0.0.1:{upstream_port}$collection/$id"
    user = {
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "id": "$id",
        "externalId": "00u1a2b3c4D5e6F7g8h9",
        "userName": "user.$id@example.com",
        "name": {"formatted": "Astrid Lindqvist", "familyName": "Lindqvist", "givenName": "Astrid"},
        "displayName": "Astrid Lindqvist",
        "emails": [{"value": "user.$id@example.com", "type": "work", "primary": True}],
        "active": True,
        "groups": [{"value": "17", "display": "jira-software-users"}, {"value": "42", "display": "norway"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Operations"},
        "meta": {"resourceType": "User", "created": "2026-03-01T08:00:00Z", "location": place},
    }
    return json.dumps(user, separators=(",", ":"))


@contextmanager
def bench(directory: Path, programs: Programs) -> Iterator[Bench]:
    """The upstream and the certificate that all systems share, until the block ends."""
    certificates = make_development_certificates(directory / "tls", ("127.0.0.1", "localhost"))
    port = unused_port()
    here = _empty(directory / "upstream")
    words = {"directory": str(here), "upstream_port": str(port), "path": PATH, "upstream_token": UPSTREAM_TOKEN}
    file = here / "nginx.conf"
    file.write_text(_filled((PEERS / "upstream.conf").read_text(), words | {"user": user_json(port)}))
    with running(
        (*programs.nginx, "-p", str(here), "-e", str(here / "error.log"), "-c", str(file)),
        core=OTHER_CORE,
        output=here / "output",
    ):
        yield Bench(directory, programs, certificates, port)


@contextmanager
def started(name: str, shared: Bench) -> Iterator[System]:
    """A system that answers, until the block ends; what it wrote is removed then.

    Raises:
        SystemFailed: with the end of what it said.
    """
    here, port = _empty(shared.directory / name), unused_port()
    words = _words(here, port, shared)
    command, environment = COMMANDS[name](here, words, shared.programs)
    output = here / "output"
    with running(command, core=SYSTEM_CORE, output=output, environment=environment) as pid:
        system = System(name, pid, port, shared.certificates.ca_file)
        try:
            _wait_for(system)
        except SystemFailed as error:
            raise SystemFailed(f"{error}\n{output.read_text(errors='replace')[-3000:]}") from error
        yield system
    shutil.rmtree(here)  # kept after a failure, to be looked at


def _words(here: Path, port: int, shared: Bench) -> dict[str, str]:
    """What the placeholders of a configuration file stand for."""
    pem = here / "both.pem"
    pem.touch(mode=0o600)
    pem.write_text(shared.certificates.certificate_file.read_text() + shared.certificates.key_file.read_text())
    return {
        "directory": str(here),
        "port": str(port),
        "admin_port": str(unused_port()),
        "upstream_port": str(shared.upstream_port),
        "path": PATH,
        "certificate": str(shared.certificates.certificate_file),
        "key": str(shared.certificates.key_file),
        "pem": str(pem),
        "token": TOKEN,
        "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "upstream_token": UPSTREAM_TOKEN,
    }


Command = tuple[tuple[str, ...], dict[str, str]]  # words, environment


def _gateway(here: Path, words: Mapping[str, str], _: Programs, module: str = "gateway") -> Command:
    secret = here / "upstream-token"
    secret.touch(mode=0o600)
    secret.write_text(UPSTREAM_TOKEN)
    (here / "gateway.toml").write_text(_filled(GATEWAY, words))
    command = (sys.executable, "-m", module, "serve", "--config", str(here / "gateway.toml"), "--log-level", "info")
    return command, _environment()


def _unrecorded(here: Path, words: Mapping[str, str], programs: Programs) -> Command:
    return _gateway(here, words, programs, "tests.bench.unrecorded")


def _haproxy(here: Path, words: Mapping[str, str], programs: Programs) -> Command:
    file = _configured(here, "haproxy.cfg", words)
    return (*programs.haproxy, "-db", "-f", str(file)), _environment()


def _nginx(here: Path, words: Mapping[str, str], programs: Programs) -> Command:
    file = _configured(here, "nginx.conf", words)
    return (*programs.nginx, "-p", str(here), "-e", str(here / "error.log"), "-c", str(file)), _environment()


def _caddy(here: Path, words: Mapping[str, str], programs: Programs) -> Command:
    file = _configured(here, "Caddyfile", words)
    command = (*programs.caddy, "run", "--adapter", "caddyfile", "--config", str(file))
    return command, _environment() | {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(here), "XDG_CONFIG_HOME": str(here)}


COMMANDS: dict[str, Callable[[Path, Mapping[str, str], Programs], Command]] = {
    "gateway": _gateway,
    "unrecorded": _unrecorded,
    "haproxy": _haproxy,
    "nginx": _nginx,
    "caddy": _caddy,
}


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SCIM_GATEWAY")}


def _configured(here: Path, name: str, words: Mapping[str, str]) -> Path:
    file = here / name
    file.touch(mode=0o600)
    file.write_text(_filled((PEERS / name).read_text(), words))
    return file


def _filled(template: str, words: Mapping[str, str]) -> str:
    """Only the names given: these files are full of other braces."""
    for name, value in words.items():
        template = template.replace("{" + name + "}", value)
    return template


def _empty(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _wait_for(system: System) -> None:
    """Until it answers; then it must answer as it should."""
    until = time.monotonic() + START_SECONDS
    while (problem := _no_answer(system)) is not None:
        if time.monotonic() > until or not lives(system.pid):
            raise SystemFailed(f"{system.name} does not answer: {problem}")
        time.sleep(0.05)
    for method, token, expected in (("GET", TOKEN, 200), ("PATCH", TOKEN, 200), ("GET", "guess", 401)):
        status, answer = ask(system, method, token=token)
        if status != expected or (status == 200 and '"userName"' not in answer):
            raise SystemFailed(f"{system.name} answered a {method} with {status}, not {expected}: {answer[:300]}")


def _no_answer(system: System) -> OSError | None:
    try:
        ask(system, "GET")
    except OSError as error:
        return error
    return None


def ask(system: System, method: str, *, token: str = TOKEN) -> tuple[int, str]:
    """One request on a connection of its own: status and body."""
    trusting = ssl.create_default_context(cafile=system.ca_file)
    connection = http.client.HTTPSConnection("127.0.0.1", system.port, timeout=10, context=trusting)
    fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    try:
        connection.request(method, f"{PATH}/Users/000001", PATCH if method == "PATCH" else None, fields)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
