"""Credentials: which spellings of which secret open which path."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.stages.identity.credentials import CredentialIndex
from gateway.state.credentials import Book, End, standings, token_fingerprint
from gateway.wire.fields import Fields
from tests.worlds import NOW, TOKEN, sha256, tenant

OTHER = "another-token-of-another-tenant-0123456789"
OLD = "old-token-still-valid-for-a-while-0123456789"
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))  # all that a token_file may hold
PASSWORD = "pass:word with spaces, and ünicode 0123456789"

TENANTS = {
    "jira": tenant(
        credentials=[
            {"name": "new", "token_sha256": sha256(TOKEN)},
            {"name": "old", "token_sha256": sha256(OLD), "expires": datetime.fromtimestamp(NOW, UTC)},
            {"name": "visible", "token_sha256": sha256(VISIBLE)},
            {"name": "basic", "username": "okta", "password_sha256": sha256(PASSWORD)},
        ]
    ),
    "confluence": tenant(path="/scim/joc9aqnbjyhb/v2", credentials=[{"name": "other", "token_sha256": sha256(OTHER)}]),
}
INDEX = CredentialIndex(standings(Book(), TENANTS))


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


RIGHT = basic(f"okta:{PASSWORD}")


def found(*values: str, now: float = NOW - 1) -> str:
    return INDEX.find(Fields(tuple(("Authorization", value) for value in values)), "jira", now).name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (f"Bearer {TOKEN}", "new"),
        (f"bearer {TOKEN}", "new"),
        (f"BEARER  {TOKEN}", "new"),
        (TOKEN, "new"),
        (f"Bearer {OLD}", "old"),
        (f"Bearer {VISIBLE}", "visible"),
        (VISIBLE, "visible"),
        (f"Basic {RIGHT}", "basic"),
        (f"basic {RIGHT}", "basic"),
    ],
)
def test_every_way_okta_says_it_opens_the_path(value: str, name: str) -> None:
    assert found(value) == name


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((), Reason.CREDENTIAL_MISSING),
        (("",), Reason.CREDENTIAL_MISSING),
        ((f"Bearer {TOKEN}", f"Bearer {TOKEN}"), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Bearer {TOKEN}", ""), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Bearer {TOKEN}, Bearer {TOKEN}",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Bearer {TOKEN} {TOKEN}",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Bearer {TOKEN},Bearer {TOKEN}",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"{TOKEN},{TOKEN}",), Reason.CREDENTIAL_UNKNOWN),
        ((f"Bearer\t{TOKEN}",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Bearer {TOKEN}\x7f",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Bearer {TOKEN}\n",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Bearer {TOKEN}\udcff",), Reason.CREDENTIAL_AMBIGUOUS),
        (("Bearer",), Reason.CREDENTIAL_UNKNOWN),  # a bare token of that name, which nobody has
        ((f"Basic {RIGHT[:8]}!{RIGHT[8:]}",), Reason.CREDENTIAL_AMBIGUOUS),  # lenient readers skip the "!"
        ((f"Basic {RIGHT} {RIGHT}",), Reason.CREDENTIAL_AMBIGUOUS),
        (("Basic !!!",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Basic {basic('okta')}",), Reason.CREDENTIAL_AMBIGUOUS),
        (("Basic /////w==",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Basic {basic(f'okta:{PASSWORD}x')}",), Reason.CREDENTIAL_UNKNOWN),
        ((f"Basic {basic(f'other:{PASSWORD}')}",), Reason.CREDENTIAL_UNKNOWN),
        ((f"Basic {basic('okta:pass')}",), Reason.CREDENTIAL_UNKNOWN),
        ((f"Basic {basic(f':{TOKEN}')}",), Reason.CREDENTIAL_UNKNOWN),
        ((f"Digest {TOKEN}",), Reason.CREDENTIAL_AMBIGUOUS),
        ((f"Bearer {TOKEN[:-1]}",), Reason.CREDENTIAL_UNKNOWN),
        ((f"Bearer {sha256(TOKEN)}",), Reason.CREDENTIAL_UNKNOWN),
        ((f"Bearer {OTHER}",), Reason.CREDENTIAL_OF_OTHER_TENANT),
        (("Bearer " + "a" * 100_000,), Reason.CREDENTIAL_AMBIGUOUS),
    ],
)
def test_everything_else_opens_nothing(values: tuple[str, ...], reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        found(*values)

    assert refused.value.reason is reason


@pytest.mark.parametrize(("now", "opens"), [(NOW - 0.001, True), (NOW, False), (NOW + 1, False)])
def test_a_credential_ends_to_the_moment(now: float, opens: bool) -> None:
    if opens:
        assert found(f"Bearer {OLD}", now=now) == "old"
        return
    with pytest.raises(Refusal) as refused:
        found(f"Bearer {OLD}", now=now)

    assert refused.value.reason is Reason.CREDENTIAL_EXPIRED
    assert found(f"Bearer {TOKEN}", now=now) == "new", "the one beside it goes on"


@pytest.mark.parametrize("kind", ["rotated", "revoked"])
def test_one_that_somebody_ended_is_refused_and_the_record_says_so(kind: Literal["rotated", "revoked"]) -> None:
    end = End("jira", "new", kind, NOW, NOW, "anna")
    index = CredentialIndex(standings(Book(ends={token_fingerprint(sha256(TOKEN)): end}), TENANTS))
    fields = Fields((("Authorization", f"Bearer {TOKEN}"),))

    if kind == "rotated":
        assert index.find(fields, "jira", NOW - 1).name == "new"
    with pytest.raises(Refusal) as refused:  # a revoked one also where the clock was set back
        index.find(fields, "jira", NOW - 1 if kind == "revoked" else NOW)
    assert (refused.value.reason, refused.value.note) == (Reason.CREDENTIAL_EXPIRED, f"new, {kind}")


def test_no_note_holds_what_was_presented() -> None:
    for value in (f"Bearer {TOKEN}x", f"Basic {basic(f'okta:{PASSWORD}x')}", f"Digest {TOKEN}", f"Bearer {OTHER}"):
        with pytest.raises(Refusal) as refused:
            found(value)
        assert TOKEN not in refused.value.note
        assert PASSWORD not in refused.value.note
        assert OTHER not in refused.value.note


@given(st.text(st.characters(max_codepoint=0xDCFF), max_size=80))
def test_any_value_is_judged_without_another_error(value: str) -> None:
    with pytest.raises(Refusal) as refused:
        found(value)

    assert refused.value.reason.status == 401
