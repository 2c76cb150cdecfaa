"""Which credentials there are when the settings and what was made at run time speak of the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.state.credentials import Book, added, revoked, rotated, standings
from tests.state.credentials.books import DAY, EMPTY, OLD, end, tenants, wish
from tests.worlds import NOW, sha256

TENANTS = tenants()


def shown(book: Book, **jira: object) -> list[tuple[str, str, str]]:
    return [(one.tenant, one.name, one.state(NOW)) for one in standings(book, tenants(**jira))]


def test_without_anything_made_there_is_what_the_settings_say() -> None:
    assert shown(EMPTY) == [
        ("jira", "okta-2026-11", "valid"),
        ("jira", "basic", "valid"),
        ("confluence", "for-ever", "valid"),
    ]
    assert [one.ends_at for one in standings(EMPTY, TENANTS)] == [NOW + 365 * DAY, None, None]


def test_a_name_belongs_to_the_settings_and_both_secrets_open() -> None:
    book = added(EMPTY, TENANTS, wish("new"))
    same_name = [{"name": "new", "token_sha256": sha256("another")}]

    assert shown(book, credentials=same_name) == [
        ("jira", "new", "valid"),
        ("confluence", "for-ever", "valid"),
        ("jira", "new~made", "valid"),
    ]


def test_one_called_apart_can_still_be_ended_by_that_name() -> None:
    book = added(EMPTY, TENANTS, wish("new"))
    here = tenants(credentials=[{"name": "new", "token_sha256": sha256("another")}])
    after = revoked(book, here, end("new~made"), even_the_last=False)

    assert [one.state(NOW) for one in standings(after, here)] == ["valid", "valid", "revoked"]


def test_of_a_secret_that_stands_in_the_settings_too_the_settings_count() -> None:
    book = added(EMPTY, TENANTS, wish("new"))
    pasted = {"name": "pasted", "token_sha256": sha256("token new"), "expires": datetime.fromtimestamp(NOW + 1, UTC)}
    only, _ = standings(book, tenants(credentials=[pasted]))

    assert (only.name, only.expires_at, only.is_in_settings) == ("pasted", NOW + 1, True)
    assert only.made is not None
    assert only.made.made_by == "anna", "who made it is still known"


def test_a_revoked_secret_stays_revoked_under_any_name_and_tenant() -> None:
    book = revoked(EMPTY, TENANTS, end(), even_the_last=False)

    assert shown(book, credentials=[{"name": "renamed", "token_sha256": OLD}])[0] == ("jira", "renamed", "revoked")
    moved = {"confluence": TENANTS["confluence"].model_copy(update={"credentials": TENANTS["jira"].credentials})}
    assert [one.state(NOW) for one in standings(book, moved)] == ["revoked", "valid"]


@pytest.mark.parametrize("later", [-365 * DAY, -3600.0, 0.0, 3600.0])
def test_a_revoked_secret_opens_nothing_whatever_the_clock_says(later: float) -> None:
    made = added(EMPTY, TENANTS, wish("new"))
    book = revoked(revoked(made, TENANTS, end("new"), even_the_last=False), TENANTS, end(), even_the_last=False)
    of_the_settings, *_, made_at_run_time = standings(book, TENANTS)

    assert [one.state(NOW + later) for one in (of_the_settings, made_at_run_time)] == ["revoked", "revoked"]
    assert not of_the_settings.opens(NOW + later)


def test_another_secret_under_a_revoked_name_opens() -> None:
    book = revoked(EMPTY, TENANTS, end(), even_the_last=False)

    assert shown(book, credentials=[{"name": "okta-2026-11", "token_sha256": sha256("another")}])[0][2] == "valid"


def test_a_password_is_ended_with_its_user_name() -> None:
    book = revoked(EMPTY, TENANTS, end("basic"), even_the_last=False)
    password = TENANTS["jira"].credentials[1].password_sha256
    same = [{"name": "basic", "username": "another", "password_sha256": password}]

    assert shown(book)[1][2] == "revoked"
    assert shown(book, credentials=same)[0][2] == "valid"
    assert shown(book, credentials=[{"name": "token", "token_sha256": password}])[0][2] == "valid"


def test_a_tenant_that_is_gone_leaves_its_credentials_until_it_is_back() -> None:
    book = added(EMPTY, TENANTS, wish("new", tenant="confluence"))
    without = {"jira": TENANTS["jira"]}
    gone = standings(book, without)[-1]

    assert (gone.name, gone.state(NOW), gone.opens(NOW)) == ("new", "orphaned", False)
    assert shown(book)[-1] == ("confluence", "new", "valid")


def test_the_sooner_of_two_ends_counts() -> None:
    book = rotated(EMPTY, TENANTS, "okta-2026-11", DAY, wish())
    cut = {"name": "okta-2026-11", "token_sha256": OLD, "expires": datetime.fromtimestamp(NOW + 1, UTC)}
    short = standings(book, tenants(credentials=[cut]))[0]

    assert standings(book, TENANTS)[0].ends_at == NOW + DAY
    assert (short.ends_at, short.state(NOW + 2)) == (NOW + 1, "expired")


def test_a_secret_belongs_to_the_tenant_that_has_it_in_the_settings() -> None:
    book = added(EMPTY, TENANTS, wish("new"))
    theirs = tenants(credentials=[{"name": "c", "token_sha256": sha256("token new")}])["jira"]

    found = [(one.tenant, one.name) for one in standings(book, {**TENANTS, "confluence": theirs})]
    assert found == [("jira", "okta-2026-11"), ("jira", "basic"), ("confluence", "c")]
