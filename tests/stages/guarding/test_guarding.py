"""The guard: what it counts, what it keeps, and what it does when it can do neither."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from gateway.exchange import Delivery, Verdict
from gateway.refusal import Reason
from gateway.state.ledger import Ledger, Signature, Standing
from tests.stages.guarding.building import FEW, OFF, ON, Scene, answered, group, listed, patch, unanswered
from tests.state.keepers import PlainKeeper

Document = Mapping[str, object]
ALICE = Signature("alice", "asked HR", 10.0)
ADD = patch("add", "members", listed("z"))
REMOVE = patch("remove", 'members[value eq "a"]')


def executed() -> Delivery:
    return answered(200, {"id": "1"})


# Modes ----------------------------------------------------------------------------------------------


async def test_a_guard_that_is_off_neither_asks_nor_counts() -> None:
    scene = Scene(guard={"mode": "off"})

    for number in range(30):
        assert await scene.weigh("DELETE", f"/Users/{number}") is None
    assert await scene.weigh("DELETE", "/Groups/g") is None
    assert (scene.asked, scene.keeper.kinds()) == ([], [])


async def test_a_wave_is_held_and_a_few_leavers_are_not() -> None:
    scene = Scene()
    verdicts = [(await scene.judged("PATCH", f"/Users/{person}", OFF)).verdict for person in "abcde"]

    assert verdicts == [Verdict.PASS] * 3 + [Verdict.HOLD] * 2


async def test_a_held_write_says_why_it_may_not_leave_and_which_wave_it_is_of() -> None:
    scene = Scene()
    hold = await scene.wave("abcd")
    judgement = await scene.judged("DELETE", "/Users/e")
    refusal = judgement.refusal()

    assert refusal is not None
    assert (refusal.reason, refusal.hold) == (Reason.GUARD_HELD, hold)
    assert (judgement.loss, judgement.lost, judgement.reservation) == ("deleted", ("e",), None)
    assert (judgement.counted, judgement.limit) == (4, 3)
    assert "the limit is 3" in refusal.note


async def test_a_guard_that_observes_holds_nothing_and_says_what_it_would_have_held() -> None:
    scene = Scene(guard=FEW | {"mode": "observe"})
    judged = [await scene.judged("PATCH", f"/Users/{person}", OFF) for person in "abcde"]

    assert [each.verdict for each in judged] == [Verdict.PASS] * 3 + [Verdict.WOULD_HOLD] * 2
    assert {each.refusal() for each in judged} == {None}
    assert [event.kind for event in scene.told] == ["wave-observed"]


async def test_what_takes_from_nobody_is_not_weighed_while_nothing_waits() -> None:
    scene = Scene()

    assert await scene.weigh("PATCH", "/Users/a", ON) is None
    assert await scene.weigh("PATCH", "/Groups/g", ADD) is None
    assert scene.keeper.kinds() == []


async def test_whoever_reactivates_somebody_waits_behind_the_held_deactivation() -> None:
    scene = Scene()
    hold = await scene.wave()
    behind, elsewhere = await scene.judged("PATCH", "/Users/d", ON), await scene.judged("PATCH", "/Users/a", ON)

    assert (behind.verdict, behind.hold, behind.loss, behind.lost) == (Verdict.HOLD, hold, "", ())
    assert behind.reason is Reason.GUARD_BEHIND
    assert elsewhere.verdict is Verdict.PASS


async def test_me_counts_as_the_credential_that_asks() -> None:
    scene = Scene()
    judged = [await scene.judged(method, "/Me", document) for method, document in (("DELETE", None), ("PATCH", OFF))]

    assert [each.lost for each in judged] == [("me:okta-2027",)] * 2
    assert judged[1].counted == 1


# Decided --------------------------------------------------------------------------------------------


async def test_a_write_that_was_approved_passes_when_it_comes_again_and_is_done_once_executed() -> None:
    scene = Scene()
    hold = await scene.wave()
    scene.keeper.books.approve(hold, ALICE)
    repeat = await scene.judged("PATCH", "/Users/d", OFF, "req-2")

    assert (repeat.verdict, repeat.hold, repeat.attempts) == (Verdict.PASS, hold, 2)
    scene.settle(repeat, executed())
    assert scene.keeper.books.holds()[0].hold.done == 1
    assert scene.leaves_nothing_in_flight()


async def test_a_write_that_was_denied_is_refused_when_it_comes_again() -> None:
    scene = Scene()
    hold = await scene.wave()
    scene.keeper.books.deny(hold, ALICE)
    refusal = (await scene.judged("PATCH", "/Users/d", OFF, "req-2")).refusal()

    assert refusal is not None
    assert (refusal.reason, refusal.hold) == (Reason.GUARD_DENIED, hold)


# Outcomes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivery", "counted"),
    [
        (answered(200, {"id": "1"}), 1),
        (answered(204), 1),
        (answered(404), 0),
        (answered(409), 0),
        (answered(500), 1),  # it proves nothing
        (unanswered(Reason.UPSTREAM_TIMEOUT), 1),  # it was sent
        (Delivery((), None, Reason.UPSTREAM_UNREACHABLE), 0),  # it was not
        (Delivery((), None, Reason.CLIENT_GONE), 0),
    ],
)
async def test_only_what_was_provably_not_executed_is_not_counted(delivery: Delivery, counted: int) -> None:
    scene = Scene()
    scene.settle(await scene.judged("DELETE", "/Users/a"), delivery)

    assert scene.keeper.kinds() == ["lost"] * counted
    assert (await scene.judged("DELETE", "/Users/b")).counted == counted + 1


@pytest.mark.parametrize(("stage", "kinds"), [("record", []), ("forward", ["lost"])])
async def test_a_write_cut_short_counts_once_it_may_have_left(stage: str, kinds: list[str]) -> None:
    scene = Scene()
    scene.settle(await scene.judged("DELETE", "/Users/a"), stage=stage)

    assert scene.keeper.kinds() == kinds


async def test_those_in_flight_count_already() -> None:
    scene = Scene()
    for person in "abc":
        await scene.judged("DELETE", f"/Users/{person}")

    assert (await scene.judged("DELETE", "/Users/d")).verdict is Verdict.HOLD


@pytest.mark.parametrize(
    ("delivery", "comes_again"),
    [
        (answered(404, {"status": "404", "detail": "no"}), False),
        (answered(409), False),
        (unanswered(Reason.UPSTREAM_BUSY, 429), True),
        (unanswered(Reason.UPSTREAM_TIMEOUT), True),
        (Delivery((), None, Reason.UPSTREAM_UNREACHABLE), True),
        (Delivery((), None, Reason.CLIENT_GONE), True),  # it got no answer at all
        (None, True),  # the gateway is being stopped
    ],
)
async def test_later_writes_wait_for_an_approved_one_whose_client_comes_again(
    delivery: Delivery | None, comes_again: bool
) -> None:
    scene = Scene()
    scene.keeper.books.approve(await scene.wave(), ALICE)
    scene.settle(await scene.judged("PATCH", "/Users/d", OFF), delivery)
    later = await scene.weigh("PATCH", "/Users/d", ON)

    assert (later is not None and later.reason is Reason.GUARD_BEHIND) is comes_again


# Keeping --------------------------------------------------------------------------------------------


async def test_what_passes_is_on_disk_before_it_may_leave() -> None:
    scene = Scene()
    await scene.judged("DELETE", "/Users/a")

    assert [kind for kind, _, _ in scene.keeper.kept] == ["flight"]


async def test_what_cannot_be_kept_is_put_off_and_counts_no_more() -> None:
    scene = Scene()
    scene.keeper.fails = "the disk is full"
    judgement = await scene.judged("DELETE", "/Users/a")
    refusal = judgement.refusal()

    assert refusal is not None
    assert (refusal.reason, refusal.note) == (Reason.GUARD_UNAVAILABLE, "the disk is full")
    assert (judgement.verdict, judgement.reservation) == (Verdict.HOLD, None)
    assert scene.keeper.kinds() == []


async def test_what_was_approved_and_cannot_be_kept_is_put_off_and_stays_approved() -> None:
    scene = Scene()
    scene.keeper.books.approve(await scene.wave(), ALICE)
    scene.keeper.fails = "the disk is full"
    put_off = await scene.judged("PATCH", "/Users/d", OFF)
    (view,) = scene.keeper.books.holds()

    assert put_off.reason is Reason.GUARD_UNAVAILABLE
    assert [each.standing for each in view.writes] == [Standing.APPROVED]


async def test_a_hold_that_cannot_be_kept_holds_all_the_same() -> None:
    scene = Scene()
    await scene.wave("abcd")
    scene.keeper.fails = "the disk is full"

    assert (await scene.judged("DELETE", "/Users/e")).reason is Reason.GUARD_HELD


async def test_a_follower_that_takes_nothing_passes_though_it_cannot_be_kept() -> None:
    scene = Scene()
    hold = await scene.wave()
    scene.keeper.books.approve(hold, ALICE)
    scene.settle(await scene.judged("PATCH", "/Users/d", OFF), executed())
    await scene.wave("efgh")
    scene.keeper.fails = "the disk is full"
    judgement = await scene.judged("PATCH", "/Users/a", ON)

    assert (judgement.verdict, judgement.reason) == (Verdict.PASS, None)


async def test_a_group_that_only_grows_passes_though_it_cannot_be_kept() -> None:
    scene = Scene([answered(200, group("a"))])
    await scene.wave()
    scene.keeper.fails = "the disk is full"
    judgement = await scene.judged("PUT", "/Groups/g", {"displayName": "g", "members": listed("a", "b")})

    assert (judgement.verdict, judgement.reason, judgement.lost) == (Verdict.PASS, None, ())


async def test_a_guard_that_observes_lets_pass_what_cannot_be_kept() -> None:
    scene = Scene(guard=FEW | {"mode": "observe"})
    scene.keeper.fails = "the disk is full"
    judgement = await scene.judged("DELETE", "/Users/a")

    assert judgement.refusal() is None
    scene.settle(judgement, executed())


async def test_whoever_is_cut_short_while_it_is_kept_leaves_nothing_in_flight() -> None:
    """As a write is when the gateway stops."""
    scene = Scene()
    scene.keeper.hangs = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        weighing = tasks.create_task(scene.judged("DELETE", "/Users/a"))
        await scene.keeper.is_waiting.wait()
        assert scene.keeper.kinds() == ["flight"]
        weighing.cancel()

    assert scene.keeper.kinds() == []


async def test_an_approved_write_that_is_cut_short_while_it_is_kept_stays_approved() -> None:
    scene = Scene()
    hold = await scene.wave()
    scene.keeper.books.approve(hold, ALICE)
    scene.keeper.hangs = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        weighing = tasks.create_task(scene.judged("PATCH", "/Users/d", OFF))
        await scene.keeper.is_waiting.wait()
        weighing.cancel()
    after_a_restart = Ledger.restored(scene.keeper.books.rows().items())
    after_a_restart.settle_all(scene.keeper.now)
    (view,) = after_a_restart.holds()

    assert [each.standing for each in view.writes] == [Standing.APPROVED]


# Without a ledger -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "write", "reason"),
    [
        ("hold", ("DELETE", "/Users/a", None), Reason.GUARD_UNAVAILABLE),
        ("hold", ("PATCH", "/Groups/g", REMOVE), Reason.GUARD_UNAVAILABLE),
        ("hold", ("DELETE", "/Groups/g", None), Reason.GUARD_UNAVAILABLE),
        ("hold", ("PATCH", "/Users/a", ON), None),
        ("hold", ("PATCH", "/Groups/g", ADD), None),
        ("hold", ("PUT", "/Groups/g", {"displayName": "g", "members": listed("a", "b", "c")}), None),
        ("observe", ("DELETE", "/Users/a", None), None),
        ("off", ("DELETE", "/Users/a", None), None),
    ],
)
async def test_without_a_ledger_only_what_takes_access_is_put_off(
    mode: str, write: tuple[str, str, Document | None], reason: Reason | None
) -> None:
    blind = PlainKeeper(unreadable="it is damaged")
    scene = Scene([answered(200, group("a", "b"))], blind, guard=FEW | {"mode": mode})
    judgement = await scene.weigh(*write)

    assert (None if judgement is None else judgement.reason) is reason
    if reason is not None:
        assert judgement is not None
        assert judgement.note == "it is damaged"
    assert not scene.guarding.wave_waits("jira")


# Telling --------------------------------------------------------------------------------------------


async def test_a_wave_is_told_of_once_however_many_it_holds() -> None:
    scene = Scene()
    hold = await scene.wave("abcdefgh")
    (event,) = scene.told

    assert (event.kind, event.hold, event.tenant_name) == ("wave-held", hold, "jira")
    assert (event.operation, event.counted, event.limit) == ("user.deactivate", 4, 3)
    assert (event.summary, event.request_id) == ("/Users/d", "req-1")


async def test_the_end_of_its_clients_patience_is_told_of_once_for_each_hold() -> None:
    scene = Scene()
    await scene.wave("abcde")
    for attempt in range(2, 12):
        scene.keeper.seconds += 600.0
        for person in "de":
            assert (await scene.judged("PATCH", f"/Users/{person}", OFF)).attempts == attempt

    assert [(event.kind, event.attempts) for event in scene.told] == [("wave-held", 1), ("last-attempts", 8)]


async def test_a_wave_waits_until_it_is_decided() -> None:
    scene = Scene()
    assert not scene.guarding.wave_waits("jira")
    hold = await scene.wave()
    assert scene.guarding.wave_waits("jira")
    assert not scene.guarding.wave_waits("wiki")
    assert not scene.guarding.wave_waits(None)
    scene.keeper.books.approve(hold, ALICE)
    assert not scene.guarding.wave_waits("jira")


async def test_a_wave_that_still_waits_is_told_of_anew_until_it_is_decided() -> None:
    """The last process may have been killed between holding it and telling of it."""
    scene = Scene()
    hold = await scene.wave()
    scene.told.clear()
    scene.guarding.tell_what_waits()
    scene.keeper.books.deny(hold, ALICE)
    scene.guarding.tell_what_waits()
    Scene(keeper=PlainKeeper(unreadable="it is damaged")).guarding.tell_what_waits()
    (event,) = scene.told

    assert (event.kind, event.hold, event.tenant_name) == ("wave-waits", hold, "jira")
    assert (event.summary, event.counted, event.limit) == ("user.deactivate of /Users/d", 4, 3)


async def test_the_size_of_the_directory_sets_the_limit() -> None:
    scene = Scene(guard={"people": 20, "share": 0.2})
    scene.guarding.directories.sizes["jira"] = 40

    assert (await scene.judged("DELETE", "/Users/a")).limit == 8
