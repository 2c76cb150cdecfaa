from __future__ import annotations

import pytest

from gateway.scim.documents import Document
from gateway.stages.guarding.groups import Group, read_group, total_of


@pytest.mark.parametrize(
    ("document", "group"),
    [
        ({"id": "1", "displayName": "g", "members": [{"value": "a"}]}, Group("g", frozenset("a"))),
        ({"id": "1", "displayname": "g", "Members": [{"Value": "a"}]}, Group("g", frozenset("a"))),
        ({"id": "1", "members": [{"value": "a"}, {"value": "a", "display": "Ada"}]}, Group(None, frozenset("a"))),
        ({"id": "1", "displayName": 7, "members": []}, Group(None, frozenset())),
        ({"displayName": "g"}, Group("g", None)),
        ({"id": "1", "displayName": "g", "members": None}, Group("g", None)),
        ({"id": "1"}, Group(None, None)),
        ({"id": 1}, None),
        ({}, None),
        ({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]}, None),
        ({"totalResults": 1, "Resources": [{"id": "1", "members": []}]}, None),
        ({"id": "1", "members": "a"}, None),
        ({"id": "1", "members": {}}, None),
        ({"id": "1", "members": [{"value": "a"}, {"$ref": "/Users/b"}]}, None),
        ({"id": "1", "members": [{"value": None}]}, None),
        ({"id": "1", "members": [["a"]]}, None),
    ],
)
def test_a_group_is_read_whole_or_not_at_all(document: Document, group: Group | None) -> None:
    assert read_group(document) == group


@pytest.mark.parametrize(
    ("document", "total"),
    [
        ({"totalResults": 2000}, 2000),
        ({"TotalResults": 0}, 0),
        ({"totalResults": True}, None),
        ({"totalResults": -1}, None),
        ({"totalResults": "7"}, None),
        ({"totalResults": 7.5}, None),
        ({"Resources": []}, None),
    ],
)
def test_a_total_is_a_number_of_resources_or_nothing(document: Document, total: int | None) -> None:
    assert total_of(document) == total
