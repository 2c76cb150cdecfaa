"""The gateway's own questions: read with our credential, on behalf of a write that needs time left to leave."""

from __future__ import annotations

import asyncio

import pytest

from gateway import __version__
from gateway.exchange import Delivery, RequestId, Stage
from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding.requests import question
from tests.ports import unused_port
from tests.stages.forwarding.building import OK, USER, Path, assert_failed, make_tenant, path_to, path_to_script
from tests.upstreams import answers, answers_then_keeps_silent, json_answer
from tests.worlds import UPSTREAM_TOKEN, FakeCaller


async def ask(
    path: Path, target: str = "/Groups/1", spent_seconds: float = 0.0, caller: FakeCaller | None = None
) -> Delivery:
    asks = caller or FakeCaller(asyncio.get_running_loop().time() - spent_seconds)
    return await path.forwarding.ask("jira", target, RequestId("req-1"), asks)


async def test_a_question_is_a_read_below_the_tenants_path_with_our_credential() -> None:
    async with path_to_script(answers(OK), upstream_path="/other/v2") as (path, upstream):
        delivery = await ask(path, "/Groups/1?attributes=displayName,members")

        [seen] = upstream.requests
    assert (seen.method, seen.target, seen.body) == ("GET", "/other/v2/Groups/1?attributes=displayName,members", b"")
    assert sorted(seen.fields) == [
        ("Accept", "application/scim+json"),
        ("Accept-Encoding", "identity"),
        ("Authorization", f"Bearer {UPSTREAM_TOKEN}"),
        ("Host", f"127.0.0.1:{upstream.port}"),
        ("User-Agent", f"scim-gateway/{__version__}"),
        ("X-Request-Id", "req-1"),
    ]
    assert delivery.answer is not None
    assert delivery.answer.document == USER


def test_a_question_of_nobodys_bears_no_id_and_one_to_an_open_upstream_no_credential() -> None:
    fields = dict(question("/Users", make_tenant(), None, None).fields)

    assert fields.keys() == {"Accept"}


def test_an_upstream_of_scim_1_1_is_asked_in_its_media_type() -> None:
    fields = dict(question("/Groups/1", make_tenant(client="okta-agent"), None, None).fields)

    assert fields["Accept"] == "application/json"


@pytest.mark.parametrize("target", ["/Groups/a b", "/Groups/a#b", "/Groups/a\r\nX: y", "/Groups/\x00", "/Groups/ä"])
async def test_what_is_no_address_is_not_asked_for(target: str) -> None:
    async with path_to_script(answers(OK)) as (path, upstream):
        with pytest.raises(Refusal, match="target-malformed"):
            await ask(path, target)

        assert upstream.received == []


async def test_a_question_leaves_the_time_that_its_write_needs() -> None:
    """Of a budget of 2 s a write needs 0.8 s: in the rest it may be asked, and an answer waited for."""
    async with path_to_script(answers(OK), budget=2) as (path, upstream):
        late, in_time = await ask(path, spent_seconds=1.25), await ask(path, spent_seconds=0.5)

        assert_failed(late, Reason.QUEUE_TIMEOUT, Stage.NOT_SENT)
        assert in_time.reason is None
        assert len(upstream.requests) == 1


async def test_an_answer_is_waited_for_no_longer_than_its_write_can_spare() -> None:
    async with path_to_script(answers_then_keeps_silent(b""), budget=50) as (path, _):
        needs = path.upstream.tenant.limits.write_needs_seconds
        delivery = await ask(path, spent_seconds=50 - needs - 0.05)

    assert_failed(delivery, Reason.UPSTREAM_TIMEOUT, Stage.SENT)
    assert delivery.attempts[0].seconds < 1


async def test_nothing_is_asked_for_whoever_has_hung_up() -> None:
    async with path_to_script(answers(OK)) as (path, upstream):
        delivery = await ask(path, caller=FakeCaller(is_gone=True))

        assert_failed(delivery, Reason.CLIENT_GONE, Stage.NOT_SENT)
        assert upstream.requests == []


async def test_an_upstream_that_is_away_is_told_by_its_reason() -> None:
    async with path_to(make_tenant(f"http://127.0.0.1:{unused_port()}")) as path:
        assert_failed(await ask(path), Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, Reason.UPSTREAM_CREDENTIAL), (429, Reason.UPSTREAM_BUSY), (503, Reason.UPSTREAM_UNAVAILABLE)],
)
async def test_an_answer_that_tells_nothing_is_a_reason(status: int, reason: Reason) -> None:
    async with path_to_script(answers(json_answer({"status": str(status), "detail": "no"}, status))) as (path, _):
        assert (await ask(path)).reason is reason
