"""PatchOp messages of every dialect become the same list of changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.scim.documents import Document, JsonValue
from gateway.scim.filters import parse_filter
from gateway.scim.patches import PATCH_SCHEMA, Change, Op, read_patch
from gateway.scim.paths import ENTERPRISE_SCHEMA

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


def patch(*operations: JsonValue) -> Document:
    return {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}


@pytest.mark.parametrize(
    ("operation", "changes"),
    [
        ({"op": "replace", "value": {"active": False}}, [Change(Op.REPLACE, "active", False)]),
        ({"op": "Replace", "path": "active", "value": "False"}, [Change(Op.REPLACE, "active", "False")]),
        ({"OP": "ADD", "PATH": "Active", "VALUE": True}, [Change(Op.ADD, "active", True)]),
        ({"op": "replace", "path": None, "value": {"active": False}}, [Change(Op.REPLACE, "active", False)]),
        ({"op": "replace", "path": f"{CORE}:active", "value": False}, [Change(Op.REPLACE, "active", False)]),
        ({"op": "replace", "path": CORE, "value": {"active": False}}, [Change(Op.REPLACE, "active", False)]),
        ({"op": "replace", "value": {CORE: {"active": False}}}, [Change(Op.REPLACE, "active", False)]),
        (
            {"op": "replace", "value": {"displayName": "A", "name.givenName": "B"}},
            [Change(Op.REPLACE, "displayName", "A"), Change(Op.REPLACE, "name.givenName", "B")],
        ),
        ({"op": "add", "path": "name", "value": {"givenName": "B"}}, [Change(Op.ADD, "name.givenName", "B")]),
        ({"op": "replace", "path": "name.givenName", "value": None}, [Change(Op.REPLACE, "name.givenName", None)]),
        (
            {"op": "Add", "path": ENTERPRISE_SCHEMA, "value": {"department": "D"}},
            [Change(Op.ADD, f"{ENTERPRISE_SCHEMA}:department", "D")],
        ),
        ({"op": "remove", "path": ENTERPRISE_SCHEMA}, [Change(Op.REMOVE, ENTERPRISE_SCHEMA)]),
        (
            {"op": "remove", "path": 'members[value eq "1"]'},
            [Change(Op.REMOVE, "members", None, parse_filter('value eq "1"'))],
        ),
        (
            {"op": "Remove", "path": "members", "value": [{"value": "1"}]},
            [Change(Op.REMOVE, "members", [{"value": "1"}])],
        ),
        (
            {"op": "replace", "path": 'emails[type eq "work"].value', "value": "a@b.c"},
            [Change(Op.REPLACE, "emails.value", "a@b.c", parse_filter('type eq "work"'))],
        ),
        ({"op": "replace", "path": "members", "value": []}, [Change(Op.REPLACE, "members", [])]),
        ({"op": "add", "name": "addMember", "path": "members", "value": []}, [Change(Op.ADD, "members", [])]),
    ],
)
def test_an_operation_is_read_in_every_dialect(operation: JsonValue, changes: list[Change]) -> None:
    assert read_patch(patch(operation)) == tuple(changes)


def test_changes_keep_the_order_of_their_operations() -> None:
    document = patch({"op": "remove", "path": "title"}, {"op": "add", "path": "title", "value": "B"})

    assert [change.op for change in read_patch(document)] == [Op.REMOVE, Op.ADD]


def test_names_of_the_message_and_its_schema_are_read_in_any_case() -> None:
    operation: JsonValue = {"op": "remove", "path": "title"}

    assert read_patch({"SCHEMAS": [PATCH_SCHEMA.upper(), "urn:x"], "operations": [operation], "id": "1"})


GOOD: JsonValue = {"op": "remove", "path": "title"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, Reason.PATCH_MALFORMED),
        ({"Operations": [GOOD]}, Reason.PATCH_MALFORMED),
        ({"schemas": [CORE], "Operations": [GOOD]}, Reason.PATCH_MALFORMED),
        ({"schemas": PATCH_SCHEMA, "Operations": [GOOD]}, Reason.PATCH_MALFORMED),
        ({"schemas": [PATCH_SCHEMA]}, Reason.PATCH_MALFORMED),
        ({"schemas": [PATCH_SCHEMA], "Operations": None}, Reason.PATCH_MALFORMED),
        ({"schemas": [PATCH_SCHEMA], "Operations": GOOD}, Reason.PATCH_MALFORMED),
        ({"schemas": [PATCH_SCHEMA], "Operations": [GOOD], "active": False}, Reason.PATCH_MALFORMED),
        ({"schemas": [PATCH_SCHEMA], "Operations": [GOOD], "members": []}, Reason.PATCH_MALFORMED),
        ({"schemas": ["urn:scim:schemas:core:1.0"], "active": False}, Reason.PATCH_MALFORMED),  # SCIM 1.1
        (patch(), Reason.PATCH_MALFORMED),
        (patch(None), Reason.PATCH_MALFORMED),
        (patch("remove"), Reason.PATCH_MALFORMED),
        (patch([GOOD]), Reason.PATCH_MALFORMED),
        (patch(GOOD, {}), Reason.PATCH_MALFORMED),
        (patch({"op": None, "path": "a"}), Reason.PATCH_MALFORMED),
        (patch({"op": 1, "path": "a"}), Reason.PATCH_MALFORMED),
        (patch({"op": "delete", "path": "a"}), Reason.PATCH_MALFORMED),
        (patch({"op": " add", "path": "a", "value": 1}), Reason.PATCH_MALFORMED),
        (patch({"op": "add", "path": "a"}), Reason.PATCH_MALFORMED),
        (patch({"op": "replace", "path": "a"}), Reason.PATCH_MALFORMED),
        (patch({"op": "remove"}), Reason.PATCH_MALFORMED),
        (patch({"op": "remove", "value": {"active": True}}), Reason.PATCH_MALFORMED),
        (patch({"op": "add", "value": None}), Reason.PATCH_MALFORMED),
        (patch({"op": "add", "value": "x"}), Reason.PATCH_MALFORMED),
        (patch({"op": "add", "value": [{"active": False}]}), Reason.PATCH_MALFORMED),
        (patch({"op": "add", "path": CORE, "value": "x"}), Reason.PATCH_MALFORMED),
        (patch({"op": "add", "path": ENTERPRISE_SCHEMA, "value": [{}]}), Reason.PATCH_MALFORMED),
        (patch({"op": "replace", "value": {"active": True, f"{CORE}:active": False}}), Reason.PATCH_MALFORMED),
        (patch({"op": "replace", "value": {'members[value eq "1"]': []}}), Reason.PATCH_MALFORMED),
        (patch({"op": "remove", "path": CORE}), Reason.PATH_MALFORMED),
        (patch({"op": "remove", "path": ""}), Reason.PATH_MALFORMED),
        (patch({"op": "remove", "path": 1}), Reason.PATH_MALFORMED),
        (patch({"op": "remove", "path": ["members"]}), Reason.PATH_MALFORMED),
        (patch({"op": "remove", "path": "members[value eq 1"}), Reason.PATH_MALFORMED),
    ],
)
def test_what_is_no_patch_is_refused(document: Document, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        read_patch(document)

    assert refused.value.reason is reason


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    _SCALARS | st.sampled_from(["add", "remove", "active", "members", CORE, 'a[b eq "c"].d']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["op", "path", "value", "active", "name", CORE]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.lists(_VALUES | st.fixed_dictionaries({"op": st.just("add"), "path": _VALUES, "value": _VALUES}), max_size=3))
def test_no_operations_make_the_reader_fall(operations: list[JsonValue]) -> None:
    try:
        read_patch(patch(*operations))
    except Refusal as refusal:
        assert refusal.reason in (Reason.PATCH_MALFORMED, Reason.PATH_MALFORMED, Reason.VALUE_MALFORMED)
