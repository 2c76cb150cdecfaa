"""What Entra sends: fields, targets and bodies, shaped as Microsoft's documentation shows them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from gateway.rehearsal.messages import GROUP_SCHEMA, USER_SCHEMA, JsonObject, Manner, Member, patch

ENTERPRISE_SCHEMA = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
AD_GROUP_SCHEMA = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
FLAG = "aadOptscim062020"

WORK_EMAIL = 'emails[type eq "work"].value'

MANNER = Manner(fields={"Content-Type": "application/scim+json"}, body_fields={})  # also without a body
MANNER_WITH_FLAG = Manner(MANNER.fields, MANNER.body_fields, FLAG)


def lookup_target(collection: str, attribute: str, value: str, *, without_members: bool = False) -> str:
    """A lookup has neither startIndex nor count; a group's asks for no members."""
    filter_text = quote_plus(f'{attribute} eq "{value}"', safe="")
    excluded = "excludedAttributes=members&" if without_members else ""
    return f"/{collection}?{excluded}filter={filter_text}"


def new_user(user_name: str, *, given_name: str, family_name: str, external_id: str) -> JsonObject:
    """Create; attributes without a value may come as null."""
    return {
        "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
        "externalId": external_id,
        "userName": user_name,
        "active": True,
        "addresses": None,
        "displayName": f"{given_name} {family_name}",
        "emails": [{"primary": True, "type": "work", "value": user_name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": f"{given_name} {family_name}", "familyName": family_name, "givenName": given_name},
        "roles": [],
    }


def new_group(name: str, external_id: str, *, schemas: Sequence[str] = (GROUP_SCHEMA, AD_GROUP_SCHEMA)) -> JsonObject:
    """Create, without members; with a second schema that is Microsoft's own."""
    return {
        "schemas": list(schemas),
        "externalId": external_id,
        "displayName": name,
        "meta": {"resourceType": "Group"},
    }


@dataclass(frozen=True, slots=True)
class Spelling:
    """How changes are spelled; the flag in the Tenant URL turns Entra to the spelling of RFC 7644."""

    has_flag: bool

    def activation(self, *, active: bool) -> JsonObject:
        """A boolean, or without the flag its name as a string."""
        return patch(self._operation("Replace", "active", active if self.has_flag else str(active)))

    def profile(self, *, email: str, given_name: str, family_name: str, display_name: str) -> JsonObject:
        """Several attributes at once: an operation each, or with the flag one without a path and with dotted keys."""
        values = {"displayName": display_name, "name.givenName": given_name, "name.familyName": family_name}
        mail = self._operation("Replace", WORK_EMAIL, email)
        if self.has_flag:
            return patch(mail, {"op": "replace", "value": values})
        return patch(mail, *(self._operation("Replace", path, value) for path, value in values.items()))

    def manager(self, manager_id: str, link: str) -> JsonObject:
        """A list of one, though SCIM's manager is a single object."""
        return patch(self._operation("Add", "manager", [{"$ref": link, "value": manager_id}]))

    def rename(self, name: str) -> JsonObject:
        return patch(self._operation("Replace", "displayName", name))

    def addition(self, members: Sequence[Member]) -> JsonObject:
        listed = [{"$ref": None, "value": member.id} for member in members]
        return patch(self._operation("Add", "members", listed))

    def removal(self, member: Member) -> JsonObject:
        """By a list of values, for which RFC 7644 has no meaning; with the flag by a filter in the path."""
        if self.has_flag:
            return removal_by_filter(member)
        operation = self._operation("Remove", "members", [{"$ref": None, "value": member.id}])
        return patch(operation)

    def _operation(self, op: str, path: str, value: object) -> JsonObject:
        return {"op": op.lower() if self.has_flag else op, "path": path, "value": value}


def removal_by_filter(member: Member) -> JsonObject:
    """The removal of one member as RFC 7644 has it."""
    return patch({"op": "remove", "path": f'members[value eq "{member.id}"]'})
