"""A visit of whole chains: a healthy one is all green, and each fault that is planted is named, with its mend."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import unquote

import pytest

from gateway.doctor.checks import CHECKS
from gateway.doctor.findings import Finding, Grade
from gateway.doctor.visit import Limits
from gateway.rehearsal.application import Application
from gateway.server.tls import server_context
from tests.doctor.scenes import (
    Between,
    Call,
    Forward,
    Told,
    asking,
    chain_of,
    findings,
    instead,
    is_green,
    retarget,
    running,
    saying,
    visit,
)
from tests.journal.disks import FailingDisk
from tests.ports import unused_port
from tests.scim11_server import PATH_OF_1_1, scim11_server
from tests.settings.files import write_private
from tests.upstreams import Conversation, answers, http_answer, json_answer, scripted_upstream
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN, sha256

HTML = {"Content-Type": "text/html", "Server": "nginx/1.22.1"}
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
NO_USERS = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0, "Resources": []}
OTHER = "another-token-0123456789-0123456789-abcdef"


def assert_named(found: dict[str, Finding], check: str, grade: Grade, seen: str, mend: str) -> None:
    """That one check saw it, and says what to do."""
    one = found[check]
    assert one.grade is grade, found
    assert seen in one.seen
    assert mend in one.mend


async def test_a_healthy_chain_is_all_green(tmp_path: Path, application: Application) -> None:
    feed = tmp_path / "ranges.json"
    feed.write_text('{"here": {"ip_ranges": ["127.0.0.0/8"]}}')
    more = f'[sources.okta]\nfile = "{feed}"\n'
    async with chain_of(tmp_path, application.origin, more=more) as chain:
        found = await findings(visit(chain), with_test_user=True)

    assert is_green(found), found
    assert list(found) == [check.name for check in CHECKS]


async def test_a_healthy_chain_is_all_green_from_elsewhere(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        found = await findings(visit(chain, on_host=False))

    assert is_green(found), found
    assert list(found) == [check.name for check in CHECKS if not check.on_the_host and not check.on_demand]


@pytest.mark.parametrize("on_host", [True, False])
async def test_a_healthy_chain_of_the_provisioning_agent_is_all_green(tmp_path: Path, on_host: bool) -> None:
    async with (
        scim11_server() as server,
        chain_of(tmp_path, server.origin, path_of_agent=PATH_OF_1_1) as chain,
    ):
        found = await findings(visit(chain, on_host=on_host), with_test_user=True)

    assert is_green(found), found


async def test_nothing_is_written_upstream_unless_test_users_are_asked_for(tmp_path: Path) -> None:
    async with scripted_upstream(answers(json_answer(NO_USERS))) as upstream:
        async with chain_of(tmp_path, upstream.url) as chain:
            await findings(visit(chain))
        written = [request for request in upstream.requests if request.method != "GET"]

    (patch,) = written  # of a user who does not exist
    assert (patch.method, patch.target.rpartition("/")[2].startswith("doctor-")) == ("PATCH", True)


async def test_without_a_token_what_needs_one_is_skipped_and_said(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        found = await findings(visit(chain, token=None))

    skipped = {name for name, one in found.items() if one.grade is Grade.SKIPPED}
    assert skipped == {check.name for check in CHECKS if check.with_token and not check.on_demand}
    assert "--token-file" in found["token"].seen


# Between the client and the gateway ---------------------------------------------------------------------


def decoding(*escapes: str) -> Between:
    def change(target: str) -> str:
        for escape in escapes:
            target = target.replace(escape, unquote(escape))
        return target

    return retarget(change)


def without_authorization(call: Call) -> Call:
    return replace(call, fields={name: text for name, text in call.fields.items() if name != "Authorization"})


def with_token(call: Call) -> Call:
    return replace(call, fields={**call.fields, "Authorization": f"Bearer {TOKEN}"})


def showing_the_inside(told: Told) -> Told:
    return replace(told, body=told.body.replace(b"https://127.0.0.1:", b"http://jira-1.internal:"))


def later(value: str | None) -> Between:
    fields = {"Content-Type": "application/scim+json"} | ({"Retry-After": value} if value else {})
    return instead(Told(429, b'{"schemas": [], "status": "429", "detail": "later"}', fields), method="PATCH")


def with_clock(skew_seconds: float) -> Between:
    def change(told: Told) -> Told:
        date = format_datetime(datetime.fromtimestamp(time.time() + skew_seconds, UTC), usegmt=True)
        return replace(told, fields={**told.fields, "Date": date})

    return saying(change)


PAGE_404 = instead(Told(404, b"<html><h1>404 Not Found</h1></html>", HTML))
PAGE_200 = instead(Told(200, b"<html><h1>Welcome to nginx!</h1></html>", HTML))
ELSEWHERE = instead(Told(302, b"", {"Location": "https://login.example.com/"}))
BLOCKED = instead(Told(403, b"<html>Request blocked</html>", HTML), method="PATCH")
UNKNOWN_METHOD = instead(Told(405, b"", {}), method="PATCH")
YES = instead(Told(204, b"", {}), method="PATCH")


@pytest.mark.parametrize(
    ("between", "check", "grade", "seen", "mend"),
    [
        (PAGE_404, "wrong-token", Grade.FAULT, "a web page answered, not the gateway: status 404 of nginx", "port and"),
        (PAGE_200, "wrong-token", Grade.FAULT, "made-up token", "close this at once"),
        (ELSEWHERE, "wrong-token", Grade.FAULT, "redirects (status 302) to https://login.example.com/", "follow no"),
        (asking(with_token), "wrong-token", Grade.FAULT, "users are shown to whoever asks", "adds a token"),
        (asking(without_authorization), "token", Grade.FAULT, "no Authorization arrives", "takes the field"),
        (BLOCKED, "patch", Grade.FAULT, "status 403 by something between", "let PATCH pass"),
        (UNKNOWN_METHOD, "patch", Grade.FAULT, "status 405 by something between", "let PATCH pass"),
        (YES, "patch", Grade.FAULT, "is answered with 204", "without doing it"),
        (decoding("%2B"), "filters", Grade.FAULT, "an escaped + arrives as a space", "decodes %2B"),
        (decoding("%25"), "filters", Grade.FAULT, "% and quotes does not survive", "decodes the query once too often"),
        (saying(showing_the_inside), "links", Grade.FAULT, "leads to http://jira-1.internal:", "gateway.public_url"),
        (later("Thu, 26 Nov 2026 14:00:00 GMT"), "retry-after", Grade.FAULT, "not whole seconds", "reads no dates"),
        (later(None), "retry-after", Grade.FAULT, "has no Retry-After", "5 minutes"),
        (later("1"), "retry-after", Grade.WARNING, "Retry-After: 1", "at least 60"),
        (with_clock(3650), "clock", Grade.FAULT, "the gateway's clock is 3,6", "time server"),
        (with_clock(-72), "clock", Grade.WARNING, "the gateway's clock is 7", "time server"),
    ],
)
async def test_who_stands_between_is_named(
    tmp_path: Path, application: Application, between: Between, check: str, grade: Grade, seen: str, mend: str
) -> None:
    async with chain_of(tmp_path, application.origin, between=between) as chain:
        found = await findings(visit(chain))

    assert_named(found, check, grade, seen, mend)


async def test_a_proxy_that_changes_nothing_is_all_green(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin, between=asking(lambda call: call)) as chain:
        assert is_green(await findings(visit(chain), with_test_user=True))


async def test_test_users_that_cannot_be_made_are_named(tmp_path: Path, application: Application) -> None:
    error = b'{"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "500", "detail": "No licence"}'
    no_more = instead(Told(500, error, {"Content-Type": "application/scim+json"}), method="POST")
    async with chain_of(tmp_path, application.origin, between=no_more) as chain:
        found = await findings(visit(chain), with_test_user=True)

    assert_named(found, "test-user", Grade.FAULT, "create: expected status 201, got 500: No licence", "look into")


def blocking(text: str) -> Between:
    """As a web application firewall does that takes a query for an attack."""

    async def between(call: Call, forward: Forward) -> Told:
        return Told(403, b"<html>Request blocked</html>", HTML) if text in call.target else await forward(call)

    return between


@pytest.mark.parametrize("text", ["%22", "userName%2Beq"])
async def test_a_firewall_that_blocks_filters_is_named(tmp_path: Path, application: Application, text: str) -> None:
    async with chain_of(tmp_path, application.origin, between=blocking(text)) as chain:
        found = await findings(visit(chain))

    assert_named(found, "filters", Grade.FAULT, "a web page answered, not the gateway: status 403", "a firewall")


async def test_a_query_that_is_cut_off_is_named(tmp_path: Path, application: Application) -> None:
    def cut(target: str) -> str:
        return target.partition("?")[0] if "filter" in target else target

    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "ann@example.com"}
    some = json_answer({**NO_USERS, "totalResults": 1, "startIndex": 1, "itemsPerPage": 1, "Resources": [user]})
    async with (
        scripted_upstream(answers(some)) as upstream,
        chain_of(tmp_path, upstream.url, between=retarget(cut)) as chain,
    ):
        found = await findings(visit(chain))

    assert_named(found, "filters", Grade.FAULT, "the filter has no effect", "cut off")


# The token ----------------------------------------------------------------------------------------------


async def test_a_token_of_nobody_is_named(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        there = await findings(visit(chain, token=OTHER))
        elsewhere = await findings(visit(chain, token=OTHER, on_host=False))
        mistyped = await findings(visit(chain, token=TOKEN[:-1] + "x", on_host=False))

    assert_named(there, "token", Grade.FAULT, "credential-unknown on record", "no credential of this tenant")
    assert_named(elsewhere, "token", Grade.FAULT, "refused with 401", "the gateway's audit log says which, by req-")
    assert_named(mistyped, "token", Grade.FAULT, "has a typing error", "copy it again")
    assert there["patch"].grade is Grade.SKIPPED


async def test_a_token_of_another_tenant_is_named(tmp_path: Path, application: Application) -> None:
    more = f"""
[tenants.other]
path = "/other/v2"
upstream = ["{application.origin}"]
upstream_path = "{PATH}"
upstream_token_file = "secret"
[[tenants.other.credentials]]
name = "okta-other"
token_sha256 = "{sha256(OTHER)}"
"""
    async with chain_of(tmp_path, application.origin, more=more) as chain:
        found = await findings(visit(chain, token=OTHER))

    assert_named(found, "token", Grade.FAULT, "another tenant's (credential-of-other-tenant on record)", "mixed up")


@pytest.mark.parametrize("on_host", [True, False])
async def test_a_machine_that_may_not_call_skips_what_it_cannot_test(
    tmp_path: Path, application: Application, on_host: bool
) -> None:
    """As on the gateway's own host, where only the client's networks may call: that is no fault."""
    async with chain_of(tmp_path, application.origin) as chain:
        text = chain.config.read_text()
    chain.config.write_text(text.replace(f'path = "{PATH}"', f'path = "{PATH}"\nsources = ["203.0.113.0/24"]'))
    async with running(chain.config):
        found = await findings(visit(chain, on_host=on_host))

    assert "none of the tenant's sources" in found["wrong-token"].seen
    assert {found[name].seen for name in ("token", "patch", "links")} == {'"wrong-token" could not be made'}
    assert {one.grade for one in found.values()} == {Grade.OK, Grade.SKIPPED}, found


async def test_a_server_that_says_what_it_was_sent_does_not_have_the_secrets_shown(tmp_path: Path) -> None:
    async def echo(conversation: Conversation) -> None:
        while True:
            said = (await conversation.request()).all("Authorization")
            status = 400 if {f"Bearer {TOKEN}", f"Bearer {UPSTREAM_TOKEN}"} & set(said) else 401
            error = {"schemas": [ERROR], "status": str(status), "detail": f"What is {said}?"}
            await conversation.send(json_answer(error, status))

    async with scripted_upstream(echo) as upstream, chain_of(tmp_path, upstream.url) as chain:
        inside = await findings(visit(chain))
    async with scripted_upstream(echo, server_context(*chain.pair)) as stranger:
        outside = await findings(visit(replace(chain, port=stranger.port), on_host=False))

    assert "What is ['Bearer <secret>']" in inside["upstream"].seen
    assert UPSTREAM_TOKEN not in str(inside)
    assert "What is ['Bearer <secret>']" in outside["token"].seen
    assert TOKEN not in str(outside)


async def test_a_credential_that_has_ended_is_named(tmp_path: Path, application: Application) -> None:
    more = f"""
[[tenants.jira.credentials]]
name = "old"
token_sha256 = "{sha256(OTHER)}"
expires = 2026-01-01T00:00:00Z
"""
    async with chain_of(tmp_path, application.origin, more=more) as chain:
        found = await findings(visit(chain, token=OTHER))

    assert_named(found, "token", Grade.FAULT, "the token has ended (credential-expired on record)", "token new")
    assert_named(found, "expiry", Grade.FAULT, "old ended on 2026-01-01", "check lists all")


# Inside ---------------------------------------------------------------------------------------------------


async def test_an_application_that_is_down_is_named_and_what_the_client_is_told(tmp_path: Path) -> None:
    port = unused_port()
    async with chain_of(tmp_path, f"http://127.0.0.1:{port}") as chain:
        found = await findings(visit(chain))

    assert_named(found, "upstream", Grade.FAULT, f"127.0.0.1:{port}: no connection", "start the application")
    assert_named(found, "token", Grade.FAULT, "got 429", "start the application")
    assert found["retry-after"].grade is Grade.OK  # the gateway's own


async def test_an_application_that_names_no_time_to_come_back_is_the_gateways_matter(tmp_path: Path) -> None:
    async with scripted_upstream(answers(http_answer(503))) as upstream, chain_of(tmp_path, upstream.url) as chain:
        found = await findings(visit(chain))

    assert_named(found, "upstream", Grade.FAULT, "answers with status 503", "look at its log")
    assert found["retry-after"].grade is Grade.OK


async def test_a_wrong_upstream_secret_is_named(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        pass
    write_private(tmp_path / "secret", OTHER)
    found = await findings(visit(chain))

    assert_named(found, "upstream", Grade.FAULT, "refuses the gateway's credential (status 401)", "upstream_token_file")


@pytest.mark.parametrize(
    ("answer", "seen", "mend"),
    [
        (http_answer(200, HTML, b"<html>Jira</html>"), "answers with a web page", "compare upstream"),
        (http_answer(302, {"Location": "https://jira.example.com/"}), "redirects to https://jira", "compare upstream"),
        (json_answer({"status": "RUNNING"}), "`schemas` does not name", "compare upstream"),
    ],
)
async def test_an_upstream_that_is_no_scim_is_named(tmp_path: Path, answer: bytes, seen: str, mend: str) -> None:
    async with scripted_upstream(answers(answer)) as upstream, chain_of(tmp_path, upstream.url) as chain:
        found = await findings(visit(chain))

    assert_named(found, "upstream", Grade.FAULT, seen, mend)


async def test_one_node_less_is_a_warning(tmp_path: Path, application: Application) -> None:
    nodes = (application.origin, f"http://127.0.0.1:{unused_port()}")
    async with chain_of(tmp_path, nodes) as chain:
        found = await findings(visit(chain))

    assert_named(found, "upstream", Grade.WARNING, "another node serves", "start the application")


async def test_the_applications_clock_is_compared_too(tmp_path: Path) -> None:
    old = json_answer(NO_USERS, fields={"Date": "Thu, 26 Nov 2020 14:00:00 GMT"})
    async with scripted_upstream(answers(old)) as upstream, chain_of(tmp_path, upstream.url) as chain:
        found = await findings(visit(chain))

    assert_named(found, "clock", Grade.FAULT, "the application's clock is", "time server")


@pytest.mark.parametrize(
    ("limits", "grade"),
    [(Limits(slow_seconds=0.01), Grade.WARNING), (Limits(too_slow_seconds=0.01), Grade.FAULT)],
)
async def test_an_application_that_is_slow_is_named(tmp_path: Path, limits: Limits, grade: Grade) -> None:
    async def slow(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await conversation.send_apart(b"", b"", json_answer(NO_USERS))

    async with scripted_upstream(slow) as upstream, chain_of(tmp_path, upstream.url) as chain:
        found = await findings(visit(chain, limits=limits))

    assert_named(found, "times", grade, "the slowest of", "is slow")


async def test_an_application_that_keeps_silent_is_named(tmp_path: Path) -> None:
    async def silent(conversation: Conversation) -> None:
        await conversation.silence()

    async with scripted_upstream(silent) as upstream, chain_of(tmp_path, upstream.url) as chain:
        found = await findings(visit(chain, limits=Limits(patience_seconds=0.3)))

    assert_named(found, "token", Grade.FAULT, "no answer in time", "Okta gives up after 60 s")
    assert_named(found, "upstream", Grade.FAULT, "no answer in time", "does not answer in time")


# The gateway's host ---------------------------------------------------------------------------------------


async def test_a_full_disk_is_named(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        full, filling = visit(chain), visit(chain)
        full.free_bytes = lambda _: 100 << 20
        filling.free_bytes = lambda _: 900 << 20

        assert_named(await findings(full), "disk-space", Grade.FAULT, "100 MiB free", "make room")
        assert_named(await findings(filling), "disk-space", Grade.WARNING, "900 MiB free", "make room")


@pytest.mark.parametrize(
    ("limits", "grade"),
    [(Limits(slow_sync_seconds=0), Grade.WARNING), (Limits(too_slow_sync_seconds=0), Grade.FAULT)],
)
async def test_a_slow_disk_is_named(tmp_path: Path, application: Application, limits: Limits, grade: Grade) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        found = await findings(visit(chain, limits=limits))

    assert_named(found, "disk-speed", grade, "fdatasync takes", "local SSD")
    assert [file.name for file in (tmp_path / "audit").iterdir() if file.name.startswith(".doctor")] == []


async def test_a_disk_that_fails_is_named(tmp_path: Path, application: Application) -> None:
    disk = FailingDisk()
    disk.failing = {"sync"}
    async with chain_of(tmp_path, application.origin) as chain:
        visited = visit(chain)
        visited.disk = disk
        found = await findings(visited)

    assert_named(found, "disk-speed", Grade.FAULT, "cannot be written to: Input/output error", "look at the disk")


async def test_a_record_that_was_tampered_with_is_named(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        await findings(visit(chain))
    file = tmp_path / "audit/audit-000001.jsonl"
    file.write_text(file.read_text().replace('"status":200', '"status":201', 1))
    found = await findings(visit(chain))

    assert_named(found, "audit", Grade.FAULT, "tampered with: edit at line", "keep a copy")


async def test_a_gateway_that_never_ran_has_no_record(tmp_path: Path, application: Application) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        pass
    for file in (tmp_path / "audit").iterdir():
        file.unlink()
    found = await findings(visit(chain))

    assert_named(found, "audit", Grade.WARNING, "there is no audit log", "ever run")


async def test_a_stale_feed_is_named(tmp_path: Path, application: Application) -> None:
    feed = tmp_path / "ranges.json"
    feed.write_text('{"here": {"ip_ranges": ["127.0.0.0/8"]}}')
    os.utime(feed, (time.time() - 20 * 86_400,) * 2)
    async with chain_of(tmp_path, application.origin, more=f'[sources.okta]\nfile = "{feed}"\n') as chain:
        found = await findings(visit(chain))

    assert_named(found, "feeds", Grade.WARNING, "was fetched 20 days ago", "the job that fetches it")


async def test_settings_that_cannot_be_read_are_named_and_the_rest_is_visited(
    tmp_path: Path, application: Application
) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        chain.config.write_text(chain.config.read_text() + "\n[[[")
        found = await findings(visit(chain))

    assert_named(found, "settings", Grade.FAULT, "is not TOML", "correct the settings")
    assert found["filters"].grade is Grade.OK
    assert found["upstream"].seen == "the settings cannot be used"


async def test_a_file_that_keeps_a_gateway_from_starting_is_named_and_the_rest_is_visited(
    tmp_path: Path, application: Application
) -> None:
    async with chain_of(tmp_path, application.origin) as chain:
        (tmp_path / "tls/key.pem").unlink()
        found = await findings(visit(chain))

    assert_named(found, "settings", Grade.FAULT, "key.pem cannot be read", "correct the settings")
    assert {name for name, one in found.items() if one.grade is not Grade.OK} == {"settings"}
