"""How clients say that somebody loses access, that nobody does, and what nobody can tell: a table of spellings.

Every group has the members 1, 2 and 3.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.refusal import Reason
from gateway.scim.access import Loss
from gateway.scim.documents import Document, JsonValue
from gateway.scim.patches import PATCH_SCHEMA
from gateway.scim.paths import ENTERPRISE_SCHEMA

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
OLD = "urn:scim:schemas:core:1.0"
CUSTOM = "urn:okta:app:1.0:user:custom"
PRESENT = ("1", "2", "3")


class Write(NamedTuple):
    """A request that writes; its address is below the tenant's path."""

    method: str
    path: str
    document: Document | None = None


def op(verb: str, path: str | None = None, **value: JsonValue) -> Document:
    """One operation: a path unless it is None, a value if one is given."""
    return {"op": verb, **({} if path is None else {"path": path}), **value}


def patch(path: str, *operations: JsonValue) -> Write:
    return Write("PATCH", path, {"schemas": [PATCH_SCHEMA], "Operations": list(operations)})


def members(*ids: str) -> JsonValue:
    return [{"value": identifier} for identifier in ids]


def found(condition: str, below: str = "") -> str:
    return f"members[{condition}]{below}"


OFF = op("replace", "active", value=False)
ON = op("replace", "active", value=True)
TITLE = op("replace", "title", value="x")
ONE, TWO = 'value eq "1"', 'value eq "2"'

# Each is the whole list of operations of a PATCH of one user.
DEACTIVATING: tuple[list[Document], ...] = (
    # a path, and every case of it
    [OFF],
    [op("Replace", "active", value=False)],
    [op("REPLACE", "ACTIVE", value=False)],
    [op("rEpLaCe", "Active", value=False)],
    [op("add", "active", value=False)],
    [op("Add", "aCTIVE", value=False)],
    [op("replace", f"{USER}:active", value=False)],
    [op("replace", f"{USER.upper()}:ACTIVE", value=False)],
    [op("replace", f"{USER.lower()}:Active", value=False)],
    [op("add", f"{USER}:active", value=False)],
    [op("replace", f"{OLD}:active", value=False)],
    [{"OP": "replace", "PATH": "active", "VALUE": False}],
    [{"Op": "Replace", "Path": "active", "Value": False, "name": "userActive"}],
    # a string, as Entra sends it
    [op("Replace", "active", value="False")],
    [op("replace", "active", value="false")],
    [op("replace", "active", value="FALSE")],
    [op("replace", "active", value="fALSE")],
    [op("Add", "active", value="False")],
    [op("replace", f"{USER}:active", value="False")],
    [op("replace", f"{USER}:ACTIVE", value="false")],
    # no path
    [op("replace", value={"active": False})],
    [op("Replace", value={"active": "False"})],
    [op("replace", value={"ACTIVE": False})],
    [op("replace", value={"Active": "FALSE"})],
    [op("add", value={"active": False})],
    [op("ADD", value={"active": "false"})],
    [{"op": "replace", "path": None, "value": {"active": False}}],
    [op("replace", value={"id": "1", "active": False})],
    [op("replace", value={"schemas": [USER], "active": False})],
    [op("replace", value={"active": False, "displayName": "x"})],
    [op("replace", value={"name.givenName": "x", "active": False})],
    [op("replace", value={"name": {"givenName": "x"}, "active": False, "title": None})],
    [op("replace", value={f"{CUSTOM}:active": True, "active": False})],
    [op("replace", value={ENTERPRISE_SCHEMA: {"department": "x"}, "active": False})],
    # the schema's URN in a key, around an object, or as the path
    [op("replace", value={f"{USER}:active": False})],
    [op("replace", value={f"{USER}:ACTIVE": "False"})],
    [op("replace", value={f"{USER.upper()}:active": False})],
    [op("add", value={f"{USER}:active": False})],
    [op("replace", value={f"{OLD}:active": False})],
    [op("replace", value={USER: {"active": False}})],
    [op("replace", value={USER.lower(): {"Active": "False"}})],
    [op("replace", USER, value={"active": False})],
    [op("Add", USER, value={"active": "False"})],
    [op("replace", USER.upper(), value={"ACTIVE": False})],
    [op("replace", OLD, value={"active": False})],
    # among other operations; the last one counts
    [OFF, OFF],
    [ON, OFF],
    [OFF, ON, OFF],
    [OFF, TITLE],
    [TITLE, OFF],
    [TITLE, op("replace", value={"active": False}), TITLE],
    [ON, op("replace", value={f"{USER}:active": "False"})],
    [op("replace", value={"active": True}), op("add", USER, value={"active": False})],
    [op("remove", "title"), OFF],
    [OFF, op("remove", ENTERPRISE_SCHEMA)],
    [OFF, op("replace", f"{CUSTOM}:active", value=True)],
    [op("replace", 'emails[type eq "work"].value', value="a@b.c"), OFF],
)

# Each is the body of a PUT of one user.
DEACTIVATING_WHOLE: tuple[Document, ...] = (
    {"active": False},
    {"active": "False"},
    {"ACTIVE": "false"},
    {"schemas": [USER], "id": "1", "userName": "ada", "active": False, "groups": []},
    {"schemas": [USER], "userName": "ada", "Active": "FALSE", "meta": {"location": "x"}, "addresses": None},
    {f"{USER}:active": False},
    {USER: {"active": False}},
    {"userName": "ada", USER.upper(): {"ACTIVE": "False"}},
    {"schemas": [OLD], "userName": "ada", "active": False},
    {"active": False, CUSTOM: {"active": True}},
)

# Each is a PATCH of a group, whom it names ("?": only the members tell), and which of the members 1, 2 and 3 go.
LEAVING: tuple[tuple[list[Document], str, str], ...] = (
    # a removal by a filter that says ids
    ([op("remove", found(ONE))], "1", "1"),
    ([op("Remove", found(ONE))], "1", "1"),
    ([op("REMOVE", "MEMBERS[VALUE EQ \"1\"]")], "1", "1"),
    ([op("remove", f"{GROUP}:{found(ONE)}")], "1", "1"),
    ([op("remove", f"{GROUP.lower()}:Members[Value Eq \"1\"]")], "1", "1"),
    ([op("remove", f"{OLD}:{found(ONE)}")], "1", "1"),
    ([op("remove", found('value eq "\\u0031"'))], "1", "1"),
    ([op("remove", found(f"({ONE})"))], "1", "1"),
    ([op("remove", found(f"{ONE} or {TWO}"))], "1 2", "1 2"),
    ([op("remove", found(f'({ONE} or {TWO}) or value eq "3"'))], "1 2 3", "1 2 3"),
    ([op("remove", found(f'{ONE} and type eq "User"'))], "1", "1"),
    ([op("remove", found(f'type eq "User" and ({ONE} or {TWO})'))], "1 2", "1 2"),
    ([op("remove", found(f"({ONE} or {TWO}) and {TWO}"))], "2", "2"),
    ([op("remove", found(f"{ONE} and not ({TWO})"))], "1", "1"),
    ([op("remove", found(ONE), value=None)], "1", "1"),
    ([op("remove", found(ONE)), op("remove", found(TWO))], "1 2", "1 2"),
    ([op("remove", found(ONE)), op("remove", found(ONE))], "1", "1"),
    ([op("remove", found('value eq "9"'))], "9", ""),
    ([op("remove", found(ONE, ".value"))], "1", "1"),
    ([op("remove", found(ONE, ".value"), value="1")], "1", "1"),
    ([op("remove", found(ONE, ".type"))], "1", "1"),
    ([op("remove", found(ONE, ".$ref"))], "1", "1"),
    # a removal by a list, as Entra sends it
    ([op("Remove", "members", value=members("1"))], "1", "1"),
    ([op("remove", "members", value=members("1", "3"))], "1 3", "1 3"),
    ([op("Remove", "MEMBERS", value=[{"Value": "1", "$ref": None}])], "1", "1"),
    ([op("remove", "members", value={"value": "1"})], "1", "1"),
    ([op("remove", f"{GROUP}:members", value=members("1"))], "1", "1"),
    ([op("remove", found(ONE), value=members("2"))], "1 2", "1 2"),
    ([op("Remove", "members", value=members("1")), op("Remove", "members", value=members("2"))], "1 2", "1 2"),
    # a removal by what says no ids: whoever is in may go
    ([op("remove", "members")], "?", "1 2 3"),
    ([op("Remove", "Members")], "?", "1 2 3"),
    ([op("remove", f"{GROUP}:members")], "?", "1 2 3"),
    ([op("remove", "members", value=None)], "?", "1 2 3"),
    ([op("remove", "members", value=[])], "?", "1 2 3"),
    ([op("remove", "members.value")], "?", "1 2 3"),
    ([op("remove", "members.value", value="1")], "?", "1 2 3"),
    ([op("remove", "members.$ref")], "?", "1 2 3"),
    ([op("remove", found("value pr"))], "?", "1 2 3"),
    ([op("remove", found(f"not ({ONE})"))], "?", "1 2 3"),
    ([op("remove", found('value ne "1"'))], "?", "1 2 3"),
    ([op("remove", found('value sw "1"'))], "?", "1 2 3"),
    ([op("remove", found('value gt "0"'))], "?", "1 2 3"),
    ([op("remove", found("value eq 1"))], "?", "1 2 3"),
    ([op("remove", found('type eq "User"'))], "?", "1 2 3"),
    ([op("remove", found('display eq "ada"'))], "?", "1 2 3"),
    ([op("remove", found('$ref eq "/Users/1"'))], "?", "1 2 3"),
    ([op("remove", found('members.value eq "1"'))], "?", "1 2 3"),
    ([op("remove", found('value.x eq "1"'))], "?", "1 2 3"),
    ([op("remove", found('urn:x:value eq "1"'))], "?", "1 2 3"),
    ([op("remove", found(f'{ONE} or type eq "User"'))], "?", "1 2 3"),
    ([op("remove", found('type eq "User"'), value=members("1"))], "?", "1 2 3"),
    # a replacement of all
    ([op("replace", "members", value=[])], "?", "1 2 3"),
    ([op("Replace", "MEMBERS", value=[])], "?", "1 2 3"),
    ([op("replace", "members", value=None)], "?", "1 2 3"),
    ([op("replace", "members", value=members("1"))], "?", "2 3"),
    ([op("replace", "members", value=members("1", "9"))], "?", "2 3"),
    ([op("replace", "members", value={"value": "1"})], "?", "2 3"),
    ([op("replace", f"{OLD}:members", value={"value": "1"})], "?", "2 3"),
    ([op("replace", value={f"{OLD}:members": {"value": "1"}})], "?", "2 3"),
    ([op("replace", f"{GROUP}:members", value=members("3"))], "?", "1 2"),
    ([op("replace", value={"members": []})], "?", "1 2 3"),
    ([op("replace", value={"Members": members("1", "2")})], "?", "3"),
    ([op("replace", value={"id": "g", "displayName": "x", "members": members("2")})], "?", "1 3"),
    ([op("replace", value={f"{GROUP}:members": []})], "?", "1 2 3"),
    ([op("replace", value={GROUP: {"members": members("2")}})], "?", "1 3"),
    ([op("replace", GROUP, value={"members": members("2")})], "?", "1 3"),
    ([op("replace", value={"members": None})], "?", "1 2 3"),
    # one member becomes another
    ([op("replace", found(ONE, ".value"), value="9")], "1", "1"),
    ([op("Replace", found(ONE, ".VALUE"), value="2")], "1", "1"),
    ([op("add", found(ONE, ".value"), value="9")], "1", "1"),
    ([op("replace", found(ONE, ".value"), value=None)], "1", "1"),
    ([op("replace", found(ONE, ".$ref"), value="/Users/9")], "1", "1"),
    ([op("replace", found(ONE, ".type"), value="Group")], "1", "1"),
    ([op("replace", found(ONE), value={"value": "9"})], "1", "1"),
    ([op("replace", found(ONE), value=members("9"))], "1", "1"),
    ([op("replace", found(f"{ONE} or {TWO}"), value=members("2"))], "1", "1"),
    ([op("replace", found(f"{ONE} or {TWO}"), value=members("1", "2"))], "1 2", "1 2"),
    ([op("replace", found(ONE), value=None)], "1", "1"),
    ([op("replace", found('type eq "User"', ".value"), value="1")], "?", "1 2 3"),
    ([op("replace", "members.value", value="1")], "?", "1 2 3"),
    ([op("replace", value={"members.value": "1"})], "?", "1 2 3"),
    # several operations, in order
    ([op("remove", found(ONE)), op("add", "members", value=members("2"))], "1", "1"),
    ([op("add", "members", value=members("1")), op("remove", found(ONE))], "1", "1"),
    ([op("remove", found(TWO)), op("replace", found(ONE), value=members("2"))], "2 1", "1 2"),
    ([op("remove", found(ONE)), op("add", "members", value=members("1")), op("remove", found(ONE))], "1", "1"),
    ([op("remove", found(f"{ONE} or {TWO}")), op("add", value={"members": members("2")})], "1", "1"),
    ([op("remove", "members"), op("add", "members", value=members("1"))], "?", "2 3"),
    ([op("replace", "members", value=[]), op("add", "members", value=members("1", "2"))], "?", "3"),
    ([op("replace", "members", value=members("1", "2")), op("remove", found(TWO))], "?", "2 3"),
    ([op("add", "members", value=members("1")), op("replace", "members", value=members("2"))], "?", "1 3"),
    ([op("add", "members", value=members("1")), op("remove", "members")], "?", "1 2 3"),
    ([op("replace", "displayName", value="x"), op("remove", found(ONE))], "1", "1"),
    # who stays must be exactly the one who went, not one who looks alike
    ([op("remove", found(ONE)), op("add", "members", value=members("\uff11"))], "1", "1"),
)  # fmt: skip

OTHER_TAKINGS: tuple[tuple[Write, Loss, str, str], ...] = (
    (Write("DELETE", "/Users/1"), Loss.DELETED, "1", "1"),
    (Write("DELETE", "/Users/a%40b"), Loss.DELETED, "a@b", "a@b"),
    (Write("PUT", "/Users/a%40b", {"active": False}), Loss.DEACTIVATED, "a@b", "a@b"),
    (patch("/Users/a%40b", OFF), Loss.DEACTIVATED, "a@b", "a@b"),
    # of /Me nobody is named
    (Write("DELETE", "/Me"), Loss.DELETED, "", ""),
    (Write("PUT", "/Me", {"active": "False"}), Loss.DEACTIVATED, "", ""),
    (patch("/Me", OFF), Loss.DEACTIVATED, "", ""),
    (patch("/Me", op("replace", value={f"{USER}:active": False})), Loss.DEACTIVATED, "", ""),
    (Write("DELETE", "/Groups/g"), Loss.REMOVED, "?", "1 2 3"),
    (Write("PUT", "/Groups/g", {"members": []}), Loss.REMOVED, "?", "1 2 3"),
    (Write("PUT", "/Groups/g", {"displayName": "x", "members": members("1")}), Loss.REMOVED, "?", "2 3"),
    (Write("PUT", "/Groups/g", {"schemas": [GROUP], "id": "g", "MEMBERS": members("1", "2")}), Loss.REMOVED, "?", "3"),
    (Write("PUT", "/Groups/g", {"members": {"value": "3"}}), Loss.REMOVED, "?", "1 2"),
    (Write("PUT", "/Groups/g", {f"{GROUP}:members": members("3", "9")}), Loss.REMOVED, "?", "1 2"),
    (Write("PUT", "/Groups/g", {GROUP: {"members": []}}), Loss.REMOVED, "?", "1 2 3"),
)

# Each is the whole list of operations of a PATCH of one user who keeps access.
KEEPING_USERS: tuple[list[Document], ...] = (
    [ON],
    [op("Add", "ACTIVE", value="True")],
    [op("replace", "active", value="tRUE")],
    [op("replace", value={"active": True})],
    [op("replace", value={f"{USER}:active": "true"})],
    [op("replace", USER, value={"active": True})],
    [OFF, ON],
    [OFF, OFF, op("replace", value={"active": "True"})],
    [op("replace", value={"active": False}), op("Add", USER, value={"Active": True})],
    [TITLE],
    [op("replace", value={"userName": "x", "name.givenName": "y"})],
    [op("remove", "title")],
    [op("remove", ENTERPRISE_SCHEMA)],
    [op("remove", 'emails[type eq "work"]')],
    [op("replace", "displayName", value="inactive")],
    [op("replace", 'emails[type eq "active"].value', value="false")],
    [op("replace", 'emails[type eq "work"].primary', value=False)],
    [op("replace", f"{CUSTOM}:active", value=False)],
    [op("remove", f"{CUSTOM}:active")],
    [op("replace", value={f"{CUSTOM}:active": False})],
    [op("replace", value={CUSTOM: {"active": False}})],
    [op("replace", value={f"{ENTERPRISE_SCHEMA}:active": None})],
    [op("replace", "isActive", value=False)],
    [op("replace", "name.active", value=False)],
    [op("replace", "members", value=[])],
    [op("replace", value={})],
)

# Each is a PATCH of a group that everybody stays in.
KEEPING_GROUPS: tuple[list[Document], ...] = (
    [op("add", "members", value=members("4"))],
    [op("Add", "members", value=[{"$ref": None, "value": "4"}])],
    [op("add", "members", value=[])],
    [op("add", "members", value=None)],
    [op("add", "MEMBERS", value={"value": "4"})],
    [op("add", value={"members": members("4", "5")})],
    [op("add", f"{GROUP}:members", value=members("4"))],
    [op("add", GROUP, value={"members": members("4")})],
    [op("replace", value={"id": "g", "displayName": "x"})],
    [op("Replace", "displayName", value="x")],
    [op("remove", "externalId")],
    [op("remove", "memberships")],
    [op("replace", "membership.value", value=[])],
    [op("remove", 'roles[value eq "1"]')],
    [op("replace", "active", value=False)],
    [op("replace", "members.display", value="x")],
    [op("remove", found(ONE, ".display"))],
    [op("replace", found('type eq "User"', ".display"), value="x")],
    [op("replace", found(ONE, ".value"), value="1")],
    [op("replace", found(ONE), value={"value": "1", "display": "x"})],
    [op("remove", found(ONE)), op("add", "members", value=members("1"))],
    [op("Remove", "members", value=members("1", "2")), op("Add", "members", value=members("2", "1"))],
    [op("remove", found(ONE)), op("remove", found(TWO)), op("add", value={"members": members("1", "2", "3")})],
    [op("replace", "urn:okta:custom:group:1.0:Group:members", value=[])],
    [op("replace", value={"urn:okta:custom:group:1.0:Group": {"members": []}})],
)

KEEPING: tuple[Write, ...] = (
    Write("GET", "/Users"),
    Write("GET", "/Users/1"),
    Write("GET", "/Groups/g"),
    Write("GET", "/Me"),
    Write("GET", "/Schemas"),
    Write("POST", "/Users", {"userName": "ada", "active": False}),
    Write("POST", "/Users", {"userName": "ada", "active": None}),
    Write("POST", "/Me", {"userName": "ada", "active": "False"}),
    Write("POST", "/Groups", {"displayName": "x", "members": []}),
    Write("POST", "/Groups", {"displayName": "x"}),
    Write("PUT", "/Users/1", {"active": True}),
    Write("PUT", "/Users/1", {"Active": "True", "title": None}),
    Write("PUT", "/Users/1", {"userName": "ada"}),
    Write("PUT", "/Users/1", {}),
    Write("PUT", "/Users/1", {"userName": "ada", CUSTOM: {"active": False}}),
    Write("PUT", "/Me", {"userName": "ada"}),
    patch("/Me", ON),
    Write("DELETE", "/Roles/1"),
    Write("PUT", "/Roles/1", {"active": False, "members": []}),
    patch("/Roles/1", OFF, op("remove", "members")),
    Write("POST", "/Bulk", {"Operations": [{"method": "DELETE", "path": "/Users/1"}]}),
    Write(
        "POST",
        "/Users/.search",
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": "active eq false"},
    ),
)


def _deep(depth: int) -> str:
    """A value filter that nests so deeply; the brackets around it are one more."""
    return "(" * (depth - 2) + ONE + ")" * (depth - 2)


LONG = " or ".join([ONE] * 400)

# What can be read in two ways, or not at all.
AMBIGUOUS: tuple[tuple[Write, Reason], ...] = (
    *(
        (patch(path, operation), Reason.VALUE_MALFORMED)
        for path in ("/Users/1", "/Me")
        for operation in (
            op("remove", "active"),
            op("Remove", "ACTIVE"),
            op("remove", "active", value=True),
            op("remove", f"{USER}:active"),
            op("replace", "active", value=None),
            op("add", "active", value=None),
            op("replace", value={"active": None}),
            op("replace", value={USER: {"active": None}}),
            op("replace", "active", value=0),
            op("replace", "active", value="no"),
            op("replace", "active", value=""),
            op("replace", "active", value=" false"),
            op("replace", "active", value=[False]),
            op("replace", "active", value={"value": False}),
            op("replace", "active.value", value=False),
            op("replace", "active[value eq true]", value=False),
        )
    ),
    (patch("/Users/1", op("remove", "active"), ON), Reason.VALUE_MALFORMED),
    (patch("/Users/1", ON, op("replace", "active", value=None)), Reason.VALUE_MALFORMED),
    (Write("PUT", "/Users/1", {"active": None}), Reason.VALUE_MALFORMED),
    (Write("PUT", "/Me", {"ACTIVE": None}), Reason.VALUE_MALFORMED),
    (Write("PUT", "/Users/1", {USER: {"active": None}}), Reason.VALUE_MALFORMED),
    (Write("PUT", "/Users/1", {"active": "inactive"}), Reason.VALUE_MALFORMED),
    (Write("PUT", "/Users/1", {"active": True, "Active": False}), Reason.MESSAGE_MALFORMED),
    (Write("PUT", "/Users/1", {"active": True, f"{USER}:active": False}), Reason.MESSAGE_MALFORMED),
    (Write("PUT", "/Users/1", {"active": True, USER: {"active": False}}), Reason.MESSAGE_MALFORMED),
    (patch("/Users/1", op("replace", value={"active": True, "ACTIVE": False})), Reason.PATCH_MALFORMED),
    (patch("/Users/1", op("replace", value={"active": True, f"{USER}:active": False})), Reason.PATCH_MALFORMED),
    (patch("/Users/1", op("replace", value={" active": False})), Reason.PATCH_MALFORMED),
    (patch("/Users/1", op("disable", "active", value=False)), Reason.PATCH_MALFORMED),
    (patch("/Users/1", op("", "active", value=False)), Reason.PATCH_MALFORMED),
    (patch("/Users/1", {"path": "active", "value": False}), Reason.PATCH_MALFORMED),
    (patch("/Users/1", op("replace", "active")), Reason.PATCH_MALFORMED),
    (patch("/Users/1", op("remove", value={"active": True})), Reason.PATCH_MALFORMED),
    (patch("/Users/1", op("replace", "", value=False)), Reason.PATH_MALFORMED),
    (patch("/Users/1", op("replace", "/active", value=False)), Reason.PATH_MALFORMED),
    (patch("/Users/1", op("replace", "active ", value=False)), Reason.PATH_MALFORMED),
    (patch("/Users/1", op("replace", f"{USER}.active", value=False)), Reason.PATH_MALFORMED),
    (patch("/Users/1", op("remove", USER)), Reason.PATH_MALFORMED),
    (Write("PUT", "/Groups/g", {"displayName": "x"}), Reason.MEMBERS_MISSING),
    (Write("PUT", "/Groups/g", {"displayName": "x", "members": None}), Reason.MEMBERS_MISSING),
    (Write("PUT", "/Groups/g", {}), Reason.MEMBERS_MISSING),
    (Write("PUT", "/Groups/g", {"members.value": "1"}), Reason.MEMBERS_MISSING),
    (Write("PUT", "/Groups/g", {"urn:x:2.0:Group:members": members("1")}), Reason.MEMBERS_MISSING),
    (Write("PUT", "/Groups/g", {"members": members("1"), "MEMBERS": []}), Reason.MESSAGE_MALFORMED),
    (Write("PUT", "/Groups/g", {"members": ["1"]}), Reason.VALUE_MALFORMED),
    (Write("PUT", "/Groups/g", {"members": [{"$ref": "/Users/1"}]}), Reason.VALUE_MALFORMED),
    (patch("/Groups/g", op("remove", "members", value=["1"])), Reason.VALUE_MALFORMED),
    (patch("/Groups/g", op("remove", "members", value="1")), Reason.VALUE_MALFORMED),
    (patch("/Groups/g", op("replace", found(ONE), value={"display": "x"})), Reason.VALUE_MALFORMED),
    (patch("/Groups/g", op("replace", value={found(ONE): None})), Reason.PATCH_MALFORMED),
    (patch("/Groups/g", op("replace", value={"members": [], f"{GROUP}:members": []})), Reason.PATCH_MALFORMED),
    (patch("/Groups/g", op("remove", GROUP)), Reason.PATH_MALFORMED),
    (patch("/Groups/g", op("remove", found(""))), Reason.PATH_MALFORMED),
    (patch("/Groups/g", op("remove", found("value is 1"))), Reason.PATH_MALFORMED),
    (patch("/Groups/g", op("remove", found(f"{ONE}; {TWO}"))), Reason.PATH_MALFORMED),
    (patch("/Groups/g", op("remove", found(_deep(9)))), Reason.PATH_MALFORMED),
    (patch("/Groups/g", op("remove", found(LONG))), Reason.PATH_MALFORMED),
)

AS_DEEP_AS_ALLOWED = patch("/Groups/g", op("remove", found(_deep(8))))
