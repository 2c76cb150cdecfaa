"""The versions of SCIM that a tenant may speak. Pure."""

from __future__ import annotations

from enum import Enum

V1_1_SCHEMA = "urn:scim:schemas:core:1.0"  # of users, groups and lists alike


class Version(Enum):
    """1.1 is what Okta's provisioning agent speaks; everybody else speaks 2.0."""

    V1_1 = "1.1"
    V2_0 = "2.0"

    @property
    def media_type(self) -> str:
        """Of its messages, both ways (RFC 7644 section 8.1; SCIM 1.1 has no type of its own)."""
        return "application/json" if self is Version.V1_1 else "application/scim+json"
