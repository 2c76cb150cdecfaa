"""Errors of our own are SCIM's, and an answer is SCIM only if it says so."""

from __future__ import annotations

import json

import pytest
from scim2_models import Error

from gateway.scim.documents import Document
from gateway.scim.messages import ERROR_SCHEMA, answer_is_scim, error_body


@pytest.mark.parametrize("scim_type", [None, "invalidFilter"])
def test_an_error_is_what_rfc_7644_section_3_12_says(scim_type: str | None) -> None:
    body = error_body(400, 'Größe "x"', scim_type)
    document = json.loads(body)
    error = Error.model_validate(document)

    assert document["status"] == "400"
    assert (error.status, error.detail, error.scim_type) == (400, 'Größe "x"', scim_type)
    assert ("scimType" in document) is (scim_type is not None)
    assert answer_is_scim(400, document)


@pytest.mark.parametrize(
    ("status", "document", "is_scim"),
    [
        (200, {"schemas": ["urn:x"], "id": "1"}, True),
        (200, {"id": "1"}, True),
        (200, {"totalResults": 0, "Resources": []}, True),
        (201, {"SCHEMAS": ["urn:x"]}, True),
        (200, {}, False),
        (200, {"message": "welcome"}, False),
        (404, {"schemas": [ERROR_SCHEMA], "status": 404}, True),
        (404, {"schemas": [ERROR_SCHEMA.upper()]}, True),
        (404, {"schemas": ["urn:x"], "id": "1"}, False),
        (404, {"status": 404, "error": "Not Found", "path": "/scim"}, False),
        (500, {"errorMessages": ["at com.example"]}, False),
    ],
)
def test_an_answer_is_scim_if_it_says_so(status: int, document: Document, is_scim: bool) -> None:
    assert answer_is_scim(status, document) is is_scim
