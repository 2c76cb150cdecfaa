"""PATCH paths (RFC 7644 section 3.5.2, figure 7) and the names of attributes, one spelling for each. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.refusal import Reason, Refusal
from gateway.scim.filters import MAX_FILTER_BYTES, Filter, parse_value_filter, read_attribute_path

ENTERPRISE_SCHEMA = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

_ENTERPRISE_FOLDED = ENTERPRISE_SCHEMA.lower()
_CORE_OF_SCIM_1 = "urn:scim:schemas:core:1.0"
_CORE_SCHEMAS = (
    "urn:ietf:params:scim:schemas:core:2.0:user",
    "urn:ietf:params:scim:schemas:core:2.0:group",
    _CORE_OF_SCIM_1,
)
_VERSIONED_SCHEMA = re.compile(r"urn:[^\s\[\]\"]*:[0-9]+(?:\.[0-9]+)*:[A-Za-z][A-Za-z0-9_-]*", re.IGNORECASE)
_BRACKETS = re.compile(r"([^\[\]]+)\[(.*)\](?:\.([^\[\]]+))?", re.DOTALL)

# RFC 7643 sections 3.1, 4.1, 4.2 and 4.3: names are compared without case (section 2.1), and written like this.
_KNOWN = (
    "schemas id externalId meta resourceType created lastModified location version userName name formatted "
    "familyName givenName middleName honorificPrefix honorificSuffix displayName nickName profileUrl title "
    "userType preferredLanguage locale timezone active password emails phoneNumbers ims photos addresses "
    "streetAddress locality region postalCode country groups entitlements roles x509Certificates value display "
    "type primary $ref members employeeNumber costCenter organization division department manager"
)
_SPELLINGS = {name.lower(): name for name in _KNOWN.split()}
_AS_SPELLED = frozenset(_SPELLINGS.values())


@dataclass(frozen=True, slots=True)
class Path:
    """A PATCH path as given, nothing folded. The attribute is "" for a schema alone, which Entra sends."""

    schema: str | None
    attribute: str
    filter: Filter | None = None
    sub_attribute: str | None = None

    @property
    def name(self) -> str:
        """What the path leads to, without its filter, as `attribute_name` spells it."""
        attribute = ".".join(part for part in (self.attribute, self.sub_attribute) if part)
        return attribute_name(":".join(part for part in (self.schema, attribute) if part))


def parse_path(text: str) -> Path:
    """Parse the path of a PATCH operation.

    Raises:
        Refusal: PATH_MALFORMED, also for a filter in it that cannot be understood.
    """
    if len(text) > MAX_FILTER_BYTES:
        raise _malformed("longer than 4096 characters")
    if is_schema(text):
        return Path(text, "")
    if "[" in text:
        return _parse_value_path(text)
    path = read_attribute_path(text)
    if path is None or (path.sub_attribute and _is_part_of_a_schema(path.schema, path.attribute)):
        raise _malformed("no attribute path")
    return Path(path.schema, path.attribute, None, path.sub_attribute)


def is_schema(text: str) -> bool:
    """Whether a path or key names a whole schema: a URN that ends in a version and one name more.

    The core schema of SCIM 1.1 ends in the version, so what follows it is an attribute.
    """
    if _VERSIONED_SCHEMA.fullmatch(text) is None:
        return text.lower() in _CORE_SCHEMAS
    return not text.lower().startswith(f"{_CORE_OF_SCIM_1}:")


def attribute_name(key: str) -> str:
    """The one spelling of an attribute, from a path or a JSON key in any case.

    "username" is "userName", "NAME.givenname" is "name.givenName", and the URN of the core schema goes.
    What RFC 7643 does not know is lower-case. A core schema alone is "".
    """
    if key in _AS_SPELLED:
        return key
    folded = key.lower()
    for schema in _CORE_SCHEMAS:
        if folded == schema:
            return ""
        if folded.startswith(f"{schema}:"):
            return _spell(folded.removeprefix(f"{schema}:"))
    schema, colon, name = folded.rpartition(":")
    if schema == _ENTERPRISE_FOLDED:
        return f"{ENTERPRISE_SCHEMA}:{_spell(name)}"
    if folded == _ENTERPRISE_FOLDED:
        return ENTERPRISE_SCHEMA
    return folded if colon else _spell(folded)


def _spell(folded: str) -> str:
    return ".".join(_SPELLINGS.get(part, part) for part in folded.split("."))


def _parse_value_path(text: str) -> Path:
    match = _BRACKETS.fullmatch(text)  # a name holds no bracket, so the first opens the filter and the last closes it
    if match is None:
        raise _malformed("brackets where none can be")
    head, condition, sub_attribute = match.groups()
    path = read_attribute_path(head)
    if path is None or path.sub_attribute or _is_part_of_a_schema(path.schema, path.attribute):
        raise _malformed("a filter on what is no attribute")
    below = read_attribute_path(sub_attribute) if sub_attribute else None
    if sub_attribute and (below is None or below.schema or below.sub_attribute):
        raise _malformed("no sub-attribute where one is due")
    try:
        value_filter = parse_value_filter(condition)
    except Refusal as error:
        raise _malformed(error.note) from error
    return Path(path.schema, path.attribute, value_filter, sub_attribute)


def _is_part_of_a_schema(schema: str | None, attribute: str) -> bool:
    # SECURITY: "urn:...:2.0:User.active" would be "active" to a reader that cuts at the last dot.
    return schema is not None and is_schema(f"{schema}:{attribute}")


def _malformed(note: str) -> Refusal:
    return Refusal(Reason.PATH_MALFORMED, note=note)
