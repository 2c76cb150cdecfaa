"""Reply: what a client is told, and what it is never told."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import orjson
import pytest

from gateway.exchange import Answer, Client, Delivery, RequestId, Trail, Unparsed, UpstreamAnswer
from gateway.refusal import Reason, Refusal
from gateway.settings.models import Client as Dialect
from gateway.stages.inspection import inspect, survey
from gateway.stages.reply import present, present_refusal, present_unparsed, retry_after_seconds
from tests.worlds import NOW, PATH, PUBLIC_URL, UPSTREAM_TOKEN, client, request

INSIDE = f"http://jira-1.internal:5501{PATH}"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def trail(who: Client | None = None, request_id: str = "req-1") -> Trail:
    who = who or client()
    return Trail(request(id=RequestId(request_id)), tenant_name="jira", tenant=who.tenant, client=who)


def presented(status: int, message: object, *fields: tuple[str, str], who: Client | None = None) -> Answer:
    who = who or client()
    head = request()
    body = b"" if message is None else message if isinstance(message, bytes) else json.dumps(message).encode()
    delivery = Delivery((), UpstreamAnswer(status, dict(fields), body, orjson.loads(body) if body else None))
    return present(delivery, inspect(survey(head, who), b"", head, who), trail(who))


def test_links_of_a_resource_point_outside() -> None:
    message = {"id": "1", "meta": {"location": f"{INSIDE}/Users/1"}, "groups": [{"$ref": f"{INSIDE}/Groups/2"}]}

    answer = presented(201, message, ("Location", f"{INSIDE}/Users/1"))

    assert b"internal" not in answer.body
    assert json.loads(answer.body)["meta"]["location"] == f"{PUBLIC_URL}{PATH}/Users/1"
    assert ("Location", f"{PUBLIC_URL}{PATH}/Users/1") in answer.fields


def test_links_of_a_list_point_outside() -> None:
    message = {"totalResults": 1, "Resources": [{"id": "1", "meta": {"location": f"{INSIDE}/Users/1"}}]}

    assert json.loads(presented(200, message).body)["Resources"][0]["meta"]["location"].startswith(PUBLIC_URL)


def test_an_answer_without_links_goes_out_byte_for_byte() -> None:
    body = b'{ "id": "1", "unknown" : {"x": [1.0, 1e3]} }'

    assert presented(200, body).body == body


def test_an_etag_goes_out() -> None:
    assert ("ETag", 'W/"1"') in presented(200, {"id": "1"}, ("ETag", 'W/"1"')).fields


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_never_has_a_body_has_none(status: int) -> None:
    answer = presented(status, b"{}")

    assert answer.body == b""
    assert "Content-Type" not in dict(answer.fields)


@pytest.mark.parametrize(
    "secret",
    [
        UPSTREAM_TOKEN,
        base64.b64encode(UPSTREAM_TOKEN.encode()).decode(),
        "jira-1.internal",
        "JIRA-1.INTERNAL:5501",
        quote("jira-1.internal"),
    ],
)
def test_an_error_of_the_upstream_tells_nothing_of_the_inside(secret: str) -> None:
    message = {"schemas": [ERROR], "status": "500", "detail": f"cannot {secret} do", "trace": f"at {secret}"}

    answer = presented(500, message)

    assert secret.lower().encode() not in answer.body.lower()
    assert b"trace" not in answer.body
    assert json.loads(answer.body)["schemas"] == [ERROR]


def test_the_credential_that_the_upstream_echoes_is_hidden_as_basic_says_it() -> None:
    who = client(upstream_token=None, upstream_username="svc", upstream_password="inside-pass-word-123456")
    echo = base64.b64encode(b"svc:inside-pass-word-123456").decode()
    message = {"schemas": [ERROR], "status": "400", "detail": f"bad field Authorization: Basic {echo}"}

    assert echo.encode() not in presented(400, message, who=who).body


@pytest.mark.parametrize("scim_type", [UPSTREAM_TOKEN, INSIDE, "at com.example.Main", "x" * 5000, "", {"a": 1}])
def test_an_error_type_that_is_no_keyword_is_left_out(scim_type: object) -> None:
    message = {"schemas": [ERROR], "status": "400", "detail": "no", "scimType": scim_type}

    assert "scimType" not in json.loads(presented(400, message).body)


def test_an_answer_too_deep_to_be_written_again_is_the_upstreams_fault() -> None:
    nested = "[" * 400 + "]" * 400
    body = f'{{"id": "1", "meta": {{"location": "{INSIDE}/Users/1"}}, "x": {nested}}}'.encode()

    with pytest.raises(Refusal) as refused:
        presented(200, body)

    assert refused.value.reason is Reason.UPSTREAM_NOT_SCIM


def test_an_error_of_the_upstream_keeps_its_words_and_type() -> None:
    message = {"schemas": [ERROR], "status": 409, "detail": "User already exists.", "scimType": "uniqueness"}

    body = json.loads(presented(409, message).body)

    assert body == {"schemas": [ERROR], "status": "409", "detail": "User already exists.", "scimType": "uniqueness"}


@pytest.mark.parametrize(
    ("dialect", "reason", "status"),
    [
        ("okta", Reason.UPSTREAM_UNREACHABLE, 429),
        ("okta", Reason.GATEWAY_FAULT, 429),
        ("okta", Reason.NO_PLACE, 429),
        ("entra", Reason.UPSTREAM_UNREACHABLE, 503),
        ("generic", Reason.RECORD_UNAVAILABLE, 503),
        ("generic", Reason.GATEWAY_FAULT, 500),
        ("entra", Reason.RATE_EXCEEDED, 429),
        ("okta", Reason.CREDENTIAL_UNKNOWN, 401),
        ("okta", Reason.JSON_MALFORMED, 400),
    ],
)
def test_come_back_later_is_said_in_the_clients_dialect(dialect: str, reason: Reason, status: int) -> None:
    answer = present_refusal(Refusal(reason), trail(client(client=dialect)))

    assert answer.status == status
    assert json.loads(answer.body)["status"] == str(status)
    assert ("Retry-After" in dict(answer.fields)) == (status in (429, 503))


def test_an_agent_is_refused_in_the_words_of_scim_1_1() -> None:
    answer = present_refusal(Refusal(Reason.UPSTREAM_CREDENTIAL), trail(client(client="okta-agent")))
    (error,) = json.loads(answer.body)["Errors"]

    assert (answer.status, error["code"]) == (429, "429")
    assert "req-1" in error["description"]
    assert dict(answer.fields)["Content-Type"] == "application/json"
    assert int(dict(answer.fields)["Retry-After"]) >= 60


@pytest.mark.parametrize("spelling", ["Errors", "errors"])
def test_an_agent_gets_the_upstreams_error_without_what_is_inside(spelling: str) -> None:
    error = {"description": "User already exists.", "code": 409}
    inside = {"description": f"at {INSIDE}", "code": "409", "trace": "com.example"}

    answer = presented(409, {spelling: [error, inside]}, who=client(client="okta-agent"))

    shown, hidden = json.loads(answer.body)[spelling]
    assert shown == error
    assert set(hidden) == {"description", "code"}
    assert "internal" not in hidden["description"]


def test_an_agent_gets_an_error_of_2_0_in_the_words_of_1_1() -> None:
    message = {"schemas": [ERROR], "status": "404", "detail": "Nobody."}

    body = json.loads(presented(404, message, who=client(client="okta-agent")).body)

    assert body == {"Errors": [{"description": "Nobody.", "code": "404"}]}


def test_okta_is_told_60_to_120_whole_seconds_spread_by_the_request() -> None:
    values = {retry_after_seconds(RequestId(f"req-{n}"), Dialect.OKTA, 1) for n in range(2000)}

    assert min(values) == 60
    assert max(values) == 120
    assert len(values) == 61


def test_okta_is_told_longer_when_the_upstream_wishes_so() -> None:
    assert retry_after_seconds(RequestId("x"), Dialect.OKTA, 600) == 600


def test_nobody_is_told_to_stay_away_for_days() -> None:
    assert retry_after_seconds(RequestId("x"), Dialect.OKTA, 99_999) == 1200
    assert retry_after_seconds(RequestId("x"), Dialect.ENTRA, 99_999) == 1200


def test_a_stranger_is_hung_up_on_and_a_client_is_not() -> None:
    known, unknown = trail(), trail()
    unknown.client = None

    assert present_refusal(Refusal(Reason.CREDENTIAL_UNKNOWN), unknown).ends_connection
    assert not present_refusal(Refusal(Reason.JSON_MALFORMED), known).ends_connection


def test_others_are_told_what_is_so() -> None:
    assert retry_after_seconds(RequestId("x"), Dialect.ENTRA, 2) == 2


def test_a_refusal_names_its_request_and_reason_and_never_its_note() -> None:
    answer = present_refusal(Refusal(Reason.UPSTREAM_UNREACHABLE, note="jira-1.internal refused"), trail())
    detail = json.loads(answer.body)["detail"]

    assert "req-1" in detail
    assert "upstream-unreachable" in detail
    assert "jira-1" not in detail


def test_every_answer_says_that_it_is_not_to_be_kept_nor_guessed_at_nor_asked_for_without_tls() -> None:
    always = {
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Strict-Transport-Security", "max-age=31536000"),
    }

    assert always <= set(presented(200, {"id": "1"}).fields)
    assert always <= set(present_refusal(Refusal(Reason.STOPPING), trail()).fields)


def test_a_401_says_how_to_authenticate_and_a_405_what_is_allowed() -> None:
    unauthenticated = present_refusal(Refusal(Reason.CREDENTIAL_MISSING), trail())
    not_allowed = present_refusal(Refusal(Reason.METHOD_NOT_ALLOWED, allow=("GET", "POST")), trail())

    assert dict(unauthenticated.fields)["WWW-Authenticate"].startswith("Bearer")
    assert dict(not_allowed.fields)["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    "reason", [reason for reason in Reason if reason.status == 401], ids=lambda reason: reason.slug
)
def test_failed_authentications_read_alike(reason: Reason) -> None:
    answer = present_refusal(Refusal(reason, note="why"), trail())

    assert answer == present_refusal(Refusal(Reason.CREDENTIAL_MISSING), trail())


def test_unparsed_bytes_get_a_scim_error_that_reflects_nothing() -> None:
    answer = present_unparsed(Unparsed(RequestId("req-9"), NOW, "192.0.2.1", Reason.HEAD_MALFORMED, "<script>"))

    assert answer.status == 400
    assert json.loads(answer.body)["schemas"] == [ERROR]
    assert b"script" not in answer.body


def test_a_delivery_without_an_answer_is_its_reason() -> None:
    head = request()
    operation = inspect(survey(head, client()), b"", head, client())

    with pytest.raises(Refusal) as refused:
        present(Delivery((), None, Reason.UPSTREAM_TIMEOUT), operation, trail())

    assert refused.value.reason is Reason.UPSTREAM_TIMEOUT


# The guard ------------------------------------------------------------------------------------------


def retry_after(answer: Answer) -> int:
    return int(dict(answer.fields)["Retry-After"])


@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_waits_for_a_person_comes_back_after_600_to_1200_whole_seconds(dialect: Dialect) -> None:
    values = {retry_after_seconds(RequestId(f"req-{n}"), dialect, 5, waits_for_a_person=True) for n in range(20_000)}

    assert values == set(range(600, 1201))


@pytest.mark.parametrize("reason", [Reason.GUARD_HELD, Reason.GUARD_UNAVAILABLE])
@pytest.mark.parametrize(("dialect", "status"), [("okta", 429), ("okta-agent", 429), ("entra", 503), ("generic", 503)])
def test_a_held_write_is_told_to_come_back_late_in_the_clients_dialect(
    reason: Reason, dialect: str, status: int
) -> None:
    answer = present_refusal(Refusal(reason, hold="hold-1"), trail(client(client=dialect)))

    assert answer.status == status
    assert 600 <= retry_after(answer) <= 1200


@pytest.mark.parametrize("reason", [Reason.GUARD_HELD, Reason.GUARD_DENIED], ids=lambda reason: reason.slug)
def test_a_held_or_denied_write_names_its_wave_and_who_can_release_it(reason: Reason) -> None:
    answer = present_refusal(Refusal(reason, note="4 people within 3600 s", hold="hold-7f3a"), trail())
    detail = json.loads(answer.body)["detail"]

    assert f"[{reason.slug}, hold-7f3a, request req-1]" in detail
    assert "whoever runs" in detail or "Somebody who runs" in detail
    assert "3600" not in detail


def test_what_was_denied_fails_where_people_see_it_and_is_not_asked_to_come_back() -> None:
    answer = present_refusal(Refusal(Reason.GUARD_DENIED, hold="hold-1"), trail())

    assert answer.status == 403
    assert "Retry-After" not in dict(answer.fields)


@pytest.mark.parametrize("reason", [Reason.RATE_EXCEEDED, Reason.NO_PLACE, Reason.UPSTREAM_UNREACHABLE])
def test_whatever_is_put_off_while_a_wave_waits_comes_back_as_late_as_the_wave(reason: Reason) -> None:
    """The first wait of a task decides how long Okta keeps it, and its next attempt may meet the wave."""
    calm, waiting = trail(), trail()
    waiting.wave_waits = True

    assert 60 <= retry_after(present_refusal(Refusal(reason, retry_after_seconds=1), calm)) <= 120
    assert 600 <= retry_after(present_refusal(Refusal(reason, retry_after_seconds=1), waiting)) <= 1200


def test_a_stranger_learns_nothing_of_a_wave() -> None:
    unknown, known = trail(), trail()
    unknown.client = known.client = None
    unknown.wave_waits = True
    failed, too_often = Refusal(Reason.CREDENTIAL_UNKNOWN, hold="hold-7f3a"), Refusal(Reason.TOO_MANY_FAILURES)

    assert b"hold-7f3a" not in present_refusal(failed, unknown).body
    for refusal in (failed, too_often):
        assert present_refusal(refusal, unknown) == present_refusal(refusal, known)
