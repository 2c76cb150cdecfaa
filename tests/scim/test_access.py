"""Whose access a write takes: judged by what it means, never less than it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.refusal import Reason, Refusal
from gateway.scim.access import Loss, Taking
from gateway.scim.addresses import read_address
from gateway.scim.documents import Document
from gateway.scim.operations import understand
from tests.scim.access_cases import (
    AMBIGUOUS,
    AS_DEEP_AS_ALLOWED,
    DEACTIVATING,
    DEACTIVATING_WHOLE,
    KEEPING,
    KEEPING_GROUPS,
    KEEPING_USERS,
    LEAVING,
    OTHER_TAKINGS,
    PRESENT,
    Write,
    found,
    members,
    op,
    patch,
)

FIXTURES = Path(__file__).parent.parent / "fixtures"

TAKING = (
    *((patch("/Users/1", *operations), Loss.DEACTIVATED, "1", "1") for operations in DEACTIVATING),
    *((Write("PUT", "/Users/1", document), Loss.DEACTIVATED, "1", "1") for document in DEACTIVATING_WHOLE),
    *((patch("/Groups/g", *operations), Loss.REMOVED, named, lost) for operations, named, lost in LEAVING),
    *OTHER_TAKINGS,
)
HARMLESS = (
    *(patch("/Users/1", *operations) for operations in KEEPING_USERS),
    *(patch("/Groups/g", *operations) for operations in KEEPING_GROUPS),
    *KEEPING,
)


def taken_by(write: Write) -> Taking | None:
    return understand(write.method, read_address(write.path, ("Roles",)), write.document).takes


def spelled(case: object) -> str | None:
    return f"{case.method} {case.path} {json.dumps(case.document)}" if isinstance(case, Write) else None


def test_the_tables_are_as_long_as_they_claim() -> None:
    assert len({spelled(write) for write, *_ in TAKING}) == len(TAKING) >= 120
    assert len({spelled(write) for write in HARMLESS}) == len(HARMLESS) >= 60


@pytest.mark.parametrize(("write", "loss", "named", "lost"), TAKING, ids=spelled)
def test_whoever_loses_access_is_seen_in_every_spelling(write: Write, loss: Loss, named: str, lost: str) -> None:
    taking = taken_by(write)

    assert taking is not None
    assert taking.loss is loss
    assert taking.people == (() if named == "?" else tuple(named.split()))
    assert taking.needs_members is (named == "?")
    assert taking.lost(PRESENT) == set(lost.split())
    assert taking.group == ("g" if loss is Loss.REMOVED else None)


@pytest.mark.parametrize("write", HARMLESS, ids=spelled)
def test_a_write_that_takes_no_access_takes_none_in_any_spelling(write: Write) -> None:
    assert taken_by(write) is None


@pytest.mark.parametrize(("write", "reason"), AMBIGUOUS, ids=spelled)
def test_what_could_be_read_in_two_ways_is_refused(write: Write, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        taken_by(write)

    assert refused.value.reason is reason


def test_a_filter_as_deep_as_allowed_is_read() -> None:
    assert taken_by(AS_DEEP_AS_ALLOWED) == Taking(Loss.REMOVED, ("1",), "g")


@pytest.mark.parametrize(("given", "present"), [("abc", "ABC"), ("ABC", "abc")])
def test_an_id_in_another_case_goes_but_does_not_stay(given: str, present: str) -> None:
    removal = op("remove", found(f'value eq "{given}"'))
    replacement = op("replace", "members", value=members(given))
    exact_removal = op("remove", found(f'value eq "{present}"'))
    for operations in ([removal], [replacement], [exact_removal, op("add", "members", value=members(given))]):
        taking = taken_by(patch("/Groups/g", *operations))

        assert taking is not None
        assert taking.lost([present, "other"]) >= {present}


@pytest.mark.parametrize(("put", "taken"), [("abc", "ABC"), ("ABC", "abc")])
def test_whoever_was_put_in_goes_in_another_case_too(put: str, taken: str) -> None:
    taking = taken_by(
        patch("/Groups/g", op("replace", "members", value=members(put)), op("remove", found(f'value eq "{taken}"')))
    )

    assert taking is not None
    assert taking.lost([put]) == {put}


def test_an_id_goes_whichever_way_its_letters_are_composed() -> None:
    taking = taken_by(patch("/Groups/g", op("remove", found('value eq "Zoe\u0308"'))))

    assert taking is not None
    assert taking.lost(["zo\u00eb"]) == {"zo\u00eb"}


def test_a_group_without_members_loses_nobody() -> None:
    taking = taken_by(Write("DELETE", "/Groups/g"))

    assert taking is not None
    assert taking.needs_members
    assert taking.lost(()) == frozenset()


def test_members_are_judged_in_time_that_grows_with_their_number_alone() -> None:
    """Twenty thousand that come and go one by one would take minutes if each looked at all."""
    ids = [str(number) for number in range(20_000)]
    write = patch(
        "/Groups/g",
        op("add", "members", value=members(*ids)),
        *(op("remove", "members", value=members(member)) for member in ids),
    )
    taking = taken_by(write)

    assert taking is not None
    assert taking.people == tuple(ids)


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        ("okta2-09-user-deactivate-patch", "deactivated"),
        ("okta2-11-user-deactivate-put", "deactivated"),
        ("entra-03-disable-string-false", "deactivated"),
        ("entra-04-disable-bool-capital-op", "deactivated"),
        ("entra-05-disable-flag", "deactivated"),
        ("entra-09-user-delete", "deleted"),
        ("okta2-17-group-patch-add-remove", "removed"),
        ("okta2-18-group-patch-replace", "removed by the members"),
        ("okta2-19-group-patch-replace-empty", "removed by the members"),
        ("okta2-21-group-put", "removed by the members"),
        ("okta2-22-group-delete", "removed by the members"),
        ("entra-15-member-remove-flag", "removed"),
        ("okta2-05-user-create", ""),
        ("okta2-08-user-put-profile", ""),
        ("okta2-10-user-reactivate-patch", ""),
        ("okta2-15-group-create", ""),
        ("okta2-16-group-rename-pathless", ""),
        ("entra-02-user-create", ""),
        ("entra-06-multi-replace-flag", ""),
        ("entra-08-add-manager-array", ""),
        ("entra-10-group-create", ""),
        ("entra-13-member-add", ""),
    ],
)
def test_what_real_clients_send_is_judged_right(fixture: str, expected: str) -> None:
    request = json.loads((FIXTURES / f"{fixture}.json").read_text())["request"]
    document: Document | None = request["body"]
    taking = taken_by(Write(request["method"], request["target"].partition("?")[0], document))

    judged = "" if taking is None else taking.loss.value + " by the members" * taking.needs_members
    assert judged == expected
