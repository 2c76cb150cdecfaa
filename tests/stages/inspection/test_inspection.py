"""Inspection: what passes, as which operation, and what it may no longer hold."""

from __future__ import annotations

import json

import pytest

from gateway.exchange import Operation
from gateway.refusal import Reason, Refusal
from gateway.scim.access import Loss, Taking
from gateway.stages.inspection import inspect, survey
from tests.worlds import PATH, PUBLIC_URL, client, request

SCIM = (("Content-Type", "application/scim+json; charset=utf-8"),)
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def judged(method: str, path: str, message: object = None, query: str | None = None, **tenant: object) -> Operation:
    who = client(path, query, **tenant)
    head = request(method, PATH + path, fields=SCIM if message is not None else ())
    body = b"" if message is None else message if isinstance(message, bytes) else json.dumps(message).encode()
    return inspect(survey(head, who), body, head, who)


def patch(*operations: object) -> object:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


@pytest.mark.parametrize(
    ("method", "path", "fields", "reason"),
    [
        ("GET", "/Nothing", (), Reason.ADDRESS_UNKNOWN),
        ("GET", "/users", (), Reason.ADDRESS_UNKNOWN),
        ("PATCH", "/Users", SCIM, Reason.METHOD_NOT_ALLOWED),
        ("HEAD", "/Users", (), Reason.METHOD_NOT_ALLOWED),
        ("OPTIONS", "/Users", (), Reason.METHOD_NOT_ALLOWED),
        ("POST", "/Bulk", SCIM, Reason.BULK_FORBIDDEN),
        ("POST", "/Users", (), Reason.MEDIA_TYPE_UNSUPPORTED),
        ("POST", "/Users", (("Content-Type", "text/plain"),), Reason.MEDIA_TYPE_UNSUPPORTED),
        ("POST", "/Users", (*SCIM, ("Content-Encoding", "gzip")), Reason.CODING_UNSUPPORTED),
        ("POST", "/Users", (*SCIM, *SCIM), Reason.FIELD_MALFORMED),
    ],
)
def test_the_head_alone_decides_before_a_body_is_read(
    method: str, path: str, fields: tuple[tuple[str, str], ...], reason: Reason
) -> None:
    with pytest.raises(Refusal) as refused:
        survey(request(method, PATH + path, fields=fields), client(path))

    assert refused.value.reason is reason


def test_a_method_that_is_not_allowed_names_those_that_are() -> None:
    with pytest.raises(Refusal) as refused:
        survey(request("DELETE", PATH + "/Users"), client("/Users"))

    assert refused.value.allow == ("GET", "POST")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_where_none_belongs_is_refused(method: str) -> None:
    with pytest.raises(Refusal) as refused:
        survey(request(method, PATH + "/Users/1", has_body=True), client("/Users/1"))

    assert refused.value.reason is Reason.BODY_UNEXPECTED


def test_a_write_without_a_body_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        survey(request("PUT", PATH + "/Users/1", fields=SCIM, has_body=False), client("/Users/1"))

    assert refused.value.reason is Reason.BODY_MISSING


def test_what_was_judged_goes_on_byte_for_byte() -> None:
    body = b'{ "schemas": ["' + USER.encode() + b'"], "userName":"a\\u0062", "active" : true }'

    assert judged("POST", "/Users", body).body == body


def test_an_operation_says_whose_access_it_takes() -> None:
    deactivation = judged("PATCH", "/Users/a%40b", patch({"op": "replace", "value": {"active": False}}))

    assert deactivation.takes == Taking(Loss.DEACTIVATED, ("a@b",))
    assert judged("GET", "/Users/1").takes is None


def test_a_query_goes_on_byte_for_byte() -> None:
    query = "filter=userName+eq+%22a%2Bb%40example.com%22&startIndex=1"

    assert judged("GET", "/Users", query=query).query == query


@pytest.mark.parametrize("path", ["/Users", "/Users/1", "/Groups", "/Groups/1", "/ServiceProviderConfig", "/Schemas"])
def test_the_flag_in_entras_tenant_url_does_not_leave(path: str) -> None:
    flagged = judged("GET", path, query="aadOptscim062020&attributes=a%2Cb", client="entra")

    assert flagged.query == "attributes=a%2Cb"
    assert judged("GET", path, query="aadOptscim062020=", client="entra").query is None


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("POST", "/Users", {"schemas": [USER], "userName": "a"}),
        ("PUT", "/Users/1", {"schemas": [USER], "userName": "a"}),
        ("PATCH", "/Users/1", {"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "a", "value": "b"}]}),
        ("DELETE", "/Groups/1", None),
    ],
)
def test_the_flag_of_a_write_does_not_leave_either(method: str, path: str, message: object) -> None:
    assert judged(method, path, message, query="aadOptscim062020", client="entra").query is None


@pytest.mark.parametrize("dialect", ["okta", "generic"])
def test_what_other_clients_put_into_a_query_is_theirs(dialect: str) -> None:
    assert judged("GET", "/Users", query="aadOptscim062020&x=1", client=dialect).query == "aadOptscim062020&x=1"


@pytest.mark.parametrize(
    "query", ["aadOptscim062020&count=1&count=2", "aadOptscim062020&a=%FF", "%FF&aadOptscim062020"]
)
def test_a_flag_makes_no_query_harmless(query: str) -> None:
    with pytest.raises(Refusal) as refused:
        judged("GET", "/Users", query=query, client="entra")

    assert refused.value.reason is Reason.QUERY_MALFORMED


def test_a_filter_that_cannot_be_understood_does_not_leave() -> None:
    with pytest.raises(Refusal) as refused:
        judged("GET", "/Users", query="filter=userName%20eq")

    assert refused.value.reason is Reason.FILTER_MALFORMED


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ({"schemas": [USER], "userName": "a", "password": "x"}, {"schemas": [USER], "userName": "a"}),
        ({"schemas": [USER], "userName": "a", "PassWord": "x"}, {"schemas": [USER], "userName": "a"}),
    ],
)
def test_a_password_is_dropped_from_a_write(message: object, left: object) -> None:
    operation = judged("POST", "/Users", message)

    assert json.loads(operation.body) == left
    assert operation.dropped == ("password",)
    assert "password" not in operation.attributes


def test_a_password_passes_where_the_tenant_syncs_passwords() -> None:
    message = {"schemas": [USER], "userName": "a", "password": "x"}

    assert json.loads(judged("POST", "/Users", message, sync_passwords=True).body) == message


def test_a_password_is_dropped_from_a_patch_and_the_rest_stays() -> None:
    rest = {"op": "replace", "value": {"active": True}}
    operation = judged("PATCH", "/Users/1", patch({"op": "replace", "path": "password", "value": "x"}, rest))

    assert json.loads(operation.body) == patch(rest)


def test_a_patch_of_a_password_alone_is_refused_and_not_called_done() -> None:
    with pytest.raises(Refusal) as refused:
        judged("PATCH", "/Users/1", patch({"op": "replace", "value": {"password": "x"}}))

    assert refused.value.reason is Reason.OPERATION_FORBIDDEN


@pytest.mark.parametrize(
    ("operations", "passes"),
    [(("*",), True), (("user.*",), True), (("user.create",), True), (("group.*",), False), (("user.get",), False)],
)
def test_only_operations_that_the_tenant_names_pass(operations: tuple[str, ...], passes: bool) -> None:
    message = {"schemas": [USER], "userName": "a"}
    if passes:
        assert judged("POST", "/Users", message, operations=operations).name == "user.create"
        return
    with pytest.raises(Refusal) as refused:
        judged("POST", "/Users", message, operations=operations)

    assert refused.value.reason is Reason.OPERATION_FORBIDDEN


def test_a_link_that_names_the_gateway_names_the_upstream_inside() -> None:
    location = f"{PUBLIC_URL}{PATH}/Users/1"
    message = {"schemas": [USER], "userName": "a", "meta": {"location": location}}

    sent = json.loads(judged("PUT", "/Users/1", message).body)

    assert sent["meta"]["location"] == f"http://jira-1.internal:5501{PATH}/Users/1"


@pytest.mark.parametrize("name", ["If-Match", "if-none-match"])
def test_a_condition_goes_on_and_a_repeated_one_does_not(name: str) -> None:
    who = client("/Users/1")
    once = request("GET", PATH + "/Users/1", fields=((name, '"1"'),))
    twice = request("GET", PATH + "/Users/1", fields=((name, '"1"'), (name.upper(), '"2"')))

    assert [value for _, value in inspect(survey(once, who), b"", once, who).fields] == ['"1"']
    with pytest.raises(Refusal) as refused:
        inspect(survey(twice, who), b"", twice, who)
    assert refused.value.reason is Reason.FIELD_MALFORMED


def test_only_the_allow_list_of_fields_goes_on() -> None:
    who = client("/Users/1")
    fields = (("If-Match", 'W/"1"'), ("X-Forwarded-For", "10.0.0.1"), ("Cookie", "a=b"), ("Via", "1.1 x"))
    head = request("GET", PATH + "/Users/1", fields=fields)

    assert inspect(survey(head, who), b"", head, who).fields == (("If-Match", 'W/"1"'),)


@pytest.mark.parametrize(
    ("method", "path", "message", "writes"),
    [
        ("GET", "/Users", None, False),
        ("POST", "/Users/.search", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}, False),
        ("DELETE", "/Users/1", None, True),
        ("POST", "/Users", {"schemas": [USER], "userName": "a"}, True),
    ],
)
def test_a_search_by_post_is_a_read(method: str, path: str, message: object, writes: bool) -> None:
    assert judged(method, path, message).writes is writes


JSON = (("Content-Type", "application/json"),)


def by_agent(method: str, path: str, message: object = None, fields: tuple[tuple[str, str], ...] = JSON) -> Operation:
    who = client(path, client="okta-agent")
    head = request(method, PATH + path, fields=fields if message is not None else ())
    body = b"" if message is None else json.dumps(message).encode()
    return inspect(survey(head, who), body, head, who)


def test_an_agents_partial_resource_goes_on_as_it_came() -> None:
    message = {"schemas": ["urn:scim:schemas:core:1.0"], "id": "1", "active": False}
    operation = by_agent("PATCH", "/Users/1", message)

    assert (operation.name, json.loads(operation.body)) == ("user.deactivate", message)
    assert operation.fields == JSON


def test_an_agents_password_is_dropped_and_alone_refused() -> None:
    message = {"schemas": ["urn:scim:schemas:core:1.0"], "userName": "a", "password": "x"}
    operation = by_agent("PUT", "/Users/1", message)

    assert json.loads(operation.body) == {"schemas": ["urn:scim:schemas:core:1.0"], "userName": "a"}
    with pytest.raises(Refusal) as refused:
        by_agent("PATCH", "/Users/1", {"schemas": ["urn:scim:schemas:core:1.0"], "id": "1", "password": "x"})
    assert refused.value.reason is Reason.OPERATION_FORBIDDEN


def test_an_agent_speaks_plain_json_only() -> None:
    with pytest.raises(Refusal) as refused:
        by_agent("PUT", "/Users/1", {"userName": "a"}, fields=SCIM)

    assert refused.value.reason is Reason.MEDIA_TYPE_UNSUPPORTED


@pytest.mark.parametrize("value", ["DELETE", "", "PUT"])
def test_an_agents_method_may_not_be_overridden(value: str) -> None:
    with pytest.raises(Refusal) as refused:
        by_agent("PUT", "/Users/1", {"userName": "a"}, fields=(*JSON, ("x-http-method-override", value)))

    assert (refused.value.reason, refused.value.allow) == (
        Reason.METHOD_NOT_ALLOWED,
        ("GET", "PUT", "PATCH", "DELETE"),
    )
