"""Who is judged to lose access, against who is missing once a real SCIM application has executed the write.

The application is scim2-server, in this process. It takes what its policy can be told to take: a removal's list of
members, as Entra sends it, which RFC 7644 section 3.5.2.2 does not know. It goes beyond the RFC in one thing: a
member's `value` is immutable, so it refuses to make one member another (tests/scim/access_cases.py judges that).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import ScimPolicy, ScimProvider
from scim2_server.applications.wsgi import WSGIApplication
from scim2_server.memory import InMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.utils import load_default_resource_types, load_default_schemas, load_default_service_provider_config

from gateway.scim.access import Taking
from gateway.scim.addresses import read_address
from gateway.scim.documents import Document, JsonValue
from gateway.scim.operations import understand
from tests.scim.access_cases import (
    DEACTIVATING,
    GROUP,
    KEEPING_GROUPS,
    KEEPING_USERS,
    LEAVING,
    OLD,
    PRESENT,
    USER,
    Write,
    found,
    members,
    op,
    patch,
)

SETTINGS = settings(max_examples=150)


class Server:
    """A SCIM application with one user and one group at a time."""

    def __init__(self) -> None:
        provider = ScimProvider.from_discovery(
            load_default_schemas().values(),
            load_default_resource_types().values(),
            config=load_default_service_provider_config(),
            policy=ScimPolicy(remove_value_as_filter=ScimPolicy.RemoveValue.apply, unknown=ScimPolicy.Unknown.ignore),
        )
        self._users = 0
        self._application = WSGIApplication(InMemoryStorage(), provider)

    def ask(self, method: str, path: str, document: Document | None = None) -> tuple[int, Any]:
        body = b"" if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/scim+json"}
        answer = self._application.serve(ScimRequest(method, "http://inside/v2", path, {}, headers, body))
        return int(answer.status), answer.body

    def create(self, endpoint: str, document: Document) -> str:
        """The path of a new resource."""
        status, resource = self.ask("POST", endpoint, document)
        assert status == 201
        return f"{endpoint}/{resource['id']}"

    def user(self) -> str:
        self._users += 1
        mail: JsonValue = [{"type": "work", "value": "a@b.c"}]
        user: Document = {"schemas": [USER], "userName": f"user{self._users}", "active": True, "emails": mail}
        return self.create("/Users", user)

    def group_of(self, present: Iterable[str]) -> str:
        return self.create("/Groups", {"schemas": [GROUP], "displayName": "g", "members": members(*present)})

    def members_of(self, path: str) -> set[str]:
        status, group = self.ask("GET", path)
        return {member["value"] for member in group.get("members", ())} if status == 200 else set()


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


def taken_by(write: Write) -> Taking | None:
    return understand(write.method, read_address(write.path, ()), write.document).takes


def lost_and_missing(server: Server, write: Write, present: set[str]) -> tuple[frozenset[str], set[str]] | None:
    """Whom the write is judged to take out of a group, and who is missing afterwards; None when it was refused."""
    group = server.group_of(present)
    taking = taken_by(write)
    status, _ = server.ask(write.method, group, write.document)
    missing = present - server.members_of(group)
    server.ask("DELETE", group)
    if status >= 400:
        return None
    return taking.lost(present) if taking else frozenset(), missing


Operations: TypeAlias = list[Document]
_ids = st.sampled_from([str(number) for number in range(8)])
_groups = st.sets(_ids, max_size=6)
_lists = st.lists(_ids, max_size=5).map(lambda ids: members(*ids))
_named_lists = st.lists(_ids, min_size=1, max_size=4).map(lambda ids: members(*ids))
_named_filters = st.lists(_ids, min_size=1, max_size=4).map(
    lambda ids: found(" or ".join(f'value eq "{identifier}"' for identifier in ids))
)
_plain_operations: st.SearchStrategy[Operations] = st.lists(
    st.one_of(
        st.builds(lambda value: op("Add", "members", value=value), _named_lists),
        st.builds(lambda value: op("add", value={"members": value}), _named_lists),
        st.builds(lambda path: op("remove", path), _named_filters),
        st.builds(lambda value: op("Remove", "Members", value=value), _named_lists),
        st.builds(lambda value: op("replace", "members", value=value), _lists),
        st.builds(lambda value: op("replace", value={f"{GROUP}:members": value}), _lists),
        st.just(op("remove", "members")),
        st.just(op("replace", "displayName", value="x")),
    ),
    min_size=1,
    max_size=5,
)
_writes = st.one_of(
    _plain_operations.map(lambda operations: patch("/Groups/g", *operations)),
    _lists.map(lambda listed: Write("PUT", "/Groups/g", {"schemas": [GROUP], "displayName": "g", "members": listed})),
    st.just(Write("DELETE", "/Groups/g")),
)


@SETTINGS
@given(write=_writes, present=_groups)
def test_exactly_those_judged_to_leave_a_group_are_missing_afterwards(
    server: Server, write: Write, present: set[str]
) -> None:
    executed = lost_and_missing(server, write, present)

    assert executed is not None
    assert executed[0] == executed[1]


@SETTINGS
@given(operations=_plain_operations, present=_groups)
def test_the_people_a_request_names_are_those_who_leave_and_are_there(
    server: Server, operations: Operations, present: set[str]
) -> None:
    write = patch("/Groups/g", *operations)
    taking = taken_by(write)
    executed = lost_and_missing(server, write, present)

    assert executed is not None
    if taking is None or not taking.needs_members:
        assert present & set(taking.people if taking else ()) == executed[1]


_comparisons = st.builds(
    lambda attribute, operator, identifier: f'{attribute} {operator} "{identifier}"',
    st.sampled_from(["value", "Value", "type", "display"]),
    st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "le"]),
    _ids,
)
_filters = st.recursive(
    _comparisons | st.just("value pr"),
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a} and {b})", inner, inner),
        st.builds(lambda a, b: f"({a} or {b})", inner, inner),
        inner.map(lambda a: f"not ({a})"),
    ),
    max_leaves=4,
)


@SETTINGS
@given(
    operations=st.lists(
        st.builds(lambda condition: op("remove", found(condition)), _filters) | _plain_operations.map(lambda o: o[0]),
        min_size=1,
        max_size=4,
    ),
    present=_groups,
)
def test_nobody_is_missing_whom_no_filter_was_judged_to_find(
    server: Server, operations: Operations, present: set[str]
) -> None:
    executed = lost_and_missing(server, patch("/Groups/g", *operations), present)

    assert executed is not None
    assert executed[0] >= executed[1]


def ends_active(server: Server, operations: Operations) -> bool | None:
    """Whether an active user still is after a PATCH; None when it was refused."""
    user = server.user()
    status, _ = server.ask("PATCH", user, patch(user, *operations).document)
    _, after = server.ask("GET", user)
    return bool(after["active"]) if status < 400 else None


def known_here(operations: Operations) -> bool:
    """The application knows no SCIM 1.1, and passes over what stands under its schema."""
    return OLD not in json.dumps(operations)


DEACTIVATIONS = [operations for operations in DEACTIVATING if known_here(operations)]


@SETTINGS
@given(st.lists(st.sampled_from([*DEACTIVATIONS, *KEEPING_USERS]), min_size=1, max_size=4))
def test_a_user_is_judged_deactivated_exactly_when_it_ends_inactive(server: Server, spelled: list[Operations]) -> None:
    operations = list(chain.from_iterable(spelled))
    active = ends_active(server, operations)

    if active is not None:
        assert (taken_by(patch("/Users/1", *operations)) is None) is active


def test_the_tables_of_users_hold_where_the_application_takes_them(server: Server) -> None:
    ended = [ends_active(server, operations) for operations in DEACTIVATIONS]
    kept = [ends_active(server, operations) for operations in KEEPING_USERS]

    assert set(ended) <= {False, None}
    assert set(kept) <= {True, None}
    assert (ended + kept).count(None) < 5


def test_the_tables_of_groups_hold_where_the_application_takes_them(server: Server) -> None:
    tables = [*(operations for operations, *_ in LEAVING), *KEEPING_GROUPS]
    executed = [lost_and_missing(server, patch("/Groups/g", *operations), set(PRESENT)) for operations in tables]

    assert executed.count(None) < len(tables) / 3  # one member may not become another here
    assert all(pair is None or pair[0] >= pair[1] for pair in executed)
