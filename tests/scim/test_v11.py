"""SCIM 1.1: a partial resource means what its PatchOp would mean, and what could mean two things is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import Address, Kind, read_address
from gateway.scim.documents import Document, JsonValue
from gateway.scim.messages import answer_is_scim, error_body
from gateway.scim.operations import Understanding, Who, understand
from gateway.scim.passwords import nothing_is_left, without_passwords
from gateway.scim.patches import PATCH_SCHEMA, Change, Op
from gateway.scim.v11 import public_error, read_partial, read_resource
from gateway.scim.versions import V1_1_SCHEMA, Version
from tests.worlds import FIXTURES

ADA: JsonValue = {"value": "ada"}
BO_GOES: JsonValue = {"value": "bo", "operation": "delete"}
DEPARTMENT = "urn:scim:schemas:extension:enterprise:1.0"


def partial(**written: Any) -> Document:
    return {"schemas": [V1_1_SCHEMA], **written}


def judge(method: str, path: str, document: Document | None = None) -> Understanding:
    return understand(method, read_address(path, (), Version.V1_1), document, Version.V1_1)


@pytest.mark.parametrize(
    ("document", "changes"),
    [
        (partial(), ()),
        (partial(active=False), (Change(Op.REPLACE, "active", False),)),
        (partial(ACTIVE=False), (Change(Op.REPLACE, "active", False),)),
        (partial(**{V1_1_SCHEMA: {"active": False}}), (Change(Op.REPLACE, "active", False),)),
        (partial(**{f"{V1_1_SCHEMA}:active": False}), (Change(Op.REPLACE, "active", False),)),
        (partial(name={"givenName": "A"}), (Change(Op.REPLACE, "name.givenName", "A"),)),
        (partial(members=[ADA]), (Change(Op.ADD, "members", [ADA]),)),
        (partial(members=[]), (Change(Op.ADD, "members", []),)),
        (partial(members=[BO_GOES]), (Change(Op.REMOVE, "members", [BO_GOES]),)),
        (
            partial(members=[ADA, BO_GOES]),
            (Change(Op.REMOVE, "members", [BO_GOES]), Change(Op.ADD, "members", [ADA])),
        ),
        (partial(meta={"attributes": ["members"]}), (Change(Op.REMOVE, "members"),)),
        (partial(meta={"Attributes": ["MEMBERS", "members"]}), (Change(Op.REMOVE, "members"),)),
        (
            partial(members=[ADA], meta={"attributes": ["members"]}),
            (Change(Op.REMOVE, "members"), Change(Op.ADD, "members", [ADA])),
        ),
        (partial(meta={"attributes": ["name.givenName"]}), (Change(Op.REMOVE, "name.givenName"),)),
        (
            partial(meta={"attributes": [f"{DEPARTMENT}:department"]}),
            (Change(Op.REMOVE, f"{DEPARTMENT}:department"),),
        ),
        (partial(meta={"attributes": []}), ()),
        (partial(emails=[{"value": "a@b"}]), (Change(Op.REPLACE, "emails", [{"value": "a@b"}]),)),
        (
            partial(emails=[{"value": "a@b", "operation": "delete"}]),
            (Change(Op.REMOVE, "emails", [{"value": "a@b", "operation": "delete"}]),),
        ),
    ],
)
def test_a_partial_resource_is_read_as_changes(document: Document, changes: tuple[Change, ...]) -> None:
    assert read_partial(document) == changes


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"schemas": [PATCH_SCHEMA], "Operations": []}, Reason.PATCH_MALFORMED),
        ({"schemas": [V1_1_SCHEMA], "operations": [], "active": False}, Reason.PATCH_MALFORMED),
        (partial(members=[{"value": "a", "operation": "add"}]), Reason.PATCH_MALFORMED),
        (partial(members=[{"value": "a", "operation": "Delete"}]), Reason.PATCH_MALFORMED),
        (partial(members=[{"value": "a", "operation": None}]), Reason.PATCH_MALFORMED),
        (partial(members=[{"value": "a", "OPERATION": "remove"}]), Reason.PATCH_MALFORMED),
        (partial(members=[{"value": "a"}, {"value": "A", "operation": "delete"}]), Reason.PATCH_MALFORMED),
        (partial(emails=[{"value": "a", "operation": "replace"}]), Reason.PATCH_MALFORMED),
        (partial(members=None), Reason.VALUE_MALFORMED),
        (partial(members={"value": "a"}), Reason.VALUE_MALFORMED),
        (partial(members=["a"]), Reason.VALUE_MALFORMED),
        (partial(**{"members.value": "a"}), Reason.PATCH_MALFORMED),
        (partial(active="false"), Reason.VALUE_MALFORMED),
        (partial(active=0), Reason.VALUE_MALFORMED),
        (partial(active=None), Reason.VALUE_MALFORMED),
        (partial(active=True, Active=False), Reason.PATCH_MALFORMED),
        (partial(meta="x"), Reason.PATCH_MALFORMED),
        (partial(meta=["members"]), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": "members"}), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": None}), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": [1]}), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": ["members"]}, **{"meta.attributes": []}), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": {"members": True}}), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": ["members.value"]}), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": ['members[value eq "a"]']}), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": [V1_1_SCHEMA]}), Reason.PATCH_MALFORMED),
        (partial(meta={"attributes": ["mem bers"]}), Reason.PATH_MALFORMED),
        ({"schemas": "x", "active": False}, Reason.MESSAGE_MALFORMED),
    ],
)
def test_a_partial_resource_that_could_mean_two_things_is_refused(document: Document, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        read_partial(document)

    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "document",
    [
        partial(userName="a", active="false"),
        partial(userName="a", active=None),
        partial(displayName="g", members=[BO_GOES]),
        partial(displayName="g", members=None),
        partial(displayName="g", meta={"attributes": ["members"]}),
    ],
)
def test_a_resource_holds_nothing_that_only_a_patch_can_mean(document: Document) -> None:
    with pytest.raises(Refusal) as refused:
        read_resource(document)

    assert refused.value.reason in (Reason.MESSAGE_MALFORMED, Reason.VALUE_MALFORMED)


def test_each_version_says_which_one_the_other_is() -> None:
    with pytest.raises(Refusal, match=r"this tenant speaks 1\.1"):
        judge("PATCH", "/Users/1", {"schemas": [PATCH_SCHEMA], "Operations": [{"op": "remove", "path": "title"}]})
    with pytest.raises(Refusal, match=r"this tenant speaks 2\.0"):
        understand("PATCH", read_address("/Users/1", ()), partial(active=False))


@pytest.mark.parametrize(
    ("path", "document", "name", "people"),
    [
        ("/Users/1", partial(id="1", active=False), "user.deactivate", ("1",)),
        ("/Users/1", partial(active=True), "user.activate", ("1",)),
        ("/Users/1", partial(active=False, title="x"), "user.patch", ("1",)),
        ("/Users/1", partial(meta={"attributes": ["title"]}), "user.patch", ("1",)),
        ("/Groups/9", partial(id="9", displayName="new"), "group.rename", ()),
        ("/Groups/9", partial(id="9", members=[ADA]), "group.members.add", ("ada",)),
        ("/Groups/9", partial(id="9", members=[BO_GOES]), "group.members.remove", ("bo",)),
        ("/Groups/9", partial(members=[ADA, BO_GOES]), "group.patch", ("bo", "ada")),
        ("/Groups/9", partial(members=[ADA], meta={"attributes": ["members"]}), "group.members.replace", ("ada",)),
        ("/Groups/9", partial(members=[], meta={"attributes": ["members"]}), "group.members.replace", ()),
        ("/Groups/9", partial(meta={"attributes": ["members"]}), "group.members.remove", ()),
        ("/Groups/9", partial(members=[BO_GOES], meta={"attributes": ["members"]}), "group.members.remove", ("bo",)),
        ("/Groups/9", partial(displayName="n", members=[ADA]), "group.patch", ("ada",)),
    ],
)
def test_a_partial_resource_is_named_as_its_patch_op_would_be(
    path: str, document: Document, name: str, people: tuple[str, ...]
) -> None:
    understanding = judge("PATCH", path, document)

    assert (understanding.name, understanding.people) == (name, tuple(Who(id=person) for person in people))


@pytest.mark.parametrize("name", ["active", "ACTIVE", f"{V1_1_SCHEMA}:active"])
def test_whether_somebody_is_active_cannot_be_cleared(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        judge("PATCH", "/Users/1", partial(meta={"attributes": [name]}))

    assert refused.value.reason is Reason.VALUE_MALFORMED


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/ServiceProviderConfigs", Address(Kind.SERVICE_PROVIDER_CONFIG, "ServiceProviderConfigs")),
        ("/Users", Address(Kind.USERS, "Users")),
        ("/Users/a%40b.com", Address(Kind.USERS, "Users", "a%40b.com")),
        ("/Groups/1/", Address(Kind.GROUPS, "Groups", "1")),
        ("/Schemas/Users", Address(Kind.SCHEMAS, "Schemas", "Users")),
    ],
)
def test_an_address_of_1_1_is_known(path: str, address: Address) -> None:
    assert read_address(path, (), Version.V1_1) == address


@pytest.mark.parametrize(
    "path",
    ["", "/", "/.search", "/Users/.search", "/Me", "/ServiceProviderConfig", "/ResourceTypes", "/Users.json",
     "/Users/1.json", "/Users/1.XML", "//Users"],
)  # fmt: skip
def test_an_address_that_1_1_lacks_or_might_cut_is_unknown(path: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_address(path, (), Version.V1_1)

    assert refused.value.reason is Reason.ADDRESS_UNKNOWN


@pytest.mark.parametrize(
    ("document", "left"),
    [
        (partial(userName="a", password="x"), partial(userName="a")),
        (partial(title="t", meta={"attributes": ["password", "nickName"]}),
         partial(title="t", meta={"attributes": ["nickName"]})),
        (partial(title="t", meta={"attributes": ["PASSWORD"]}), partial(title="t")),
        (partial(meta={"attributes": ["password"], "version": "1"}), partial(meta={"version": "1"})),
        (partial(title="t", **{"meta.attributes": [f"{V1_1_SCHEMA}:password"]}), partial(title="t")),
    ],
)  # fmt: skip
def test_a_password_is_neither_written_nor_cleared(document: Document, left: Document) -> None:
    assert without_passwords(document) == left


@pytest.mark.parametrize("document", [partial(meta={}), partial(meta={"attributes": []}), partial(meta=None)])
def test_meta_without_a_password_is_left_alone(document: Document) -> None:
    assert without_passwords(document) is None


@pytest.mark.parametrize(
    "document", [partial(id="1", password="x"), partial(meta={"attributes": ["password"]}, password="x")]
)
def test_a_partial_resource_of_the_password_alone_leaves_nothing(document: Document) -> None:
    kept = without_passwords(document)

    assert kept is not None
    assert nothing_is_left(kept)


def test_an_error_of_our_own_has_the_shape_of_1_1() -> None:
    assert json.loads(error_body(404, "Not here", None, Version.V1_1)) == {
        "Errors": [{"description": "Not here", "code": "404"}]
    }


@pytest.mark.parametrize(
    ("document", "is_scim"),
    [
        ({"Errors": [{"description": "x", "code": "404"}]}, True),
        ({"errors": [{"statusCode": 404, "description": "x"}]}, True),
        ({"status": "404", "detail": "x"}, True),
        ({"Errors": []}, False),
        ({"errors": [{"message": "x"}]}, False),
        ({"errors": ["x"]}, False),
        ({"errors": {"description": "x"}}, False),
    ],
)
def test_an_error_is_one_of_scim_only_if_it_describes_itself(document: Document, is_scim: bool) -> None:
    assert answer_is_scim(404, document, Version.V1_1) is is_scim


def test_errors_of_1_1_are_no_answer_to_a_tenant_that_speaks_2_0() -> None:
    assert not answer_is_scim(404, {"Errors": [{"description": "x", "code": "404"}]})


@pytest.mark.parametrize("name", ["okta11-06-conflict", "okta11-07-spec-bad-filter", "opp11-10-connector-error"])
def test_an_error_keeps_every_member_that_is_public(name: str) -> None:
    document = json.loads((FIXTURES / f"{name}.json").read_text())["response"]["body"]

    assert json.loads(public_error(document, lambda text: text)) == document


def test_an_error_tells_nothing_but_its_public_members() -> None:
    entry: JsonValue = {"description": "why", "code": "x y", "help_url": "http://inside/", "trace": "at com.example"}

    assert json.loads(public_error({"Errors": [entry] * 20, "x": 1}, str.upper)) == {
        "Errors": [{"description": "WHY"}] * 16
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["members", "attributes", "value", "operation", "active"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["members", "meta", "active", "meta.attributes", "schemas", "emails"]), JSON))
def test_any_document_is_read_or_refused(document: Document) -> None:
    try:
        read_partial(document)
        read_resource(document)
    except Refusal as refusal:
        assert refusal.reason.status == 400


@given(st.frozensets(st.text(max_size=3)), st.frozensets(st.text(max_size=3)))
def test_whoever_is_marked_is_removed_and_nobody_else(added: frozenset[str], removed: frozenset[str]) -> None:
    entries: list[JsonValue] = [{"value": who} for who in added]
    entries += [{"operation": "delete", "value": who} for who in removed]
    try:
        changes = read_partial(partial(members=entries))
    except Refusal:
        assert {who.casefold() for who in added} & {who.casefold() for who in removed}
        return

    found: dict[Op, set[object]] = {Op.ADD: set(), Op.REMOVE: set()}
    for change in changes:
        assert isinstance(change.value, list)
        found[change.op] |= {entry.get("value") for entry in change.value if isinstance(entry, dict)}
    assert found == {Op.ADD: added, Op.REMOVE: removed}
