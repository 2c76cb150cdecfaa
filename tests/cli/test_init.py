"""`scim-gateway init`: what it asks, what it refuses at once, what it writes, and what it shows."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pwd import getpwnam

import pytest
from click.testing import CliRunner, Result

from gateway.cli.init import command
from gateway.rehearsal.application import Application, application_running
from gateway.settings.reading import examine
from tests.doctor.authorities import intermediate, issue, write
from tests.ports import unused_port
from tests.settings.files import write_private
from tests.worlds import PATH, UPSTREAM_TOKEN, sha256

HOST = "scim.example.com"


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with application_running(path=PATH, token=UPSTREAM_TOKEN) as running:
        yield running


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key, for the public host, good for 90 days."""
    return write(tmp_path / "tls-of-the-host", issue(HOST, intermediate(), hosts=(HOST,)), intermediate())


def init(directory: Path, *words: str | Path, typed: str = "") -> Result:
    arguments = ["--directory", str(directory), *map(str, words)]
    return CliRunner().invoke(command, arguments, input=typed, catch_exceptions=False)


def flags(directory: Path, pair: tuple[Path, Path], **changes: str | None) -> list[str]:
    """Everything that must be given with --yes; a change of None leaves a flag out."""
    write_private(directory / "given-secret", UPSTREAM_TOKEN + "\n")
    given: dict[str, str | None] = {
        "public-url": f"https://{HOST}",
        "listen": f"127.0.0.1:{unused_port()}",
        "admin": f"127.0.0.1:{unused_port()}",
        "certificate-file": str(pair[0]),
        "key-file": str(pair[1]),
        "upstream": f"http://127.0.0.1:{unused_port()}{PATH}",
        "upstream-secret-file": str(directory / "given-secret"),
    }
    given.update({name.replace("_", "-"): value for name, value in changes.items()})
    named = [(f"--{name}", value) for name, value in given.items() if value is not None]
    return ["--yes", "--offline", *(word for one in named for word in one)]


def files_in(directory: Path) -> dict[str, int]:
    """Every file and directory with its mode."""
    paths = sorted(directory.rglob("*")) if directory.exists() else []
    return {str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_flags_alone_write_settings_that_pass_check(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    target = tmp_path / "etc"
    ran = init(target, *flags(tmp_path, pair, sources="203.0.113.0/24"), "--json")
    told = json.loads(ran.stdout)
    found = examine(target / "gateway.toml", {})

    assert ran.exit_code == 0, ran.output
    assert found.problems == ()
    assert found.settings is not None
    (credential,) = found.settings.tenants["jira"].credentials
    assert credential.token_sha256 == sha256(told["token"])
    assert told["base_url"] == f"https://{HOST}{PATH}"
    assert told["problems"] == []
    assert files_in(target) == {
        "audit": 0o750, "gateway.toml": 0o640, "secrets": 0o700, "secrets/jira": 0o600, "state": 0o750,
    }  # fmt: skip
    assert (target / "secrets/jira").read_text() == UPSTREAM_TOKEN + "\n"
    assert told["token"] not in (target / "gateway.toml").read_text()


def test_the_page_says_what_to_enter_in_okta_and_what_comes_next(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    shown = init(tmp_path / "etc", *flags(tmp_path, pair)).stdout

    assert f"SCIM connector base URL             https://{HOST}{PATH}" in shown
    assert "Authentication Mode                 HTTP Header" in shown
    assert "Unique identifier field for users   userName" in shown
    assert "Authorization: Bearer               scimgw_" in shown
    assert f"The client calls port 443 of {HOST}: let firewall or balancer forward it to 127.0.0.1:" in shown
    for command_name in ("check", "serve", "doctor", "rehearse --dialect oin"):
        assert f"scim-gateway {command_name}" in shown
    assert UPSTREAM_TOKEN not in shown


@pytest.mark.parametrize(
    ("client", "field", "value"),
    [
        ("entra", "Tenant URL", f"https://{HOST}{PATH}?aadOptscim062020"),
        ("okta-agent", "HTTP header name", "Authorization"),
        ("generic", "SCIM base URL", f"https://{HOST}{PATH}"),
    ],
)
def test_each_client_has_its_own_steps(
    tmp_path: Path, pair: tuple[Path, Path], client: str, field: str, value: str
) -> None:
    told = json.loads(init(tmp_path / "etc", *flags(tmp_path, pair, client=client), "--json").stdout)

    assert told["client"]["fields"][field] == value
    assert any(told["token"] in text for text in told["client"]["fields"].values())


def test_a_trial_makes_its_own_certificate(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    target = tmp_path / "etc"
    words = flags(tmp_path, pair, certificate_file=None, key_file=None)
    ran = init(target, *words, "--development-certificate")

    assert ran.exit_code == 0, ran.output
    assert examine(target / "gateway.toml", {}).errors == ()
    assert files_in(target)["tls/key.pem"] == 0o600
    assert f"--ca-file {target}/tls/ca.pem" in ran.stdout


# What a person types --------------------------------------------------------------------------------


def typed_lines(pair: tuple[Path, Path], port: int, *secret: str) -> list[str]:
    """Answers in the order of the questions, up to the secret."""
    return [
        f"https://{HOST}",
        f"127.0.0.1:{port}",
        str(pair[0]),
        str(pair[1]),
        f"http://127.0.0.1:{unused_port()}{PATH}",
        "okta",
        "",  # the path, as the upstream's
        *secret,
        "",  # sources: from anywhere
        "jira",
        "",
        "",
    ]


def test_a_person_is_asked_and_may_take_the_defaults(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    lines = typed_lines(pair, unused_port(), UPSTREAM_TOKEN)
    ran = init(tmp_path / "etc", "--offline", "--admin", f"127.0.0.1:{unused_port()}", typed="\n".join([*lines, ""]))

    assert ran.exit_code == 0, ran.output
    assert examine(tmp_path / "etc/gateway.toml", {}).errors == ()
    assert UPSTREAM_TOKEN not in ran.output


def test_an_answer_that_cannot_work_is_refused_with_the_reason_and_asked_again(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    good = typed_lines(pair, unused_port(), UPSTREAM_TOKEN)
    wrong = {0: "scim.example.com", 4: "jira-1.internal", 5: "onelogin", 7: "a secret"}
    lines = [
        line for place, answer in enumerate(good) for line in ([wrong[place]] if place in wrong else []) + [answer]
    ]
    ran = init(tmp_path / "etc", "--offline", "--admin", f"127.0.0.1:{unused_port()}", typed="\n".join([*lines, ""]))

    assert ran.exit_code == 0, ran.output
    for reason in (
        "It must be https://host or https://host:port",
        "It must be URLs such as http://jira-1.internal:5501",
        "It must be one of okta, okta-agent, entra, generic",
        "It must be one secret",
    ):
        assert reason in ran.stderr
    assert "a secret" not in ran.output.replace("one secret", "")


def test_an_end_of_input_leaves_nothing_behind(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    lines = typed_lines(pair, unused_port(), UPSTREAM_TOKEN)[:-1]
    ran = init(tmp_path / "etc", "--offline", "--admin", f"127.0.0.1:{unused_port()}", typed="\n".join(lines))

    assert ran.exit_code == 1
    assert not (tmp_path / "etc").exists()


# What is refused ------------------------------------------------------------------------------------


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"public_url": "http://scim.example.com"}, "must be https"),
        ({"public_url": "https://scim_gw.example.com"}, "must have no '_'"),
        ({"public_url": "https://other.example.com"}, "is not for other.example.com"),
        ({"public_url": None}, "--public-url is needed with --yes"),
        ({"certificate_file": "/nonexistent.pem"}, "cannot be read"),
        ({"certificate_file": None, "key_file": None}, "--development-certificate"),
        ({"key_file": "/nonexistent.pem"}, "cannot be read"),
        ({"listen": "8443"}, "must be host:port"),
        ({"upstream": "jira-1.internal:5501"}, "must be URLs such as"),
        ({"upstream": "http://a.internal/x/v2,http://b.internal/y/v2"}, "must have one path"),
        ({"upstream": "http://jira-1.internal:5501"}, "--path is needed"),
        ({"path": "scim/v2"}, "must be a plain path"),
        ({"upstream_secret_file": "/nonexistent"}, "cannot be read"),
        ({"client": "onelogin"}, "must be one of okta"),
        ({"sources": "10.0.0.1/8"}, "10.0.0.0/8 would be the network"),
        ({"sources": "okta:us_cell_1"}, "s3.amazonaws.com/okta-ip-ranges"),
        ({"tenant": "Jira Prod"}, "is no plain name"),
        ({"token_name": "a b"}, "must be made of letters"),
    ],
)
def test_a_flag_that_cannot_work_is_refused_and_nothing_is_written(
    tmp_path: Path, pair: tuple[Path, Path], changes: dict[str, str | None], reason: str
) -> None:
    ran = init(tmp_path / "etc", *flags(tmp_path, pair, **changes))

    assert ran.exit_code == 2, ran.output
    assert reason in " ".join(ran.stderr.split())
    assert not (tmp_path / "etc").exists()


def test_a_port_that_is_taken_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    with taken_port() as port:
        ran = init(tmp_path / "etc", *flags(tmp_path, pair, listen=f"127.0.0.1:{port}"))

    assert ran.exit_code == 2
    assert "another program listens there" in ran.stderr


def test_the_same_port_twice_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    port = unused_port()
    ran = init(tmp_path / "etc", *flags(tmp_path, pair, listen=f"127.0.0.1:{port}", admin=f"127.0.0.1:{port}"))

    assert ran.exit_code == 2
    assert "has the port of --listen" in ran.stderr


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    expired = write(tmp_path, issue(HOST, intermediate(), hosts=(HOST,), ends_days=-1), intermediate())
    ran = init(tmp_path / "etc", *flags(tmp_path, expired))

    assert ran.exit_code == 2
    assert "has expired" in ran.stderr


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    _, other = write(tmp_path / "other", issue(HOST, intermediate(), hosts=(HOST,)))
    ran = init(tmp_path / "etc", *flags(tmp_path, pair, key_file=str(other)))

    assert ran.exit_code == 2
    assert "is not the key of the certificate" in ran.stderr


def test_a_key_that_others_can_read_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    pair[1].chmod(0o644)
    ran = init(tmp_path / "etc", *flags(tmp_path, pair))

    assert ran.exit_code == 2
    assert "chmod 600" in ran.stderr


def test_a_cell_that_the_feed_has_not_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    feed = tmp_path / "ranges.json"
    feed.write_text('{"us_cell_1": {"ip_ranges": ["192.0.2.0/25"]}}')
    wrong = init(tmp_path / "etc", *flags(tmp_path, pair, sources="okta:us_cell_9", feed=str(feed)))
    right = init(tmp_path / "etc", *flags(tmp_path, pair, sources="okta:us_cell_1", feed=str(feed)))

    assert (wrong.exit_code, right.exit_code) == (2, 0), right.output
    assert "has not the cell us_cell_9; it has us_cell_1" in " ".join(wrong.stderr.split())


def test_existing_files_are_never_overwritten(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    target = tmp_path / "etc"
    target.mkdir()
    (target / "gateway.toml").write_text("mine")
    settings = init(target)  # said before anything is asked
    (target / "gateway.toml").unlink()
    (target / "secrets").mkdir()
    (target / "secrets/jira").write_text("mine")
    secret = init(target, *flags(tmp_path, pair))
    (target / "tls").mkdir()
    (target / "tls/ca.pem").write_text("mine")
    trial = flags(tmp_path, pair, certificate_file=None, key_file=None, tenant="other")
    tls = init(target, *trial, "--development-certificate")

    assert (settings.exit_code, secret.exit_code, tls.exit_code) == (1, 2, 1)
    assert "nothing is overwritten" in settings.stderr
    assert "would overwrite" in secret.stderr
    assert "nothing was written" in tls.stderr
    assert [path.read_text() for path in sorted(target.rglob("*")) if path.is_file()] == ["mine", "mine"]


# What the network says ------------------------------------------------------------------------------


def online(words: list[str]) -> list[str]:
    return [word for word in words if word != "--offline"]


def test_a_secret_that_the_application_takes_needs_no_warning(
    tmp_path: Path, pair: tuple[Path, Path], application: Application
) -> None:
    words = flags(tmp_path, pair, upstream=application.url)
    ran = init(tmp_path / "etc", *online(words), "--json")

    assert ran.exit_code == 0, ran.output
    assert [text for text in json.loads(ran.stdout)["warnings"] if HOST not in text] == []


def test_a_secret_that_the_application_refuses_is_refused(
    tmp_path: Path, pair: tuple[Path, Path], application: Application
) -> None:
    words = flags(tmp_path, pair, upstream=application.url)
    write_private(tmp_path / "given-secret", "another-secret-0123456789-0123456789-abcdef")
    ran = init(tmp_path / "etc", *online(words))

    assert ran.exit_code == 2
    assert "refuses the gateway's credential (status 401)" in " ".join(ran.stderr.split())
    assert "another-secret" not in ran.output
    assert not (tmp_path / "etc").exists()


def test_an_application_and_a_name_that_are_not_there_yet_are_warnings(tmp_path: Path) -> None:
    pair = write(tmp_path / "tls", issue("x", intermediate(), hosts=("scim.invalid",)), intermediate())
    words = flags(tmp_path, pair, public_url="https://scim.invalid")
    ran = init(tmp_path / "etc", *online(words), "--json")
    name, upstream = json.loads(ran.stdout)["warnings"]

    assert ran.exit_code == 0, ran.output
    assert "scim.invalid does not resolve yet" in name
    assert "TCP to 127.0.0.1 port" in upstream
    assert "Connection refused" in upstream


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_the_files_to_the_services_user_and_warns_of_a_key_that_it_cannot_read(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    ran = init(tmp_path / "etc", *flags(tmp_path, pair), "--owner", "nobody", "--json")
    owned = {path.stat().st_uid for path in (tmp_path / "etc").rglob("*")}

    assert ran.exit_code == 0, ran.output
    assert owned == {getpwnam("nobody").pw_uid}
    assert [text for text in json.loads(ran.stdout)["warnings"] if "key.pem cannot be read by nobody" in text]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_is_warned_of_a_directory_that_the_service_cannot_enter(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        etc = Path(temporary)
        etc.chmod(0o750)
        words = flags(tmp_path, pair, certificate_file=None, key_file=None)
        ran = init(etc, *words, "--development-certificate", "--owner", "nobody", "--json")

        told = [text for text in json.loads(ran.stdout)["warnings"] if str(etc) in text]
        assert told == [
            f"{etc} cannot be entered by nobody; chmod o+x {etc}, or the gateway cannot read its files there"
        ]


@pytest.mark.skipif(os.geteuid() != 0, reason="others are refused: tests/cli/test_looks.py")
def test_root_is_warned_of_a_port_that_its_service_may_not_have(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    ran = init(tmp_path / "etc", *flags(tmp_path, pair, listen="127.0.0.1:1023"), "--json")

    assert any("CAP_NET_BIND_SERVICE" in text for text in json.loads(ran.stdout)["warnings"])
