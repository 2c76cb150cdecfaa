"""What a request would do: named alike in every dialect, and never milder than it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import read_address
from gateway.scim.documents import Document, JsonValue
from gateway.scim.operations import NAMES, SEARCH_SCHEMA, Understanding, Who, understand
from gateway.scim.patches import PATCH_SCHEMA
from gateway.scim.paths import ENTERPRISE_SCHEMA

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ADA = "7c0f4a52-9a1e-4d55-9a35-1d2c0b8e6f01"
BO = "b2d9d0b4-33c1-4a0f-8a43-0e0c8a3b7f02"


def judge(method: str, path: str, document: Document | None = None) -> Understanding:
    """All but whose access it takes: test_access.py judges that."""
    return replace(understand(method, read_address(path, ("Roles",)), document), takes=None, changes=())


def patched(*operations: JsonValue) -> Document:
    return {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}


def patch(path: str, *operations: JsonValue) -> Understanding:
    return judge("PATCH", path, patched(*operations))


@pytest.mark.parametrize(
    ("method", "path", "name", "people"),
    [
        ("GET", "", "root.list", ()),
        ("GET", "/Users", "user.list", ()),
        ("GET", "/Users/1", "user.get", (Who(id="1"),)),
        ("GET", "/Users/a%40b", "user.get", (Who(id="a@b"),)),
        ("DELETE", "/Users/1", "user.delete", (Who(id="1"),)),
        ("GET", "/Groups", "group.list", ()),
        ("GET", "/Groups/1", "group.get", ()),
        ("DELETE", "/Groups/1", "group.delete", ()),
        ("GET", "/Me", "me.get", ()),
        ("DELETE", "/Me", "me.delete", ()),
        ("GET", "/Roles", "extension.list", ()),
        ("GET", "/Roles/1", "extension.get", ()),
        ("DELETE", "/Roles/1", "extension.delete", ()),
        ("GET", "/ServiceProviderConfig", "discovery.get", ()),
        ("GET", "/Schemas", "discovery.get", ()),
        ("GET", f"/Schemas/{USER}", "discovery.get", ()),
        ("GET", "/ResourceTypes", "discovery.get", ()),
        ("GET", "/ResourceTypes/User", "discovery.get", ()),
    ],
)
def test_a_request_without_a_body_is_named_by_its_address(
    method: str, path: str, name: str, people: tuple[Who, ...]
) -> None:
    assert judge(method, path) == Understanding(name, people=people)
    assert judge(method, path).writes is (method == "DELETE")


def test_okta_creating_a_user_is_understood() -> None:
    okta: Document = {
        "schemas": [USER],
        "userName": "ada@example.com",
        "name": {"givenName": "Ada", "familyName": "Berg"},
        "emails": [{"primary": True, "value": "ada@example.com", "type": "work"}],
        "displayName": "Ada Berg",
        "externalId": "00u1",
        "groups": [],
        "password": "x7Random1",
        "active": True,
    }

    assert judge("POST", "/Users", okta) == Understanding(
        "user.create",
        ("userName", "name.givenName", "name.familyName", "emails", "displayName", "externalId", "groups", "password",
         "active"),
        (Who(None, "ada@example.com", "00u1"),),
        "ada@example.com",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "method", "document", "expected"),
    [
        (
            "/Users/1",
            "PUT",
            {"schemas": [USER], "id": "1", "USERNAME": "a", "active": False, "meta": {"location": "x"}},
            Understanding("user.replace", ("id", "userName", "active", "meta.location"), (Who("1", "a"),), "a"),
        ),
        ("/Users/1", "PUT", {}, Understanding("user.replace", people=(Who("1"),))),
        (
            "/Users/1",
            "PUT",
            {"userName": None, "addresses": None},
            Understanding("user.replace", ("userName", "addresses"), (Who("1"),)),
        ),
        (
            "/Users",
            "POST",
            {USER: {"userName": "a"}, ENTERPRISE_SCHEMA: {"department": "D"}},
            Understanding("user.create", ("userName", f"{ENTERPRISE_SCHEMA}:department"), (Who(None, "a"),), "a"),
        ),
        (
            "/Groups",
            "POST",
            {"schemas": [GROUP], "displayName": "g", "members": []},
            Understanding("group.create", ("displayName", "members"), (), "g"),
        ),
        (
            "/Groups/1",
            "PUT",
            {"displayName": "g", "Members": [{"Value": ADA, "display": "ada"}, {"value": BO}, {"value": ADA}]},
            Understanding("group.replace", ("displayName", "members"), (Who(ADA), Who(BO)), "g"),
        ),
        ("/Groups", "POST", {"members": None}, Understanding("group.create", ("members",))),
        ("/Me", "PUT", {"userName": "a"}, Understanding("me.replace", ("userName",), (Who(None, "a"),), "a")),
        ("/Me", "POST", {"userName": "a"}, Understanding("me.create", ("userName",), (Who(None, "a"),), "a")),
        ("/Roles", "POST", {"active": "maybe", "id": 1}, Understanding("extension.create", ("active", "id"))),
        ("/Roles/1", "PUT", {"displayName": "r"}, Understanding("extension.replace", ("displayName",), (), "r")),
        ("/Bulk", "POST", {"Operations": []}, Understanding("bulk")),
    ],
)
def test_a_resource_is_understood(path: str, method: str, document: Document, expected: Understanding) -> None:
    understanding = judge(method, path, document)

    assert understanding == expected
    assert understanding.writes


@pytest.mark.parametrize(
    ("operations", "name"),
    [
        ([{"op": "replace", "value": {"active": False}}], "user.deactivate"),
        ([{"op": "replace", "value": {"active": True}}], "user.activate"),
        ([{"op": "Replace", "path": "active", "value": "False"}], "user.deactivate"),
        ([{"op": "Add", "path": "ACTIVE", "value": "tRUE"}], "user.activate"),
        ([{"op": "replace", "path": f"{USER}:active", "value": False}], "user.deactivate"),
        ([{"op": "replace", "value": {f"{USER}:Active": False}}], "user.deactivate"),
        ([{"op": "replace", "value": {USER: {"active": False}}}], "user.deactivate"),
        ([{"op": "replace", "path": USER, "value": {"active": False}}], "user.deactivate"),
        ([{"op": "replace", "value": {"schemas": [USER], "id": "1", "active": False}}], "user.deactivate"),
        ([{"op": "replace", "path": "active", "value": False}] * 2, "user.deactivate"),
        ([{"op": "replace", "value": {"active": a}} for a in (True, False)], "user.patch"),
        ([{"op": "replace", "value": {"active": False, "title": "x"}}], "user.patch"),
        ([{"op": "replace", "value": {"id": "1"}}], "user.patch"),
        ([{"op": "replace", "value": {}}], "user.patch"),
        ([{"op": "replace", "path": "members", "value": []}], "user.patch"),
        ([{"op": "replace", "path": "urn:x:2.0:User:active", "value": False}], "user.patch"),
    ],
)
def test_only_a_patch_of_active_alone_is_an_activation_or_deactivation(operations: list[JsonValue], name: str) -> None:
    assert patch("/Users/1", *operations).name == name


ONE: JsonValue = [{"value": ADA}]


@pytest.mark.parametrize(
    ("operations", "name", "people"),
    [
        ([{"op": "add", "path": "members", "value": ONE}], "group.members.add", (ADA,)),
        ([{"op": "Add", "path": "members", "value": [{"$ref": None, "value": ADA}]}], "group.members.add", (ADA,)),
        ([{"op": "add", "path": "members", "value": {"value": ADA}}], "group.members.add", (ADA,)),
        ([{"op": "add", "value": {"members": ONE}}], "group.members.add", (ADA,)),
        ([{"op": "remove", "path": f'members[value eq "{ADA}"]'}], "group.members.remove", (ADA,)),
        ([{"op": "remove", "path": f'MEMBERS[VALUE EQ "{ADA}"]'}], "group.members.remove", (ADA,)),
        ([{"op": "remove", "path": f'{GROUP}:members[value eq "{ADA}"]'}], "group.members.remove", (ADA,)),
        (
            [{"op": "remove", "path": f'members[value eq "{ADA}" or (value eq "{BO}" and type eq "User")]'}],
            "group.members.remove",
            (ADA, BO),
        ),
        ([{"op": "remove", "path": f'members[not (value eq "{ADA}")]'}], "group.members.remove", ()),
        ([{"op": "Remove", "path": "members", "value": ONE}], "group.members.remove", (ADA,)),
        ([{"op": "remove", "path": "members"}], "group.members.remove", ()),
        ([{"op": "replace", "path": "members", "value": ONE}], "group.members.replace", (ADA,)),
        ([{"op": "replace", "path": "members", "value": []}], "group.members.replace", ()),
        ([{"op": "replace", "value": {"members": []}}], "group.members.replace", ()),
        ([{"op": "replace", "value": {"id": "1", "members": ONE}}], "group.members.replace", (ADA,)),
        ([{"op": "replace", "value": {GROUP: {"members": ONE}}}], "group.members.replace", (ADA,)),
        (
            [
                {"op": "remove", "path": f'members[value eq "{BO}"]'},
                {"op": "add", "path": "members", "value": ONE},
            ],
            "group.patch",
            (BO, ADA),
        ),
        ([{"op": "replace", "path": f'members[value eq "{BO}"]', "value": {"value": ADA}}], "group.patch", (BO, ADA)),
        ([{"op": "replace", "path": f'members[value eq "{BO}"].value', "value": ADA}], "group.patch", (BO, ADA)),
        ([{"op": "replace", "value": {"displayName": "g", "members": ONE}}], "group.patch", (ADA,)),
        ([{"op": "replace", "value": {"id": "1", "displayName": "g"}}], "group.rename", ()),
        ([{"op": "replace", "value": {"displayName": "g", "externalId": "x"}}], "group.rename", ()),
        ([{"op": "Replace", "path": "DisplayName", "value": "g"}], "group.rename", ()),
        ([{"op": "replace", "value": {"externalId": "x"}}], "group.patch", ()),
        ([{"op": "remove", "path": "displayName"}], "group.patch", ()),
        ([{"op": "replace", "value": {"displayName": "g", "title": "t"}}], "group.patch", ()),
        ([{"op": "replace", "path": "active", "value": False}], "group.patch", ()),
    ],
)
def test_a_patch_of_a_group_is_named_by_all_that_it_does(
    operations: list[JsonValue], name: str, people: tuple[str, ...]
) -> None:
    understanding = patch("/Groups/1", *operations)

    assert understanding.name == name
    assert understanding.people == tuple(Who(id=member) for member in people)


def test_a_patch_tells_each_attribute_once_and_the_last_name() -> None:
    understanding = patch(
        "/Users/1",
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "a@b.c"},
        {"op": "replace", "path": 'emails[type eq "home"].value', "value": "d@e.f"},
        {
            "op": "replace",
            "value": {"userName": "a", "name.givenName": "A", f"{ENTERPRISE_SCHEMA}:employeeNumber": "7"},
        },
        {"op": "replace", "path": "userName", "value": "b"},
        {"op": "remove", "path": "userName", "value": "c"},
    )

    assert understanding == Understanding(
        "user.patch",
        ("emails.value", "userName", "name.givenName", f"{ENTERPRISE_SCHEMA}:employeeNumber"),
        (Who("1", "b"),),
        "b",
    )


@pytest.mark.parametrize("path", ["/Me", "/Roles/1"])
def test_a_patch_elsewhere_keeps_its_plain_name(path: str) -> None:
    assert patch(path, {"op": "replace", "value": {"active": False}}).name.endswith(".patch")


_NO_TEXTS: list[JsonValue] = [1, ["a"], {"a": "b"}, True]
_NO_BOOLEANS: list[JsonValue] = [0, 1, 0.0, "no", "", "False ", [], [False], {"value": False}]
_NO_MEMBERS: list[JsonValue] = [
    1,
    True,
    "1",
    ["1"],
    [None],
    [{}],
    [[]],
    [{"value": 1}],
    [{"value": None}],
    [{"$ref": "/Users/1"}],
]


@pytest.mark.parametrize(
    ("path", "document"),
    [
        *(("/Users", {"active": value}) for value in _NO_BOOLEANS),
        *(("/Users", {name: value}) for name in ("userName", "externalId", "displayName", "id") for value in _NO_TEXTS),
        *(("/Groups", {"members": value}) for value in _NO_MEMBERS),
        ("/Groups", {"displayName": 1}),
        ("/Me", {"active": "no"}),
        ("/Users", {"active.value": False}),
        ("/Users", {f"{USER}:active": "no"}),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_where_we_go_by_it(path: str, document: Document) -> None:
    method = "PUT" if path == "/Me" else "POST"
    with pytest.raises(Refusal) as refused:
        judge(method, path, document)

    assert refused.value.reason is Reason.VALUE_MALFORMED


@pytest.mark.parametrize(
    ("path", "value"),
    [("active[value eq true]", False), ("active.value", False), ("userName.x", "a"), ('id[a eq "b"]', "1")],
)
def test_a_simple_attribute_has_no_parts(path: str, value: JsonValue) -> None:
    with pytest.raises(Refusal) as refused:
        patch("/Users/1", {"op": "replace", "path": path, "value": value})

    assert refused.value.reason is Reason.VALUE_MALFORMED


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("PUT", "/Users/1", {"id": "2"}),
        ("PUT", "/Groups/1", {"ID": "2"}),
        ("PATCH", "/Groups/1", patched({"op": "replace", "value": {"id": "2", "displayName": "g"}})),
        ("PATCH", "/Users/1", patched({"op": "replace", "path": "id", "value": "2"})),
    ],
)
def test_an_id_other_than_the_addresss_is_refused(method: str, path: str, document: Document) -> None:
    with pytest.raises(Refusal) as refused:
        judge(method, path, document)

    assert refused.value.reason is Reason.VALUE_MALFORMED


def test_the_addresss_id_may_be_repeated_decoded_and_in_another_case() -> None:
    assert judge("PUT", "/Users/a%40B", {"id": "A@b"}).name == "user.replace"


def test_a_method_that_an_address_does_not_know_is_refused_with_those_it_knows() -> None:
    for method, path in (
        ("DELETE", "/Users"),
        ("POST", "/Users/1"),
        ("HEAD", "/Users"),
        ("PUT", "/Schemas"),
        ("get", "/Me"),
    ):
        with pytest.raises(Refusal) as refused:
            judge(method, path, {})
        assert refused.value.reason is Reason.METHOD_NOT_ALLOWED
        assert "GET" in refused.value.allow


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/Users"), ("PUT", "/Users/1"), ("PATCH", "/Users/1"), ("POST", "/.search")]
)
def test_a_request_that_needs_a_body_and_has_none_is_refused(method: str, path: str) -> None:
    with pytest.raises(Refusal) as refused:
        judge(method, path)

    assert refused.value.reason is Reason.BODY_MISSING


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"schemas": USER}, Reason.MESSAGE_MALFORMED),
        ({"schemas": [1]}, Reason.MESSAGE_MALFORMED),
        ({"active": True, f"{USER}:active": False}, Reason.MESSAGE_MALFORMED),
        ({"active": True, USER: {"ACTIVE": False}}, Reason.MESSAGE_MALFORMED),
    ],
)
def test_a_resource_that_could_be_read_in_two_ways_is_refused(document: Document, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        judge("POST", "/Users", document)

    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("path", "name"),
    [("/.search", "root.search"), ("/Users/.search", "user.search"), ("/Roles/.search", "extension.search")],
)
def test_a_search_reads(path: str, name: str) -> None:
    understanding = judge("POST", path, {"schemas": [SEARCH_SCHEMA], "Filter": 'userName eq "a"', "count": 1})

    assert understanding == Understanding(name)
    assert not understanding.writes


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, Reason.MESSAGE_MALFORMED),
        ({"schemas": [USER]}, Reason.MESSAGE_MALFORMED),
        ({"schemas": [SEARCH_SCHEMA], "filter": "a eq"}, Reason.FILTER_MALFORMED),
        ({"schemas": [SEARCH_SCHEMA], "filter": 1}, Reason.FILTER_MALFORMED),
    ],
)
def test_what_is_no_search_is_refused(document: Document, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        judge("POST", "/Users/.search", document)

    assert refused.value.reason is reason


_KEYS = st.sampled_from(
    ["schemas", "active", "Members", "members.value", "userName", "name", USER, "value", "Operations", "op"]
)
_VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([PATCH_SCHEMA, USER, "add", "members", "false"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    st.sampled_from(["/Users", "/Users/1", "/Groups", "/Groups/1", "/Me", "/.search", "/Roles/1", "/Bulk"]),
    st.dictionaries(_KEYS, _VALUES),
)
def test_whatever_is_understood_has_a_name_that_policies_know(method: str, path: str, document: Document) -> None:
    try:
        understanding = judge(method, path, document)
    except Refusal:
        return
    assert understanding.name in NAMES
