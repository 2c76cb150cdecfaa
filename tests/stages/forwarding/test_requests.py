"""Writing the upstream's request: pure; what arrives on the wire is tested in test_forwarding.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from gateway.exchange import RequestId
from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding.requests import (
    UpstreamRequest,
    probe_request,
    upstream_authorization,
    upstream_request,
)
from tests.stages.forwarding.building import make_operation, make_tenant

TENANT = make_tenant()
ID = RequestId("req-1")
AUTHORIZATION = upstream_authorization(TENANT)


@pytest.mark.parametrize("value", ['"1"\r\nX: y', '"1"\n', '"\x00"', '"ä"', '"\udce4"'])
def test_a_field_value_that_could_become_two_fields_is_refused(value: str) -> None:
    with pytest.raises(Refusal) as refused:
        upstream_request(make_operation(fields=(("If-Match", value),)), TENANT, ID, AUTHORIZATION)

    assert refused.value.reason is Reason.FIELD_MALFORMED


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\tb", "\x00", "ä"])
@pytest.mark.parametrize("place", ["method", "target", "host", "name", "value"])
def test_no_line_of_a_request_ends_within_itself(place: str, value: str) -> None:
    parts = dict.fromkeys(("method", "target", "host", "name", "value"), "a") | {place: value}
    request = UpstreamRequest(parts["method"], parts["target"], ((parts["name"], parts["value"]),), b"")

    with pytest.raises(Refusal) as refused:
        request.as_bytes(parts["host"])
    assert refused.value.reason is Reason.FIELD_MALFORMED


def test_the_clients_content_type_is_kept_with_a_body_and_only_then() -> None:
    fields = (("content-type", "application/json; charset=utf-8"),)
    with_body = upstream_request(make_operation("PUT", body=b"{}", fields=fields), TENANT, ID, AUTHORIZATION)
    without = upstream_request(make_operation("DELETE", fields=fields), TENANT, ID, AUTHORIZATION)

    assert fields[0] in with_body.fields
    assert [name for name, _ in with_body.fields if name.lower() == "content-type"] == ["content-type"]
    assert not [name for name, _ in without.fields if name.lower() == "content-type"]


@given(st.text(max_size=40))
def test_a_query_is_sent_as_it_is_or_refused(query: str) -> None:
    try:
        target = upstream_request(make_operation(query=query), TENANT, ID, AUTHORIZATION).target
    except Refusal as refused:
        assert refused.reason is Reason.TARGET_MALFORMED
        return

    expected = f"/scim/zbs848185728/v2/Users/1?{query}" if query else "/scim/zbs848185728/v2/Users/1"
    assert target == expected
    assert URL(f"http://upstream:5501{target}", encoded=True).raw_path_qs == target


@pytest.mark.parametrize(
    ("dialect", "media_type"), [("okta", "application/scim+json"), ("okta-agent", "application/json")]
)
def test_the_upstream_is_asked_in_the_media_type_of_its_version(dialect: str, media_type: str) -> None:
    tenant = make_tenant(client=dialect)
    asked = upstream_request(make_operation("PUT", body=b"{}"), tenant, ID, AUTHORIZATION)

    assert ("Accept", media_type) in asked.fields
    assert ("Content-Type", media_type) in asked.fields
    assert ("Accept", media_type) in probe_request(tenant).fields
