from __future__ import annotations

from typing import Any

import pytest

from gateway.settings.differences import (
    CredentialChange,
    Difference,
    KnownCredential,
    credential_changes,
    credentials_of,
    differences,
)
from gateway.settings.models import Settings
from tests import worlds

PLAIN: dict[str, Any] = {
    "path": worlds.PATH,
    "client": "okta",
    "upstream": ["http://jira-1.internal:5501"],
    "upstream_token": worlds.UPSTREAM_TOKEN,
    "credentials": [{"name": "okta-2027", "token_sha256": worlds.sha256(worlds.TOKEN)}],
}
OTHER = worlds.sha256("another token")


def written(**tenant: Any) -> Settings:
    """Settings with one tenant that says what stands here and nothing more."""
    return worlds.settings(tenants={"jira": PLAIN | tenant})


def with_credentials(*credentials: dict[str, Any]) -> tuple[KnownCredential, ...]:
    return credentials_of(written(credentials=credentials))


@pytest.mark.parametrize(
    ("tenant", "found"),
    [
        ({}, ()),
        ({"client": "entra"}, (Difference("tenants.jira.client", "changed", "okta", "entra"),)),
        ({"limits": {"burst": 300}}, (Difference("tenants.jira.limits.burst", "added", None, 300),)),
        (
            {"upstream": ["http://jira-2.internal:5501"]},
            (
                Difference(
                    "tenants.jira.upstream",
                    "changed",
                    ("http://jira-1.internal:5501",),
                    ("http://jira-2.internal:5501",),
                ),
            ),
        ),
        ({"sync_passwords": False}, (Difference("tenants.jira.sync_passwords", "added", None, False),)),
        (
            {"upstream_token": "another secret of the application"},
            (Difference("tenants.jira.upstream_token", "changed", "(a secret)", "(a secret)"),),
        ),
        (
            {"upstream_token_file": "/etc/secrets/jira"},
            (Difference("tenants.jira.upstream_token_file", "added", None, "/etc/secrets/jira"),),
        ),
        ({"credentials": [{"name": "okta-2028", "token_sha256": OTHER}]}, ()),
    ],
)
def test_what_was_written_anew_is_told_by_its_key(tenant: dict[str, Any], found: tuple[Difference, ...]) -> None:
    assert differences(written(), written(**tenant)) == found


def test_what_is_gone_is_told_with_what_it_was() -> None:
    assert differences(written(limits={"burst": 300}), written()) == (
        Difference("tenants.jira.limits.burst", "removed", 300, None),
    )


def test_a_new_tenant_is_told_by_all_that_it_says_and_no_default() -> None:
    both = worlds.settings(tenants={"jira": PLAIN, "wiki": PLAIN | {"path": "/wiki/v2"}})

    assert [found.key for found in differences(written(), both)] == [
        "tenants.wiki.path", "tenants.wiki.client", "tenants.wiki.upstream", "tenants.wiki.upstream_token"
    ]  # fmt: skip


def test_no_secret_is_ever_shown() -> None:
    secrets = ("old secret of the application 1", "new secret of the application 2")
    found = differences(written(upstream_token=secrets[0]), written(upstream_token=secrets[1]))
    found += differences(
        written(upstream_token=None, upstream_username="u", upstream_password=secrets[0]),
        written(upstream_token=secrets[1]),
    )

    assert not any(secret in repr(found) for secret in secrets)


TOKEN = {"name": "a", "token_sha256": worlds.sha256("1")}
BASIC = {"name": "a", "username": "okta", "password_sha256": worlds.sha256("1")}
ENDS = {"expires": "2027-11-23T01:00:00+01:00"}


@pytest.mark.parametrize(
    ("old", "new", "kind", "changed"),
    [
        ((), (TOKEN,), "added", ()),
        ((TOKEN,), (), "removed", ()),
        ((TOKEN,), (TOKEN | {"token_sha256": OTHER},), "changed", ("secret",)),
        ((TOKEN,), (TOKEN | ENDS,), "changed", ("expires",)),
        ((TOKEN | ENDS,), (BASIC,), "changed", ("secret", "expires")),
        ((BASIC,), (BASIC | {"username": "entra"},), "changed", ("secret",)),
    ],
)
def test_a_credential_that_came_went_or_changed_is_told(
    old: tuple[dict[str, Any], ...], new: tuple[dict[str, Any], ...], kind: str, changed: tuple[str, ...]
) -> None:
    (change,) = credential_changes(with_credentials(*old), with_credentials(*new))

    assert (change.kind, change.credential.tenant, change.credential.name) == (kind, "jira", "a")
    assert change.changed == changed


def test_a_credential_under_another_name_came_and_the_old_one_went() -> None:
    old, new = with_credentials(TOKEN), with_credentials(TOKEN | {"name": "b"})

    assert credential_changes(old, new) == (CredentialChange("removed", old[0]), CredentialChange("added", new[0]))


def test_the_same_credentials_in_another_order_are_no_change() -> None:
    other = TOKEN | {"name": "b", "token_sha256": OTHER}

    assert credential_changes(with_credentials(TOKEN, other), with_credentials(other, TOKEN)) == ()


def test_a_credential_is_remembered_by_its_end_in_utc_and_by_no_secret() -> None:
    (known,) = with_credentials(BASIC | ENDS)

    assert (known.form, known.expires) == ("basic", "2027-11-23T00:00:00Z")
    assert BASIC["password_sha256"] not in repr(known)
