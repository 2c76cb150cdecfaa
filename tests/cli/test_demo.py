"""`scim-gateway demo`, but for the gateway itself: its ports, its directory, its settings and what it shows."""

from __future__ import annotations

import json
import socket
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli.demo import Demo, as_json_line, choose_ports, command, page_of, settings_text
from gateway.rehearsal.application import Application
from gateway.rehearsal.certificates import DevelopmentCertificates
from gateway.settings.models import Settings

TOKEN = "scimgw_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG_000000"


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    directory = tmp_path / "a demo"
    tls = directory / "tls"
    return Demo(
        directory=directory,
        port=8443,
        admin_port=9443,
        token=TOKEN,
        certificates=DevelopmentCertificates(tls / "ca.pem", tls / "certificate.pem", tls / "key.pem"),
        application=Application("http://127.0.0.1:40001/scim/demotenant01/v2", 40001, "inside-secret"),
    )


def test_ports_of_0_become_two_free_ones() -> None:
    port, admin_port = choose_ports(0, 0)

    assert 0 < port != admin_port > 0


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
def test_a_taken_port_is_an_error_that_names_the_way_out(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = (port, 0) if option == "--port" else (0, port)
        with pytest.raises(click.ClickException, match=f"port {port} cannot be used .* or {option} 0 for any free one"):
            choose_ports(*ports)


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("mine")
    result = CliRunner().invoke(command, ["--port", "0", "--admin-port", "0", "--directory", str(tmp_path)])

    assert result.exit_code == 1
    assert "is not empty" in result.stderr
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]


def test_the_settings_are_valid_and_hold_neither_secret(demo: Demo) -> None:
    text = settings_text(demo)
    settings = Settings.model_validate(tomllib.loads(text))

    assert settings.gateway.public_url + settings.tenants["demo"].path == demo.base_url
    assert TOKEN not in text
    assert "inside-secret" not in text


def test_the_page_says_what_to_enter_and_what_to_paste(demo: Demo) -> None:
    page = page_of(demo, is_temporary=True)

    for shown in (demo.base_url, "userName", "HTTP Header", TOKEN, demo.admin_url, "Ctrl-C", "removed when"):
        assert shown in page
    assert f"--cacert '{demo.certificates.ca_file}'" in page  # quoted, for the directory's name has a space
    assert "rehearse --dialect oin" in page


def test_json_has_the_names_other_tools_rely_on(demo: Demo) -> None:
    names = {"base_url", "token", "ca_file", "admin_url", "application_url", "application_token"}

    assert set(json.loads(json.dumps(as_json_line(demo)))) == names


def test_a_demo_does_not_show_its_secrets_by_accident(demo: Demo) -> None:
    assert TOKEN not in repr(demo)
    assert "inside-secret" not in repr(demo)
