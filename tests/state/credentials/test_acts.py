"""Acts on credentials: what each changes, and everything that it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.state.credentials import (
    Book,
    NotPossible,
    Standing,
    added,
    extended,
    revoked,
    rotated,
    standings,
    successor_name,
)
from gateway.state.credentials.acts import MOST_MADE
from gateway.state.credentials.values import Made
from tests.state.credentials.books import DAY, EMPTY, OLD, end, tenants, wish
from tests.worlds import NOW, sha256

TENANTS = tenants()
LONELY = tenants(credentials=[{"name": "only", "token_sha256": OLD}])


def named(book: Book, name: str, tenant_name: str = "jira") -> Standing:
    (found,) = [one for one in standings(book, TENANTS) if (one.tenant, one.name) == (tenant_name, name)]
    return found


def after_rotation(overlap_seconds: float = 7 * DAY) -> Book:
    return rotated(EMPTY, TENANTS, "okta-2026-11", overlap_seconds, wish())


# Adding ---------------------------------------------------------------------------------------------


def test_one_that_was_added_opens_beside_those_of_the_settings() -> None:
    book = added(EMPTY, TENANTS, wish())

    assert named(book, "new").opens(NOW)
    assert not named(book, "new").opens(NOW + 365 * DAY), "until it expires"
    assert named(book, "okta-2026-11").opens(NOW)
    assert named(book, "new").made == Made("jira", "new", sha256("token new"), NOW + 365 * DAY, NOW, "anna")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"tenant": "jara"}, "there is no tenant jara; there are jira, confluence"),
    ({"name": "okta-2026-11"}, "jira has a credential okta-2026-11 already (valid)"),
    ({"name": "made"}, "jira has a credential made already"),
    ({"name": ""}, "a name has letters"),
    ({"name": "a b"}, "a name has letters"),
    ({"name": "new\n"}, "a name has letters"),
    ({"name": "okta~made"}, "a name has letters"),
    ({"name": "ü"}, "a name has letters"),
    ({"name": "a" * 65}, "at most 64"),
    ({"expires_at": NOW}, "a moment to come"),
    ({"expires_at": NOW - 1}, "a moment to come"),
    ({"expires_at": NOW + 3651 * DAY}, "within ten years"),
    ({"expires_at": float("nan")}, "a moment to come"),
    ({"token_sha256": "abc"}, "64 hexadecimal digits"),
    ({"token_sha256": sha256("x").upper()}, "64 hexadecimal digits"),
    ({"token_sha256": sha256("changeme")}, "of a strong token"),
    ({"token_sha256": OLD}, "that token is known already"),
    ({"token_sha256": OLD, "tenant": "confluence"}, "that token is known already"),
    ({"token_sha256": sha256("token made")}, "that token is known already"),
]


@pytest.mark.parametrize(("changes", "text"), REFUSED)
def test_a_wish_that_cannot_be_is_refused_with_what_to_do(changes: dict[str, Any], text: str) -> None:
    book = added(EMPTY, TENANTS, wish("made"))

    with pytest.raises(NotPossible) as refused:
        added(book, TENANTS, wish(**changes))
    assert text in str(refused.value)
    with pytest.raises(NotPossible) as refused:
        rotated(book, TENANTS, "for-ever" if changes.get("tenant") == "confluence" else "made", DAY, wish(**changes))
    assert text in str(refused.value), "a successor is held to the same"


def test_a_revoked_token_is_not_taken_again() -> None:
    book = revoked(added(EMPTY, TENANTS, wish("made")), TENANTS, end("made"), even_the_last=False)
    forgotten = replace(book, made=())

    with pytest.raises(NotPossible, match="known already"):
        added(forgotten, TENANTS, wish("again", token_sha256=sha256("token made")))


def test_the_longest_name_is_taken_and_another_tenant_may_have_the_same() -> None:
    book = added(EMPTY, TENANTS, wish("a" * 64))

    assert added(book, TENANTS, wish("a" * 64, tenant="confluence", token_sha256=sha256("c"))).made[1].name == "a" * 64


def test_a_tenant_has_only_so_many_that_open() -> None:
    book = EMPTY
    for number in range(MOST_MADE):
        book = added(book, TENANTS, wish(f"n{number}"))

    with pytest.raises(NotPossible, match="revoke what nobody uses"):
        added(book, TENANTS, wish())
    book = revoked(book, TENANTS, end("n7"), even_the_last=False)
    assert added(book, TENANTS, wish()).made[-1].name == "new"


def test_what_has_ended_long_ago_is_forgotten_but_not_that_it_was_revoked() -> None:
    book = added(added(EMPTY, TENANTS, wish("brief", expires_at=NOW + DAY)), TENANTS, wish("made"))
    book = revoked(book, TENANTS, end("made"), even_the_last=False)
    soon = added(book, TENANTS, wish("x", at=NOW + 89 * DAY))
    late = added(book, TENANTS, wish("x", at=NOW + 92 * DAY))

    assert [one.name for one in soon.made] == ["brief", "made", "x"]
    assert [one.name for one in late.made] == ["x"]
    assert late.ends == book.ends


# Rotating -------------------------------------------------------------------------------------------


def test_both_open_during_the_overlap_and_the_old_one_stops_on_its_date() -> None:
    book = after_rotation(7 * DAY)
    old, new = named(book, "okta-2026-11"), named(book, "new")

    assert (old.state(NOW), old.state(NOW + 7 * DAY - 1)) == ("ending", "ending")
    assert (old.opens(NOW + 7 * DAY - 1), old.opens(NOW + 7 * DAY)) == (True, False)
    assert old.state(NOW + 7 * DAY) == "rotated"
    assert (new.state(NOW), new.made.replaces if new.made else "") == ("valid", "okta-2026-11")
    assert old.end is not None
    assert (old.end.by, old.end.successor) == ("anna", "new")


def test_an_overlap_does_not_outlast_the_old_ones_own_end() -> None:
    book = rotated(EMPTY, TENANTS, "okta-2026-11", 30 * DAY, wish(at=NOW + 360 * DAY, expires_at=NOW + 700 * DAY))

    end_of_the_old = named(book, "okta-2026-11").end
    assert end_of_the_old is not None
    assert end_of_the_old.ends_at == NOW + 365 * DAY


def test_one_made_at_run_time_can_be_rotated_too() -> None:
    book = rotated(added(EMPTY, TENANTS, wish("made")), TENANTS, "made", DAY, wish())

    assert (named(book, "made").state(NOW), named(book, "new").state(NOW)) == ("ending", "valid")


@pytest.mark.parametrize(
    ("old_name", "overlap", "text"),
    [
        ("okta-2026-11", DAY, "was rotated by anna already and ends on 2027-01-22 08:00 UTC; its successor is new"),
        ("basic", DAY, "is a password"),
        ("nobody", DAY, "jira has no credential nobody; it has okta-2026-11, basic, new"),
        ("new", 0.0, "--overlap must be more than nothing"),
        ("new", 91 * DAY, "at most 90d"),
        ("new", float("nan"), "--overlap must be"),
    ],
)
def test_a_rotation_that_cannot_be_is_refused(old_name: str, overlap: float, text: str) -> None:
    with pytest.raises(NotPossible) as refused:
        rotated(after_rotation(), TENANTS, old_name, overlap, wish("newer"))

    assert text in str(refused.value)


def test_what_has_ended_is_not_rotated() -> None:
    book = revoked(EMPTY, TENANTS, end(), even_the_last=False)

    with pytest.raises(NotPossible, match=r"has ended \(revoked\); `token new` makes another"):
        rotated(book, TENANTS, "okta-2026-11", DAY, wish())


# Extending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [NOW + DAY, NOW + 10 * DAY], ids=["during the overlap", "after it"])
def test_a_rotated_one_can_have_more_time_even_when_it_is_over(at: float) -> None:
    book = extended(after_rotation(), TENANTS, ("jira", "okta-2026-11"), 3 * DAY, at)

    assert named(book, "okta-2026-11").ends_at == at + 3 * DAY
    assert named(book, "okta-2026-11").opens(at)


@pytest.mark.parametrize(
    ("name", "at", "text"),
    [
        ("new", NOW, "was not rotated"),
        ("basic", NOW, "was not rotated"),
        ("okta-2026-11", NOW + 366 * DAY, "has ended by itself"),
        ("nobody", NOW, "no credential nobody"),
    ],
)
def test_nothing_else_is_extended(name: str, at: float, text: str) -> None:
    with pytest.raises(NotPossible, match=text):
        extended(after_rotation(), TENANTS, ("jira", name), DAY, at)


def test_a_revoked_one_has_no_more_time() -> None:
    book = revoked(after_rotation(), TENANTS, end(), even_the_last=False)

    with pytest.raises(NotPossible, match="was not rotated"):
        extended(book, TENANTS, ("jira", "okta-2026-11"), DAY, NOW)


# Revoking -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["okta-2026-11", "basic"])
def test_a_revoked_one_opens_nothing_from_that_moment_on(name: str) -> None:
    book = revoked(EMPTY, TENANTS, end(name), even_the_last=False)

    assert (named(book, name).state(NOW), named(book, name).opens(NOW)) == ("revoked", False)


def test_one_that_is_rotated_can_be_revoked_during_its_overlap() -> None:
    book = revoked(after_rotation(), TENANTS, end(at=NOW + DAY), even_the_last=False)

    assert named(book, "okta-2026-11").state(NOW + DAY) == "revoked"


def test_nothing_is_revoked_twice_and_nothing_that_is_not_there() -> None:
    book = revoked(EMPTY, TENANTS, end(), even_the_last=False)

    with pytest.raises(NotPossible, match="was revoked by anna already, on 2027-01-15 08:00 UTC"):
        revoked(book, TENANTS, end(), even_the_last=True)
    with pytest.raises(NotPossible, match="no credential nobody"):
        revoked(book, TENANTS, end("nobody"), even_the_last=True)
    with pytest.raises(NotPossible, match="there is no tenant jara"):
        revoked(book, TENANTS, end(tenant_name="jara"), even_the_last=True)


def test_the_last_valid_one_is_revoked_only_by_whoever_says_so() -> None:
    with pytest.raises(NotPossible, match="only is the last valid credential of jira: nobody could call any more"):
        revoked(EMPTY, LONELY, end("only"), even_the_last=False)

    (only, _) = standings(revoked(EMPTY, LONELY, end("only"), even_the_last=True), LONELY)
    assert only.state(NOW) == "revoked"


def test_one_that_ends_soon_does_not_count_as_another() -> None:
    book = rotated(EMPTY, LONELY, "only", DAY, wish())

    with pytest.raises(NotPossible, match="only only would be left, which ends soon"):
        revoked(book, LONELY, end("new"), even_the_last=False)
    assert revoked(book, LONELY, end("only"), even_the_last=False).ends, "its successor lasts"


def test_what_opens_nothing_is_never_the_last() -> None:
    book = added(EMPTY, LONELY, wish("brief", expires_at=NOW + 1))
    later = end("brief", at=NOW + 2)

    assert revoked(revoked(book, LONELY, end("only"), even_the_last=True), LONELY, later, even_the_last=False).ends


def test_one_of_a_tenant_that_is_gone_can_be_revoked() -> None:
    book = added(EMPTY, TENANTS, wish("made", tenant="confluence"))
    left = {"jira": TENANTS["jira"]}

    after = revoked(book, left, end("made", "confluence"), even_the_last=False)
    assert [one.state(NOW) for one in standings(after, TENANTS) if one.name == "made"] == ["revoked"]


# Names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "taken", "name"),
    [
        ("okta-2026-11", (), "okta-2027-01"),
        ("okta", (), "okta-2027-01"),
        ("okta-2026", (), "okta-2027-01"),
        ("okta-1-99", (), "okta-1-99-2027-01"),
        ("okta-2027-01", ("okta-2027-01",), "okta-2027-01-2"),
        ("okta-2027-01-2", ("okta-2027-01", "okta-2027-01-2"), "okta-2027-01-3"),
        ("a" * 64, (), "a" * 56 + "-2027-01"),
    ],
)
def test_a_successor_is_named_after_its_month(old: str, taken: tuple[str, ...], name: str) -> None:
    assert successor_name(old, frozenset(taken), NOW) == name
