"""compose.yaml: by the specification's schema, by our own rules, and with the files that it names."""

from __future__ import annotations

import importlib.resources
import json
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import validator_for

from deploy.compose import prepare
from gateway.settings.reading import examine
from gateway.settings.tokens import checksum_fits
from tests.deploy import composed, servers

COMPOSE = composed.read()
SERVICES = composed.services()
ONE_SHOT = ("prepare", "rehearse")
LASTING = [name for name in SERVICES if name not in ONE_SHOT]
MOUNTS = [(name, mount) for name, service in SERVICES.items() for mount in service["volumes"]]
BOUND = [(name, mount) for name, mount in MOUNTS if mount["type"] == "bind"]


def test_it_is_as_the_compose_specification_says() -> None:
    schemas = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "compose-spec.json").read_text("utf-8"))

    assert [error.message for error in validator_for(schema)(schema).iter_errors(COMPOSE)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cap_add", "devices", "pid", "ipc", "privileged", "userns_mode"} & set(service) == set()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_a_user_with_a_number_who_is_not_root(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:  # the image has one: test_container.py
        assert "user" not in service
    else:
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])


@pytest.mark.parametrize("name", LASTING)
def test_a_service_that_lasts_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] == "CMD"  # without a shell
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "build" not in service])
def test_an_image_of_others_has_its_version(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "build" in service])
def test_what_is_built_is_a_stage_of_the_containerfile(name: str) -> None:
    build = SERVICES[name]["build"]
    context = composed.DIRECTORY / build["context"]

    assert f"AS {build['target']}\n" in (context / build["dockerfile"]).read_text("utf-8")


@pytest.mark.parametrize(("name", "mount"), BOUND)
def test_what_is_mounted_from_the_host_is_there_and_stays_as_it_is(name: str, mount: dict[str, Any]) -> None:
    assert (composed.DIRECTORY / mount["source"]).exists(), name
    assert mount["read_only"] is True
    assert mount["bind"] == {"create_host_path": False}  # a slip is an error, not an empty directory


def test_every_volume_is_declared_and_used() -> None:
    assert {mount["source"] for _, mount in MOUNTS if mount["type"] == "volume"} == set(COMPOSE["volumes"])


def test_ports_are_published_on_loopback_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert len(published) == 4
    assert [port for port in published if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


def test_nobody_but_the_gateway_reaches_the_application() -> None:
    inside = [name for name, service in SERVICES.items() if "inside" in service.get("networks", ())]

    assert sorted(inside) == ["application", "gateway"]
    assert SERVICES["application"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_a_stop_waits_for_requests_under_way() -> None:
    drain_seconds = composed.settings()["gateway"].get("drain_seconds", 55)

    assert int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s")) > drain_seconds


def test_the_gateways_settings_are_good_with_what_is_prepared(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    prepare.prepare(made)
    text = (composed.DIRECTORY / "gateway.toml").read_text("utf-8")
    for place, stand_in in (("run", made), ("var/lib", tmp_path / "state"), ("var/log", tmp_path / "log")):
        text = text.replace(f"/{place}/scim-gateway", str(stand_in))
    file = tmp_path / "gateway.toml"
    file.write_text(text)

    assert examine(file).errors == ()  # warnings: a certificate for a month, with its root


def test_services_meet_where_they_look_for_one_another(tmp_path: Path) -> None:
    settings, prometheus = composed.settings(), (composed.DIRECTORY / "prometheus.yml").read_text("utf-8")
    words = SERVICES["application"]["command"]
    made = prepare.prepare(tmp_path)

    assert settings["tenants"]["demo"]["upstream"] == [f"http://{words[1]}:{words[3]}"]
    assert f"gateway:{settings['metrics']['address'].rpartition(':')[2]}" in prometheus
    assert SERVICES["gateway"]["ports"] == [f"127.0.0.1:8443:{settings['listen']['address'].rpartition(':')[2]}"]
    assert settings["gateway"]["public_url"] + settings["tenants"]["demo"]["path"] == prepare.BASE_URL
    assert f"--url={prepare.BASE_URL}" in SERVICES["rehearse"]["entrypoint"]
    assert settings["admin"]["address"] in SERVICES["gateway"]["healthcheck"]["test"][-1]
    assert checksum_fits(made)


def test_promtool_takes_the_configuration_of_prometheus(tmp_path: Path) -> None:
    for mount in SERVICES["prometheus"]["volumes"]:
        if mount["type"] == "bind":
            shutil.copy(composed.DIRECTORY / mount["source"], tmp_path / Path(mount["target"]).name)

    assert "SUCCESS: 1 rule files found" in servers.run("promtool", "check", "config", str(tmp_path / "prometheus.yml"))


def test_what_is_prepared_is_private_and_secrets_are_kept(tmp_path: Path) -> None:
    token = prepare.prepare(tmp_path)
    secret = (tmp_path / "application-token").read_text()

    assert prepare.prepare(tmp_path) == token
    assert (tmp_path / "application-token").read_text() == secret
    for name in ("client-token", "application-token", "tls/key.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
