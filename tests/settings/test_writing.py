"""The settings file that `init` writes: everything that was decided stands in it, and it is read back as that."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.settings.models import Client, Settings
from gateway.settings.rules import judge
from gateway.settings.writing import Plan, settings_text
from tests.worlds import PATH, TOKEN, sha256

PLAN = Plan(
    public_url="https://scim.example.com",
    listen="0.0.0.0:8443",
    certificate_file="/etc/tls/fullchain.pem",
    key_file="/etc/tls/key.pem",
    admin="127.0.0.1:9443",
    state_directory="/var/lib/scim-gateway",
    audit_directory="/var/log/scim-gateway/audit",
    tenant="jira",
    path=PATH,
    client=Client.OKTA,
    upstream=("http://jira-1.internal:5501", "http://jira-2.internal:5501"),
    upstream_path=None,
    upstream_token_file="secrets/jira",
    sources=("okta:us_cell_1", "203.0.113.0/24"),
    feeds={"okta": "okta-ip-ranges.json"},
    credential_name="okta-2027-01",
    token_sha256=sha256(TOKEN),
    expires=datetime(2028, 1, 15, tzinfo=UTC),
)


def read(plan: Plan) -> Settings:
    return Settings.model_validate(tomllib.loads(settings_text(plan)))


def test_what_was_decided_is_read_back() -> None:
    settings = read(PLAN)
    tenant = settings.tenants["jira"]

    assert settings.gateway.public_url == PLAN.public_url
    assert (settings.listen.address, settings.admin.address) == (PLAN.listen, PLAN.admin)
    assert (str(settings.listen.certificate_file), str(settings.listen.key_file)) == (
        "/etc/tls/fullchain.pem",
        "/etc/tls/key.pem",
    )
    assert str(settings.gateway.state_directory) == PLAN.state_directory
    assert str(settings.audit.directory) == PLAN.audit_directory
    assert (tenant.path, tenant.client, tenant.upstream) == (PATH, Client.OKTA, PLAN.upstream)
    assert tenant.upstream_path is None
    assert tenant.sources == PLAN.sources
    assert str(settings.sources["okta"].file) == "okta-ip-ranges.json"
    (credential,) = tenant.credentials
    assert (credential.name, credential.token_sha256) == ("okta-2027-01", sha256(TOKEN))
    assert credential.expires == PLAN.expires
    assert judge(settings) == []


def test_what_is_the_default_anyway_is_what_the_models_say() -> None:
    guard = read(PLAN).tenants["jira"].guard

    assert guard == type(guard)()


@pytest.mark.parametrize("client", list(Client))
def test_each_client_is_written(client: Client) -> None:
    assert read(replace(PLAN, client=client)).tenants["jira"].client is client


def test_another_path_inside_is_written_and_the_same_is_not() -> None:
    assert read(replace(PLAN, upstream_path="/other/v2")).tenants["jira"].upstream_path == "/other/v2"
    assert "upstream_path" not in settings_text(replace(PLAN, upstream_path=PATH))


def test_from_anywhere_needs_no_feed() -> None:
    settings = read(replace(PLAN, sources=(), feeds={}))

    assert settings.tenants["jira"].sources == ()
    assert dict(settings.sources) == {}


def test_a_trial_is_not_held_up_by_an_almost_empty_directory() -> None:
    assert read(replace(PLAN, is_trial=True)).tenants["jira"].guard.directory_size == 1000


def test_a_file_with_quotes_in_its_name_stays_one_string() -> None:
    odd = 'a "b" \\c é\n[tenants.other]'

    assert str(read(replace(PLAN, key_file=odd)).listen.key_file) == odd
