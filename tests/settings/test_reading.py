"""Reading settings: every mistake at once, each with its key, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.settings.reading import SettingsInvalid, examine, read_settings
from tests.settings.files import GOOD, replaced, spoil, write_good
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN, sha256


def test_good_settings_have_no_error_and_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    found = examine(write_good(tmp_path), {})

    assert found.errors == ()
    assert found.settings is not None
    assert found.settings.listen.key_file == tmp_path / "tls/key.pem"
    secret = found.settings.tenants["jira"].upstream_token
    assert secret is not None
    assert secret.get_secret_value() == UPSTREAM_TOKEN


TEN_MISTAKES = replaced(
    ('public_url = "https://scim.example.com"', 'public_url = "http://scim_gateway.example.com"'),
    ('address = "127.0.0.1:8443"', 'address = "8443"\ncertifcate_file = "x"'),
    ('key_file = "tls/key.pem"', 'key_file = "tls/missing.pem"\nmax_connections = 0'),
    (f'path = "{PATH}"', 'path = "/scim/../v2/"'),
    ('client = "okta"', 'client = "otka"'),
    ('"http://jira-1.internal:5501"', '"jira-1.internal:5501"'),
    ('upstream_token_file = "jira-secret"', 'upstream_token_file = "no-secret"'),
    ('"203.0.113.0/24"', '"203.0.113.1/24"'),
    (f'token_sha256 = "{sha256(TOKEN)}"', 'token_sha256 = "9f86"'),
)


def test_ten_mistakes_give_ten_lines(tmp_path: Path) -> None:
    found = examine(write_good(tmp_path, TEN_MISTAKES), {})

    assert sorted(problem.key for problem in found.errors) == [
        "gateway.public_url",
        "listen.address",
        "listen.certifcate_file",
        "listen.key_file",
        "listen.max_connections",
        "tenants.jira.client",
        "tenants.jira.credentials.0.token_sha256",
        "tenants.jira.path",
        "tenants.jira.sources.1",
        "tenants.jira.upstream.0",
        "tenants.jira.upstream_token_file",
    ]
    assert found.settings is None


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("[listen]", "[listn]", "listn", "did you mean listen?"),
        ("address =", "adress =", "listen.adress", "did you mean address?"),
        (
            "[tenants.jira]",
            "[tenants.jira.limit]\nburst = 3\n[tenants.jira]",
            "tenants.jira.limit",
            "did you mean limits?",
        ),
        (
            "[audit]",
            '[tenants.jira.guard]\nmode = "hodl"\n[audit]',
            "tenants.jira.guard.mode",
            "'hold', 'observe' or 'off'",
        ),
        ("[audit]", "[audit]\nmax_segment_mib = 1025", "audit.max_segment_mib", "less than or equal to 1024"),
        ("[audit]", "[tenants.jira.guard]\nshare = 20\n[audit]", "tenants.jira.guard.share", "less than or equal to 1"),
        (
            "[audit]",
            "[tenants.jira.guard]\npeople = 0\n[audit]",
            "tenants.jira.guard.people",
            "greater than or equal to 1",
        ),
        ("[audit]", "[tenants.jira.guard]\nwindow = 60\n[audit]", "tenants.jira.guard.window", "window_seconds"),
        ("[audit]", "[tenants.jira.tunnel]\nport = 1\n[audit]", "tenants.jira.tunnel", "has no tunnel"),
        ("[audit]", '[alerts]\nwebhook_url = "pager.example.com"\n[audit]', "alerts.webhook_url", "http://host/path"),
        ("[audit]", '[alerts]\nwebhook_url = "https://u:p@h/x"\n[audit]', "alerts.webhook_url", "without a user"),
        ('"https://scim.', '"http://scim.', "gateway.public_url", "https"),
        ('"https://scim.', '"https://scim_.', "gateway.public_url", "Okta refuses"),
        ('5501"]', '5501", "http://jira-1.internal:5501"]', "tenants.jira.upstream.1", "name each node once"),
        ('"okta:us_cell_1"', '"azure:x"', "tenants.jira.sources.0", "not defined"),
        ('"okta:us_cell_1"', '"okta:us_cell_9"', "tenants.jira.sources.0", "us_cell_1"),
        ('name = "okta-2027"', "", "tenants.jira.credentials.0.name", "missing"),
    ],
)
def test_a_mistake_says_what_would_be_right(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    found = examine(spoil(tmp_path, (old, new)), {})

    assert any(problem.key == key and says in problem.text for problem in found.errors), found.errors


def test_overlapping_tenant_paths_are_refused(tmp_path: Path) -> None:
    second = (
        GOOD[GOOD.index("[tenants.jira]") : GOOD.index("[sources.okta]")]
        .replace("jira", "wiki")
        .replace(PATH, PATH + "/more")
    )
    found = examine(
        write_good(tmp_path, GOOD + second.replace("wiki-secret", "jira-secret").replace("okta-2027", "o")), {}
    )

    assert any(problem.key == "tenants.wiki.path" and "overlaps" in problem.text for problem in found.errors)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"[gateway\n", "line 1"), (b"\xff\xfe", "UTF-8"), (b"", "missing"), (b"a = 1\na = 2\n", "TOML")],
)
def test_a_file_that_is_no_settings_file_says_where(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(content)

    assert any(says in problem.text for problem in examine(file, {}).errors)


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    (problem,) = examine(tmp_path / "none.toml", {}).errors

    assert "--config" in problem.text


def test_the_environment_wins_over_credentials_and_these_over_the_file(tmp_path: Path) -> None:
    file = write_good(tmp_path)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "tenants__jira__client").write_text("entra\n")
    (credentials / "tenants__jira__limits__burst").write_text("7")
    (credentials / "unrelated").write_text("x")
    environ = {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "SCIM_GATEWAY__TENANTS__JIRA__CLIENT": "generic",
        "SCIM_GATEWAY__TENANTS__JIRA__SOURCES": '["198.51.100.0/24"]',
        "SCIM_GATEWAY__TENANTS__JIRA__CREDENTIALS__0__NAME": "renamed",
        "SCIM_GATEWAY_CONFIG": "elsewhere",
    }
    tenant = read_settings(file, environ).tenants["jira"]

    assert tenant.client.value == "generic"
    assert tenant.limits.burst == 7
    assert tenant.sources == ("198.51.100.0/24",)
    assert tenant.credentials[0].name == "renamed"


def test_a_variable_with_a_typing_error_is_a_problem_too(tmp_path: Path) -> None:
    found = examine(
        write_good(tmp_path), {"SCIM_GATEWAY__LISTEN__ADRESS": "x", "SCIM_GATEWAY__LISTEN__ADDRESS__X": "y"}
    )

    assert any("listen.address.x" in problem.key or "listen.adress" in problem.key for problem in found.errors)


def test_an_ended_credential_is_an_error_of_check_and_keeps_no_gateway_from_starting(tmp_path: Path) -> None:
    ended = ('name = "okta-2027"', 'name = "okta-2027"\nexpires = 2020-01-01T00:00:00Z')
    file = spoil(tmp_path, ended)

    assert any(problem.key.endswith("expires") for problem in examine(file, {}).errors)
    assert read_settings(file, {}).tenants["jira"].credentials[0].name == "okta-2027"


def test_no_problem_quotes_a_secret(tmp_path: Path) -> None:
    file = spoil(
        tmp_path,
        ('upstream_token_file = "jira-secret"', f'upstream_token = ["{UPSTREAM_TOKEN}"]'),
        (f'token_sha256 = "{sha256(TOKEN)}"', f'token_sha256 = "{TOKEN}"'),
        ('"http://jira-1.internal:5501"', f'"http://user:{UPSTREAM_TOKEN}@jira-1.internal:5501"'),
    )
    found = examine(file, {"SCIM_GATEWAY__LISTEN__MAX_CONNECTIONS": TOKEN})
    text = repr(found.problems) + repr(SettingsInvalid(found.errors))

    assert len(found.errors) >= 4
    assert TOKEN not in text
    assert UPSTREAM_TOKEN not in text


def test_settings_never_show_their_secrets(tmp_path: Path) -> None:
    settings = read_settings(write_good(tmp_path), {})

    assert UPSTREAM_TOKEN not in repr(settings)
    assert UPSTREAM_TOKEN not in settings.model_dump_json()


def test_what_stands_in_for_a_mistake_is_never_reported_itself(tmp_path: Path) -> None:
    second = GOOD[GOOD.index("[tenants.jira]") : GOOD.index("[sources.okta]")].replace("tenants.jira", "tenants.wiki")
    text = (GOOD + second.replace(sha256(TOKEN), sha256("another"))).replace(f'"{PATH}"', '"no path"')
    text = text.replace('"tls/key.pem"', "5").replace('"https://scim.example.com"', '"https://scim_.example.com"')
    found = examine(write_good(tmp_path, text), {})

    assert sorted(problem.key for problem in found.errors) == [
        "gateway.public_url",
        "listen.key_file",
        "tenants.jira.path",
        "tenants.wiki.path",
    ]


def test_a_credential_that_ends_soon_is_worth_a_word(tmp_path: Path) -> None:
    file = spoil(tmp_path, ('name = "okta-2027"', 'name = "okta-2027"\nexpires = 2030-01-20T00:00:00Z'))

    def warnings(day: datetime) -> list[str]:
        return [p.text for p in examine(file, {}, day.timestamp()).problems if p.key.endswith(".expires")]

    assert warnings(datetime(2030, 1, 1, tzinfo=UTC)) == [
        "okta-2027 ends on 2030-01-20; `scim-gateway token rotate --tenant jira --name okta-2027` makes its successor"
    ]
    assert warnings(datetime(2029, 12, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("LIMITS__BURST", "many", "must be a whole number"), ("SYNC_PASSWORDS", "maybe", "must be true or false")],
)
def test_a_value_out_of_the_environment_is_said_to_be_one(tmp_path: Path, key: str, value: str, says: str) -> None:
    name = f"SCIM_GATEWAY__TENANTS__JIRA__{key}"

    assert f"{says} (set by {name})" in [p.text for p in examine(write_good(tmp_path), {name: value}).problems]
