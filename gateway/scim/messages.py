"""SCIM messages of our own, and whether an upstream's answer is one (RFC 7644 sections 3.4.2 and 3.12). Pure."""

from __future__ import annotations

from gateway.scim import v11
from gateway.scim.attributes import schemas_of, value_of
from gateway.scim.documents import Document, write_document
from gateway.scim.versions import Version

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"

_ALWAYS_IN_A_RESOURCE_OR_LIST = ("schemas", "id", "totalResults")


def error_body(status: int, detail: str, scim_type: str | None, version: Version = Version.V2_0) -> bytes:
    """An Error message; its status is a string, as RFC 7644 section 3.12 and Okta want it. 1.1 knows no types."""
    if version is Version.V1_1:
        return v11.error_body(status, detail)
    body: Document = {"schemas": [ERROR_SCHEMA], "status": str(status), "detail": detail}
    if scim_type is not None:
        body["scimType"] = scim_type
    return write_document(body)


def answer_is_scim(status: int, document: Document, version: Version = Version.V2_0) -> bool:
    """Whether an upstream's JSON is SCIM: an Error above 399, else a resource or a list of them.

    An error needs the Error schema, or its two members: other programs answer with JSON errors of their own, and
    their "not found" must not be taken for the application's. Of the rest any mark will do: some servers leave
    `schemas` out. An upstream that speaks 1.1 may answer in the words of either version.
    """
    if status >= 400 and version is Version.V1_1 and v11.is_error(document):
        return True
    if status >= 400:
        members = (value_of(document, "status"), value_of(document, "detail"))
        return ERROR_SCHEMA.lower() in schemas_of(document) or None not in members
    return any(value_of(document, name) is not None for name in _ALWAYS_IN_A_RESOURCE_OR_LIST)
