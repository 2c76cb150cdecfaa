"""Whom a line of the audit log concerns, by which names, and which names stand for one person. Pure.

A name is (kind, value): `id` at the application, `userName`, `externalId`. Names that stand together in one entry of
`people` are one person's, within a tenant; so a search by one finds what the others say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote

from gateway.audit.records import Record, text_of, texts_of

ID, USER_NAME, EXTERNAL_ID = "id", "userName", "externalId"
KINDS = (USER_NAME, ID, EXTERNAL_ID)
MOST_NAMES = 64  # of one person: whoever has more is no person, but a value that a client gives to everybody

Name: TypeAlias = tuple[str, str]

_USERS = "/Users/"
_COLLECTIONS = ("/Users", "/Groups")
_WITHIN = ("/Users/", "/Groups/")
_NOBODY: Record = {}


def folded(value: str) -> str:
    """As names are compared: without case, as SCIM does."""
    return value.casefold()


def tenant_of(record: Record) -> str:
    """The tenant that a line is about; a notice has it among its details."""
    return text_of(record, "tenant") or text_of(details_of(record), "tenant")


def details_of(record: Record) -> Record:
    """What a notice says more; nothing for other lines."""
    details = record.get("details")
    return details if isinstance(details, dict) else _NOBODY


def names_of(record: Record) -> list[Name]:
    """Every name of every person on a line, as it is written there."""
    found: list[Name] = []
    people = record.get("people")
    for person in people if isinstance(people, list) else ():
        if isinstance(person, dict):
            for kind, value in person.items():
                if kind in KINDS and isinstance(value, str):
                    found.append((kind, value))
    if "lost" in record:
        found += [(ID, value) for value in texts_of(record, "lost")]
    resource = record.get("resource")
    if resource is None and "path" in record:
        resource = address_in(text_of(record, "path"))
    if isinstance(resource, str) and resource.startswith(_USERS):
        found.append((ID, _id_in(resource)))
    if "resource_name" in record and text_of(record, "operation").startswith("user."):
        found.append((USER_NAME, text_of(record, "resource_name")))
    if "details" in record:
        found += _names_in_a_notice(details_of(record))
    return found


def _names_in_a_notice(details: Record) -> Iterator[Name]:
    """A wave names the write that tripped it: "anna@example.com (/Users/1)", or the path alone."""
    name, _, path = text_of(details, "whom").rpartition(" (")
    if (path := path.rstrip(")")).startswith(_USERS):
        yield ID, _id_in(path)
        if name:
            yield USER_NAME, name


def address_in(path: str) -> str:
    """The SCIM address at the end of the path of a request that was refused before it was understood; "" for none.

    Nobody says how much of a path is the tenant's, so the last collection in it counts.
    """
    starts = [start for start in map(path.rfind, _COLLECTIONS) if start >= 0]
    address = path[max(starts) :] if starts else ""
    return address if address in _COLLECTIONS or address.startswith(_WITHIN) else ""


def _id_in(path: str) -> str:
    identifier = path[len(_USERS) :].partition("/")[0]
    return unquote(identifier) if "%" in identifier else identifier


def entries_of(record: Record) -> Iterator[list[Name]]:
    """The names of each person of whom a line gives more than one."""
    people = record.get("people")
    for person in people if isinstance(people, list) else ():
        if isinstance(person, dict) and len(person) > 1:
            names = [(kind, value) for kind in KINDS if isinstance(value := person.get(kind), str)]
            if len(names) > 1:
                yield names


@dataclass(slots=True)
class Person:
    """One person as a log tells of them: grows while lines are learnt from. `asked` is the name that was asked for."""

    asked: str
    tenant: str | None = None  # the only one whose lines count; None: every tenant's
    known: dict[tuple[str, Name], str] = field(default_factory=dict)  # (tenant, folded name) -> as it is written
    is_cut: bool = False  # there were more names than MOST_NAMES

    def learn(self, record: Record) -> set[str]:
        """Take up the names that a line has beside known ones; the values that are new, folded."""
        new: set[str] = set()
        tenant, asked = tenant_of(record), folded(self.asked)
        if self.tenant not in (None, tenant):
            return new
        for names in entries_of(record):
            keys = [(tenant, (kind, folded(value))) for kind, value in names]
            if not any(key in self.known or key[1][1] == asked for key in keys):
                continue
            for key, (_, value) in zip(keys, names, strict=True):
                if key in self.known:
                    continue
                if len(self.known) >= MOST_NAMES:
                    self.is_cut = True
                    return new
                self.known[key] = value
                new.add(key[1][1])
        return new - {asked}

    def is_on(self, record: Record) -> bool:
        """Whether a line concerns this person."""
        tenant, asked = tenant_of(record), folded(self.asked)
        return any(
            (value := folded(name)) == asked or (tenant, (kind, value)) in self.known for kind, name in names_of(record)
        )

    @property
    def values(self) -> frozenset[str]:
        """All names, folded, whatever their kind."""
        return frozenset((folded(self.asked), *(value for _, (_, value) in self.known)))

    def names(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Tenant -> kind -> the names that were taken as the same person, as they are written."""
        told: dict[str, dict[str, tuple[str, ...]]] = {}
        for (tenant, (kind, _)), value in self.known.items():
            of_tenant = told.setdefault(tenant, {})
            of_tenant[kind] = (*of_tenant.get(kind, ()), value)
        return told


def ids_that_differ(names: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The ids, where there is more than one: then a name may have gone on to another person."""
    ids = tuple(names.get(ID, ()))
    return ids if len(ids) > 1 else ()
