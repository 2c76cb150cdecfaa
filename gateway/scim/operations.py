"""Operations: what a SCIM request would do, to what, and whom it concerns. Pure.

The names are the words of policies, audit lines and metrics. A PATCH gets a name of its own
(`user.deactivate`, `group.members.add`) only when it does that and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.refusal import Reason, Refusal
from gateway.scim import v11
from gateway.scim.access import Taking, taken
from gateway.scim.addresses import Address, Kind, methods_of
from gateway.scim.attributes import attributes_of, check_schemas, schemas_of, value_of
from gateway.scim.documents import Document, JsonValue
from gateway.scim.filters import And, Comparison, Filter, Operator, Or, parse_filter
from gateway.scim.patches import Change, Op, read_patch
from gateway.scim.values import read_active, read_members, wrong_value
from gateway.scim.versions import Version

SEARCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

_SUBJECTS = {
    Kind.USERS: "user",
    Kind.GROUPS: "group",
    Kind.ME: "me",
    Kind.ROOT: "root",
    Kind.EXTENSION: "extension",
    Kind.SERVICE_PROVIDER_CONFIG: "discovery",
    Kind.SCHEMAS: "discovery",
    Kind.RESOURCE_TYPES: "discovery",
    Kind.BULK: "bulk",
}
_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
_READS = ("get", "list", "search")

NAMES: frozenset[str] = frozenset(
    {f"{subject}.{verb}" for subject in ("user", "group", "extension") for verb in (*_VERBS.values(), *_READS)}
    | {f"me.{verb}" for verb in (*_VERBS.values(), "get")}
    | {"user.activate", "user.deactivate", "group.rename"}
    | {"group.members.add", "group.members.remove", "group.members.replace"}
    | {"discovery.get", "root.list", "root.search", "bulk"}
)

_MEMBERSHIP = {Op.ADD: "group.members.add", Op.REMOVE: "group.members.remove", Op.REPLACE: "group.members.replace"}
_CLEARS_MEMBERS = Change(Op.REMOVE, "members")
_TEXTS = frozenset({"id", "externalId", "userName", "displayName"})
_SIMPLE = _TEXTS | {"active"}


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody an operation concerns, by whatever names the request gives; nothing percent-encoded."""

    id: str | None = None
    user_name: str | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Understanding:
    """The meaning of a request."""

    name: str  # one of NAMES
    attributes: tuple[str, ...] = ()  # names it writes, as attribute_name spells them; never values
    people: tuple[Who, ...] = ()  # of a group: the members that the request names
    resource_name: str | None = None  # the userName or displayName that it gives
    takes: Taking | None = None  # whose access; None when nobody loses any
    changes: tuple[Change, ...] = ()  # all that it writes, with the values

    @property
    def writes(self) -> bool:
        """Whether it may change anything upstream."""
        return self.name.rpartition(".")[2] not in _READS


def understand(
    method: str, address: Address, document: Document | None, version: Version = Version.V2_0
) -> Understanding:
    """Say what a request would do; the document is its body, None for none.

    Raises:
        Refusal: METHOD_NOT_ALLOWED, BODY_MISSING, MESSAGE_MALFORMED, PATCH_MALFORMED, PATH_MALFORMED,
            FILTER_MALFORMED, VALUE_MALFORMED, MEMBERS_MISSING.
    """
    allowed = methods_of(address)
    if method not in allowed:
        raise Refusal(Reason.METHOD_NOT_ALLOWED, allow=allowed)
    subject = _SUBJECTS[address.kind]
    if method == "GET":
        return Understanding(f"{subject}.{_reading_verb(address)}", people=_people(address, (), {}))
    if method == "DELETE":
        people = _people(address, (), {})
        return Understanding(f"{subject}.delete", people=people, takes=taken(method, address, ()))
    if document is None:
        raise Refusal(Reason.BODY_MISSING)
    if address.kind is Kind.BULK:
        return Understanding(subject)
    if address.search:
        _check_search(document)
        return Understanding(f"{subject}.search")
    changes = _read_changes(method, document, version)
    _check_values(address, changes)
    texts = _texts(changes)
    return Understanding(
        name=_name_of_patch(address, changes) if method == "PATCH" else f"{subject}.{_VERBS[method]}",
        attributes=tuple(dict.fromkeys(change.attribute for change in changes)),
        people=_people(address, changes, texts),
        resource_name=texts.get("userName") or texts.get("displayName"),
        takes=taken(method, address, changes),
        changes=changes,
    )


def _reading_verb(address: Address) -> str:
    if address.kind is Kind.ROOT:
        return "list"
    is_collection = address.resource_id is None and address.kind in (Kind.USERS, Kind.GROUPS, Kind.EXTENSION)
    return "list" if is_collection else "get"


def _read_changes(method: str, document: Document, version: Version) -> tuple[Change, ...]:
    if version is Version.V1_1:
        return v11.read_partial(document) if method == "PATCH" else v11.read_resource(document)
    changes = read_patch(document) if method == "PATCH" else _read_resource(document)
    for change in changes:
        if change.attribute == "members" and v11.holds_operations(change.value):
            # SECURITY: SCIM 1.1 removes whom it marks so, and an upstream that speaks both versions may do it here.
            raise wrong_value("members", "holds an operation, which is SCIM 1.1's")
    return changes


def _read_resource(document: Document) -> tuple[Change, ...]:
    check_schemas(document)
    written = attributes_of(document, Reason.MESSAGE_MALFORMED)
    return tuple(Change(Op.REPLACE, name, value) for name, value in written.items())


def _check_search(document: Document) -> None:
    if SEARCH_SCHEMA.lower() not in schemas_of(document):
        raise Refusal(Reason.MESSAGE_MALFORMED, note="without the SearchRequest schema")
    condition = value_of(document, "filter")
    if isinstance(condition, str):
        parse_filter(condition)
    elif condition is not None:
        raise Refusal(Reason.FILTER_MALFORMED, note="a filter that is no string")


def _check_values(address: Address, changes: tuple[Change, ...]) -> None:
    """Refuse values of the wrong type where we, or a guard behind us, go by them."""
    for change in changes:
        attribute, dot, _ = change.attribute.partition(".")
        if attribute not in _SIMPLE or address.kind is Kind.EXTENSION:
            continue
        if dot or change.filter is not None:
            raise wrong_value(attribute, "has neither sub-attributes nor a filter")
        if attribute == "active":
            read_active(change.value)
        elif not isinstance(change.value, str | None):
            raise wrong_value(attribute, "is a string")
        if attribute == "id":
            _check_id(address, change.value)


def _check_id(address: Address, given: JsonValue) -> None:
    # SECURITY: a server that believes the body's id would write to another resource than the one judged.
    if address.resource_id is None or given is None:
        return
    if not isinstance(given, str) or given.casefold() != unquote(address.resource_id).casefold():
        raise wrong_value("id", "is another one than the address names")


def _name_of_patch(address: Address, changes: tuple[Change, ...]) -> str:
    # Okta repeats the id in path-less values and partial resources.
    changes = tuple(change for change in changes if change.attribute != "id" or change.op is Op.REMOVE)
    attributes = {change.attribute for change in changes} - {"id"}
    ops = {change.op for change in changes}
    if address.kind is Kind.USERS and attributes == {"active"} and Op.REMOVE not in ops:
        states = {read_active(change.value) for change in changes if change.attribute == "active"}
        if states in ({True}, {False}):
            return "user.activate" if states == {True} else "user.deactivate"
    if address.kind is Kind.GROUPS and attributes == {"members"}:
        return _name_of_membership(changes)
    if address.kind is Kind.GROUPS and attributes | {"externalId"} == {"displayName", "externalId"}:
        return "group.patch" if Op.REMOVE in ops or "displayName" not in attributes else "group.rename"
    return f"{_SUBJECTS[address.kind]}.patch"


def _name_of_membership(changes: tuple[Change, ...]) -> str:
    """Of changes on `members` alone; to replace one found by a filter is no whole replacement."""
    first, *rest = changes
    ops = {change.op for change in changes}
    if first == _CLEARS_MEMBERS and all(change.op is Op.ADD and change.filter is None for change in rest) and rest:
        return "group.members.replace"
    if len(ops) > 1 or (first.op is not Op.REMOVE and any(change.filter is not None for change in changes)):
        return "group.patch"
    return _MEMBERSHIP[first.op]


def _people(address: Address, changes: tuple[Change, ...], texts: dict[str, str]) -> tuple[Who, ...]:
    if address.kind is Kind.GROUPS:
        return tuple(Who(id=member) for member in dict.fromkeys(_members(changes)))
    if address.kind not in (Kind.USERS, Kind.ME):
        return ()
    resource_id = unquote(address.resource_id) if address.resource_id else None
    who = Who(resource_id, texts.get("userName"), texts.get("externalId"))
    return () if who == Who() else (who,)


def _members(changes: tuple[Change, ...]) -> Iterable[str]:
    for change in changes:
        if change.attribute.partition(".")[0] == "members":
            yield from _ids_in_filter(change.filter)
        if change.attribute == "members":
            yield from read_members(change.value)
        elif change.attribute == "members.value" and isinstance(change.value, str):
            yield change.value


def _ids_in_filter(condition: Filter | None) -> Iterable[str]:
    match condition:
        case And(terms) | Or(terms):
            for term in terms:
                yield from _ids_in_filter(term)
        case Comparison(path, Operator.EQ, str(identifier)) if path.attribute.lower() == "value":
            yield identifier


def _texts(changes: tuple[Change, ...]) -> dict[str, str]:
    """The strings that attributes are set to; the last one counts."""
    given = (change for change in changes if change.op is not Op.REMOVE)
    return {change.attribute: change.value for change in given if isinstance(change.value, str)}
