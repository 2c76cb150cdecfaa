from __future__ import annotations

import json
import string
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import lines
from gateway.audit.chain import Link, linked
from gateway.audit.records import read_record
from gateway.exchange import (
    Answer,
    Attempt,
    Client,
    Delivery,
    Judgement,
    Operation,
    RequestId,
    Stage,
    Trail,
    Unparsed,
    Verdict,
)
from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import Address, Kind
from gateway.scim.documents import Document
from gateway.scim.operations import Who
from tests import worlds
from tests.audit import schema, trails
from tests.audit.trails import LONGEST_OF_STRANGERS

intent = partial(lines.intent_line, now=worlds.NOW, instance="gw-1")
outcome = partial(lines.outcome_line, now=worlds.NOW, instance="gw-1")

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=())).map(lambda text: text + "\udce9\n\x1b[2J\u202e")
PRINTABLE = set(string.printable.encode()) - set(b"\r\n\t\x0b\x0c")


def read(line: bytes) -> dict[str, Any]:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    record = json.loads(line)
    assert isinstance(record, dict)
    schema.check(record)
    return record


def test_a_line_says_when_and_where_and_bears_its_number() -> None:
    line = linked(Link(6), [intent(trails.served(operation=trails.write()))])[0]

    assert list(read(line).items())[:5] == [
        ("seq", 7), ("v", 2), ("time", "2027-01-15T08:00:00.000000Z"), ("instance", "gw-1"), ("event", "intent")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (1_800_000_000.123456, "08:00:00.123456Z"),
        (1_800_000_000.000009, "08:00:00.000009Z"),
        (1_800_000_059.9999996, "08:01:00.000000Z"),
        (1_800_000_000.5, "08:00:00.500000Z"),  # a second that was told before
    ],
)
def test_the_time_is_exact_to_the_microsecond(now: float, told: str) -> None:
    line = lines.suppressed_line("198.51.100.7", 3, now=now, instance="gw-1")

    assert read(line)["time"] == f"2027-01-15T{told}"


def test_an_intent_says_who_wants_what_of_whom() -> None:
    record = read(intent(trails.served(operation=trails.write(resource_name="Ada", dropped=("password",)))))

    assert {key: record[key] for key in list(record)[4:]} == {
        "request": "req-1",
        "address": "198.51.100.7",
        "tenant": "jira",
        "credential": "okta-2027",
        "method": "GET",
        "query": ["filter", "other"],
        "operation": "user.deactivate",
        "resource": "/Users/1",
        "resource_name": "Ada",
        "people": [{"id": "1", "userName": "ada@example.com"}],
        "attributes": ["active"],
        "dropped": ["password"],
    }


def test_values_are_told_where_the_tenant_wants_them() -> None:
    write = trails.write(values=(("title", "CTO"), ("department", None), ("custom", 7), ("title", "\u202eOTC\n")))
    line = intent(trails.served(operation=write))

    assert read(line)["values"] == [
        {"attribute": "title", "value": "CTO"},
        {"attribute": "department", "value": None},
        {"attribute": "custom", "value": 7},
        {"attribute": "title", "value": "\u202eOTC\n"},
    ]
    assert set(line[:-1]) <= PRINTABLE


@pytest.mark.parametrize("flag", ["aadOptscim062020", "AzureAdScimPatch2017", "AzureAdScimPatch062020"])
def test_how_entra_was_told_to_spell_a_patch_is_on_record(flag: str) -> None:
    request = worlds.request(target=f"{worlds.PATH}/Users?{flag}&filter=userName%20eq%20%22ada%22")

    assert read(intent(trails.served(operation=trails.write(), request=request)))["query"] == sorted([flag, "filter"])


def test_an_outcome_says_what_the_client_got_and_what_is_known_of_the_upstream() -> None:
    record = read(outcome(trails.served()))

    assert record["event"] == "outcome"
    assert record["status"] == 200
    assert record["outcome"] == "executed"
    assert record["attempts"] == [{"node": trails.NODE, "stage": "answered", "seconds": 0.002, "status": 200}]
    assert record["seconds"] == {"identify": 0.0001, "forward": 0.0025}
    assert (record["bytes_in"], record["bytes_out"]) == (0, 11)
    assert "reason" not in record


def create(name: str, address: Address, people: tuple[Who, ...] = ()) -> Operation:
    return trails.operation(name, method="POST", address=address, writes=True, people=people)


def test_the_outcome_of_a_create_ties_the_clients_names_to_the_applications_id() -> None:
    user = create("user.create", Address(Kind.USERS, "Users"), (Who(None, "ada@example.com", "00u1"),))
    trail = trails.served(operation=user, delivery=trails.delivered(201, document={"id": "17", "userName": "ADA"}))

    assert read(outcome(trail))["people"] == [{"id": "17", "userName": "ada@example.com", "externalId": "00u1"}]
    assert read(outcome(trail))["resource_id"] == "17"


def test_a_created_group_is_known_by_its_id_and_is_nobody() -> None:
    group = create("group.create", Address(Kind.GROUPS, "Groups"))
    trail = trails.served(operation=group, delivery=trails.delivered(201, document={"id": "g7", "userName": "odd"}))
    record = read(outcome(trail))

    assert record["resource_id"] == "g7"
    assert "people" not in record


def test_the_outcome_of_a_write_names_the_user_as_the_answer_does() -> None:
    document: Document = {"id": "1", "userName": "ada@example.com", "externalId": "00u1"}
    record = read(
        outcome(
            trails.served(operation=trails.write(people=(Who("1"),)), delivery=trails.delivered(200, document=document))
        )
    )

    assert record["people"] == [document]
    assert "resource_id" not in record


@pytest.mark.parametrize(
    "changes",
    [
        {"delivery": trails.delivered(409, document={"id": "2", "userName": "bob"})},
        {"delivery": trails.delivered(500, document={"id": "2", "userName": "bob"})},
        {"delivery": trails.undelivered(Stage.SENT)},
        {"delivery": trails.delivered(201)},
        {"delivery": None},
    ],
)
def test_an_answer_to_what_was_not_executed_tells_of_nobody(changes: dict[str, Any]) -> None:
    user = create("user.create", Address(Kind.USERS, "Users"), (Who(None, "ada"),))
    record = read(outcome(trails.served(operation=user, **changes)))

    assert record["people"] == [{"userName": "ada"}]
    assert "resource_id" not in record


def test_whom_a_read_found_is_not_told() -> None:
    found = trails.delivered(200, document={"id": "1", "userName": "ada@example.com"})
    record = read(outcome(trails.served(operation=trails.operation(people=(Who("1"),)), delivery=found)))
    search = trails.operation("user.search", method="POST", address=Address(Kind.USERS, "Users"))

    assert record["people"] == [{"id": "1"}]
    assert "resource_id" not in read(outcome(trails.served(operation=search, delivery=found)))


def test_an_unavailable_upstream_is_told_with_its_reason_although_nothing_was_refused() -> None:
    record = read(outcome(trails.served(delivery=trails.undelivered(Stage.SENT), answer=Answer(429, (), b""))))

    assert (record["reason"], record["note"], record["outcome"]) == ("upstream-timeout", "no answer in 2 s", "unknown")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"delivery": trails.delivered(200)}, "executed"),
        ({"delivery": trails.delivered(304)}, "executed"),
        ({"delivery": trails.delivered(409)}, "not-executed"),
        ({"delivery": trails.delivered(500)}, "unknown"),
        ({"delivery": trails.delivered(200, Reason.UPSTREAM_NOT_SCIM)}, "unknown"),
        ({"delivery": trails.delivered(303, Reason.UPSTREAM_REDIRECT)}, "unknown"),
        ({"delivery": trails.delivered(401, Reason.UPSTREAM_CREDENTIAL)}, "not-executed"),
        ({"delivery": trails.delivered(504, Reason.UPSTREAM_UNAVAILABLE)}, "unknown"),
        ({"delivery": trails.undelivered(Stage.NOT_SENT)}, "not-executed"),
        ({"delivery": trails.undelivered(Stage.SENT)}, "unknown"),
        ({"delivery": None}, "unknown"),  # cut short while it was forwarded
        ({"delivery": None, "seconds": {"inspect": 0.1}}, "not-executed"),
    ],
)
def test_only_what_is_proved_is_called_executed_or_not(changes: dict[str, Any], expected: str) -> None:
    assert read(outcome(trails.served(operation=trails.write(), **changes)))["outcome"] == expected


def test_a_write_that_was_sent_before_it_was_refused_stays_unknown() -> None:
    sent = Attempt(trails.NODE, 1, Stage.SENT)
    refused = Delivery((sent, *trails.delivered(404).attempts), trails.delivered(404).answer)

    assert read(outcome(trails.served(delivery=refused)))["outcome"] == "unknown"


def test_a_refusal_shows_the_path_that_was_asked_for() -> None:
    record = read(outcome(trails.turned_away()))

    assert record["event"] == "refusal"
    assert record["path"] == worlds.PATH + "/Users"
    assert (record["reason"], record["note"]) == ("credential-unknown", "no such credential")
    assert "credential" not in record


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a?b", "/a"),
        ("/a#b?c", "/a"),
        ("http://user:hidden@evil.example/a?b", "evil.example/a"),
        ("//user:hidden@evil.example/a", "evil.example/a"),
        ("user:hidden@evil.example:443", "evil.example:443"),
        ("*", "*"),
        ("/Users/ada@example.com", "/Users/ada@example.com"),
        (f"/scim/{worlds.TOKEN}/Users", "/scim/scimgw_(hidden)/Users"),
        ("/caf\udce9", "/caf\\udce9"),
        ("/a\n{}\x7f", "/a\n{}\x7f"),
    ],
)
def test_a_target_is_shown_without_what_may_be_a_secret(target: str, path: str) -> None:
    line = outcome(trails.turned_away(request=worlds.request(target=target)))

    assert read(line)["path"] == path
    assert b"hidden@" not in line
    assert set(line[:-1]) <= PRINTABLE


def test_neither_values_nor_bodies_nor_credentials_get_into_a_line() -> None:
    trail = trails.served(operation=trails.write(query="filter=secret"), refusal=Refusal(Reason.RECORD_UNAVAILABLE))
    written = intent(trail) + outcome(trail) + outcome(trails.turned_away())

    for secret in (worlds.TOKEN, worlds.UPSTREAM_TOKEN, "secret", "hidden", "Bearer", "eq%20"):
        assert secret.encode() not in written


def test_unparsed_bytes_are_told_by_their_reason() -> None:
    unparsed = Unparsed(RequestId("req-2"), worlds.NOW, "198.51.100.7", Reason.FRAMING_AMBIGUOUS, "both framings")
    record = read(lines.unparsed_line(unparsed, now=worlds.NOW, instance="gw-1"))

    assert (record["event"], record["reason"], record["status"]) == ("unparsed", "framing-ambiguous", 400)


def test_what_is_not_known_has_no_key() -> None:
    stranger = trails.turned_away(tenant_name=None, answer=None, seconds={}, refusal=None)
    silent = Unparsed(RequestId("req-2"), worlds.NOW, "198.51.100.7", Reason.HEAD_TIMEOUT, "")
    always = ["v", "time", "instance", "event", "request", "address"]

    assert list(read(intent(trails.served(request=worlds.request(), client=None, tenant_name=None)))) == [
        *always, "method", "operation", "resource"
    ]  # fmt: skip
    assert list(read(outcome(stranger))) == [*always, "method", "path", "outcome", "seconds", "bytes_in"]
    assert list(read(lines.unparsed_line(silent, now=0, instance="gw-1"))) == [*always, "status", "reason"]


def test_a_notice_shows_its_details() -> None:
    record = read(lines.notice_line("start", {"version": "1"}, now=worlds.NOW, instance="gw-1"))

    assert (record["event"], record["notice"], record["details"]) == ("notice", "start", {"version": "1"})


@pytest.mark.parametrize(("client", "characters"), [(worlds.client(), 1024), (None, 200)], ids=["client", "stranger"])
def test_a_long_text_is_cut_with_a_mark(client: Client | None, characters: int) -> None:
    trail = trails.turned_away(client=client, request=worlds.request(target="/" + "a" * 5000))

    assert read(outcome(trail))["path"] == "/" + "a" * (characters - 1) + "...(cut)"


@pytest.mark.parametrize("text", ["a", "\udcff", "\x7f", "\U0001f600", '"', "\\", "\x01", "caf\xe9/"])
def test_whatever_a_stranger_writes_takes_few_bytes_of_the_log(text: str) -> None:
    spellings = "&".join(
        f"{name[:place].upper()}{name[place:]}" for name in lines._PARAMETERS for place in range(len(name))
    )
    request = worlds.request("PROPPATCH", f"/{text * 8000}?{spellings}&other", address=f"2001:db8{':ffff' * 6}")
    trail = trails.turned_away(request=request, settings="0123456789abcdef", tenant_name=None)
    line = lines.outcome_line(trail, now=worlds.NOW, instance="gw-1.dmz.bank.example")

    assert read(line)["path"].endswith("...(cut)")
    assert len(read(line)["path"]) > 15
    assert len(linked(Link(10**9), [line])[0]) <= LONGEST_OF_STRANGERS


def test_a_parameter_shows_once_however_it_is_spelled() -> None:
    trail = trails.turned_away(request=worlds.request(target="/?Filter=a&filter=b&FILTER&x=1&y=2&&count=1"))

    assert read(outcome(trail))["query"] == ["Filter", "count", "other"]


def test_a_long_list_is_cut_and_counted() -> None:
    people = tuple(Who(str(number)) for number in range(3000))
    record = read(intent(trails.served(operation=trails.write(people=people))))

    assert len(record["people"]) == 256
    assert record["people_total"] == 3000


def the_longest(text: str) -> Trail:
    attempts = tuple(Attempt(text, 1.0, Stage.SENT, 200, text) for _ in range(100))
    write = trails.write(
        people=(Who(text, text, text),) * 300,
        attributes=(text,) * 300,
        dropped=(text,) * 300,
        values=((text, text),) * 300,
        resource_name=text,
    )
    refusal = Refusal(Reason.JSON_MALFORMED, note=text)
    delivery = Delivery(attempts, None, Reason.UPSTREAM_TIMEOUT, text)
    return trails.served(operation=write, refusal=refusal, delivery=delivery, tenant_name=text)


@pytest.mark.parametrize(
    "text", ["a" * 1100, "\x01" * 1100, "\U0001f600" * 1100, "\udce9" * 1100, "\x7f" * 1100, '"' * 1100]
)
def test_no_line_is_longer_than_the_limit(text: str) -> None:
    line = linked(Link(10**18 - 1), [outcome(the_longest(text))])[0]

    assert len(line) <= lines.MAX_LINE_BYTES
    assert read(line)["people_total"] == read(line)["values_total"] == 300


@pytest.mark.parametrize("nested", [300, 1000])
def test_an_intent_that_no_gateway_wrote_stops_no_start(nested: int) -> None:
    deep = b"[" * nested + b"]" * nested
    intent = read_record(b'{"seq":"7","request":%b,"people":[{"id":%b}],"lost":"x"}' % (deep, deep))
    assert intent is not None
    line = json.loads(lines.interrupted_line(intent, now=worlds.NOW, instance="gw-1"))

    assert line["event"] == "interrupted"
    assert (line["intent"], line["people"], line["lost"]) == (0, [{"id": [None]}], "x")


@pytest.mark.parametrize("items", [2000, 200_000])
def test_the_line_of_such_an_intent_has_an_end(items: int) -> None:
    line = lines.interrupted_line({"seq": 7, "lost": ["x"] * items}, now=worlds.NOW, instance="gw-1")

    assert len(line) <= lines.MAX_LINE_BYTES


@given(ANY_TEXT)
def test_whatever_a_request_says_a_line_is_one_line_of_plain_ascii(text: str) -> None:
    write = trails.write(people=(Who(text),), attributes=(text,), resource_name=text)
    trail = trails.served(operation=write, request=worlds.request(target="/" + text, method=text))
    unparsed = Unparsed(RequestId(text), worlds.NOW, text, Reason.HEAD_MALFORMED, text)
    refusal = outcome(trails.turned_away(request=worlds.request(target=text)))

    for line in (
        intent(trail),
        outcome(trail),
        refusal,
        lines.unparsed_line(unparsed, now=0, instance=text),
    ):
        record = read(line)
        assert set(line[:-1]) <= PRINTABLE
        json.dumps(record, ensure_ascii=False).encode()  # no lone surrogate comes back out of it


@pytest.mark.parametrize(
    ("line", "sequence"),
    [
        (linked(Link(6), [intent(trails.served(operation=trails.write()))])[0].rstrip(b"\n"), 7),
        (b'{"seq":1}', 1),
        (b'{"seq":0}', None),
        (b'{"seq":"1"}', None),
        (b'{"seq":true}', None),
        (b"[1]", None),
        (b"\0\0\0", None),
        (b"\xff", None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_number_is_read_back_from_whole_lines_only(line: bytes, sequence: int | None) -> None:
    assert lines.read_sequence(line) == sequence


# The guard ------------------------------------------------------------------------------------------

HELD = Judgement(
    Verdict.HOLD, "deactivated", ("1",), 21, 20, "hold-1", 3, None, "waits for a person", Reason.GUARD_HELD
)


@pytest.mark.parametrize(
    ("judgement", "guard", "lost"),
    [
        (
            HELD,
            {"verdict": "hold", "loss": "deactivated", "people": 1, "counted": 21, "limit": 20}
            | {"hold": "hold-1", "attempts": 3},
            ["1"],
        ),
        (
            Judgement(Verdict.PASS, "removed", ("1", "2"), 2, 20, reservation=7),
            {"verdict": "pass", "loss": "removed", "people": 2, "counted": 2, "limit": 20},
            ["1", "2"],
        ),
        (
            Judgement(Verdict.WOULD_HOLD, "deleted", ("1",), 21, 20, reservation=7),
            {"verdict": "would-hold", "loss": "deleted", "people": 1, "counted": 21, "limit": 20},
            ["1"],
        ),
        (
            Judgement(Verdict.EXEMPT, "removed", ("1",)),
            {"verdict": "exempt", "loss": "removed", "people": 1, "counted": 0, "limit": 0},
            ["1"],
        ),
        (
            Judgement(Verdict.HOLD, hold="hold-1", attempts=1),
            {"verdict": "hold", "hold": "hold-1", "attempts": 1},
            None,
        ),
        (
            Judgement(Verdict.PASS, "removed"),
            {"verdict": "pass", "loss": "removed", "people": 0, "counted": 0, "limit": 0},
            None,
        ),
        (
            Judgement(Verdict.PASS, "removed", note="no answer in time"),
            {"verdict": "pass", "loss": "removed", "people": 0, "counted": 0, "limit": 0, "note": "no answer in time"},
            None,
        ),
    ],
    ids=["held", "passed", "observed", "exempt", "follows", "nobody", "unknown"],
)
def test_what_the_guard_made_of_a_write_is_told_with_its_intent_and_its_outcome(
    judgement: Judgement, guard: dict[str, Any], lost: list[str] | None
) -> None:
    trail = trails.served(operation=trails.write(), judgement=judgement)

    for record in (read(intent(trail)), read(outcome(trail))):
        assert record["guard"] == guard
        assert record.get("lost") == lost


def test_a_write_that_the_guard_did_not_weigh_says_nothing_of_it() -> None:
    record = read(outcome(trails.served(operation=trails.write())))

    assert not {"guard", "lost"} & record.keys()


@pytest.mark.parametrize("text", ["7c0f4a52-9a1e-4d55-9a35-1d2c0b8e6f01", "\x01" * 1100, "\U0001f600" * 300])
def test_a_wave_of_thousands_is_one_line_that_counts_them_all(text: str) -> None:
    lost = tuple(f"{number}{text}" for number in range(5000))
    judged = outcome(trails.served(operation=trails.write(), judgement=replace(HELD, lost=lost)))
    line = linked(Link(10**18 - 1), [judged])[0]
    record = read(line)

    assert len(line) <= lines.MAX_LINE_BYTES
    assert (record["lost_total"], record["guard"]["people"]) == (5000, 5000)
    assert 8 <= len(record["lost"]) <= 256


def test_a_token_that_somebody_took_for_an_id_is_not_shown() -> None:
    judgement = replace(HELD, lost=(worlds.TOKEN,), note="not for the line")
    line = outcome(trails.served(operation=trails.write(), judgement=judgement))

    assert read(line)["lost"] == ["scimgw_(hidden)"]
    assert worlds.TOKEN.encode() not in line
    assert b"not for the line" not in line
