"""Mending: one look finds every malformed value, and what stands in for one is never reported itself."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.mending import Raw, draft
from gateway.settings.models import GatewaySection, ListenSection, Settings, Tenant

HERE = Path("/etc/scim-gateway")

KNOWN = [name for model in (Settings, GatewaySection, ListenSection, Tenant) for name in model.model_fields]
NAMES = st.sampled_from([*KNOWN, "jira", "guard", "[key]", "a.b", ""])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("/scim/v2")
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))


def good() -> Raw:
    return {
        "gateway": {"public_url": "https://scim.example.com"},
        "listen": {"certificate_file": "c.pem", "key_file": "k.pem"},
        "tenants": {"jira": {"path": "/scim/a/v2", "upstream": ["http://jira.internal:5501"]}},
    }


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_whatever_is_written_is_judged_and_never_breaks_the_judge(raw: Raw) -> None:
    found = draft(raw, HERE)

    assert found.settings is not None
    assert found.problems or not found.mended


def test_good_settings_are_not_mended() -> None:
    found = draft(good(), HERE)

    assert found.settings is not None
    assert (found.problems, found.mended) == ((), frozenset())
    assert found.settings.listen.key_file == HERE / "k.pem"


def test_a_misspelt_key_is_one_mistake_and_its_value_is_judged_as_the_meant_one() -> None:
    raw = good()
    raw["listen"] = {"certificat_file": "c.pem", "key_file": "k.pem", "max_fieldz": 1}
    found = draft(raw, HERE)

    assert {problem.key: problem.text for problem in found.problems} == {
        "listen.certificat_file": "unknown key; did you mean certificate_file?",
        "listen.max_fieldz": "unknown key; did you mean max_fields?",
        "listen.max_fields": "must be greater than or equal to 16",
    }
    assert found.settings is not None
    assert found.settings.listen.certificate_file == HERE / "c.pem"


def test_a_malformed_credential_keeps_the_numbers_of_those_behind_it() -> None:
    raw = good()
    raw["tenants"] = {
        "jira": {
            "path": "/scim/a/v2",
            "upstream": ["http://jira.internal:5501"],
            "credentials": ["no section", {"name": "two secrets", "token_sha256": "0" * 64}],
        }
    }

    assert [problem.key for problem in draft(raw, HERE).problems] == [
        "tenants.jira.credentials.0",
        "tenants.jira.credentials.1.name",
    ]


def test_a_section_that_is_no_section_is_said_so() -> None:
    raw = good()
    raw["listen"] = raw["tenants"] = 5

    assert [(problem.key, problem.text) for problem in draft(raw, HERE).problems] == [
        ("listen", "must be a section: [listen]"),
        ("tenants", "must be a section: [tenants]"),
    ]
