"""The ledger's rules, each as a claim."""

from __future__ import annotations

import pytest

from gateway.state.ledger import (
    HoldIsOver,
    HoldState,
    Ledger,
    Rules,
    Ruling,
    Signature,
    Standing,
    UnknownHold,
    Verdict,
    Write,
    limit_of,
)
from tests.state.ledgers import RULES, TENANT, execute, off, on, out, signed, wave, weigh

PASS, HOLD, DENY = Verdict.PASS, Verdict.HOLD, Verdict.DENY


def standings(ledger: Ledger) -> dict[str, Standing]:
    return {write.task: write.standing for view in ledger.holds() for write in view.writes}


@pytest.mark.parametrize(
    ("people", "share", "directory", "limit"),
    [
        (20, 0.2, None, 20),
        (20, 0.2, 2000, 20),
        (20, 0.2, 50, 10),
        (20, 0.2, 49, 9),
        (20, 0.2, 20, 4),
        (20, 0.2, 10, 3),
        (20, 0.2, 0, 3),
        (2, 0.2, 10, 2),
        (0, 0.2, 10, 0),
        (99, 0.29, 100, 29),
    ],
)
def test_a_limit_is_the_smaller_of_people_and_share_but_a_share_is_never_below_three(
    people: int, share: float, directory: int | None, limit: int
) -> None:
    assert limit_of(people, share, directory) == limit


# The window ----------------------------------------------------------------------------------------


def test_as_many_as_the_limit_pass_and_one_more_trips_a_hold() -> None:
    ledger = Ledger()
    assert [execute(ledger, off(person)) for person in "abc"] == [PASS] * 3

    weighed = weigh(ledger, off("d"), 5.0)
    assert (weighed.verdict, weighed.tripped, weighed.counted, weighed.limit) == (HOLD, True, 4, 3)
    assert weighed.hold == "hold-00000032"
    assert not weigh(ledger, off("e"), 5.0).tripped


def test_a_person_counts_once_by_the_last_time() -> None:
    ledger = Ledger()
    for now in (0.0, 60.0):
        execute(ledger, off("a"), now)
    execute(ledger, off("b"), 60.0)

    assert weigh(ledger, off("c"), 120.0).counted == 3  # a lost access 60 s ago, whatever was before


def test_somebody_who_loses_access_again_keeps_nobody_else_in_the_window() -> None:
    ledger = Ledger()
    for person, now in (("a", 0.0), ("b", 30.0), ("a", 90.0)):
        execute(ledger, off(person), now)

    assert weigh(ledger, on("x"), 131.0).counted == 1


def test_a_person_is_forgotten_when_older_than_the_window_and_not_before() -> None:
    ledger = Ledger()
    for person in "abc":
        execute(ledger, off(person), 0.0)

    assert weigh(ledger, on("x"), 100.0).counted == 3
    assert weigh(ledger, off("d"), 100.1).verdict is PASS


def test_a_write_is_weighed_whole() -> None:
    ledger = Ledger()

    assert weigh(ledger, out("abcd")).verdict is HOLD
    assert weigh(Ledger(), out("abc")).verdict is PASS


def test_those_in_flight_count_and_only_once() -> None:
    ledger = Ledger()
    assert weigh(ledger, off("a")).verdict is PASS
    assert weigh(ledger, out("abc")).verdict is PASS

    assert weigh(ledger, off("d")).verdict is HOLD


@pytest.mark.parametrize(("executed", "counted"), [(True, 2), (None, 2), (False, 1)])
def test_what_was_not_executed_counts_no_more(executed: bool | None, counted: int) -> None:
    ledger = Ledger()
    reservation = weigh(ledger, off("a")).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, executed, 1.0)

    assert weigh(ledger, off("b"), 2.0).counted == counted


def test_whoever_was_in_the_window_before_stays_although_the_repeat_was_not_executed() -> None:
    ledger = Ledger()
    execute(ledger, off("a"))
    reservation = weigh(ledger, off("a"), 1.0).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, False, 2.0)

    assert weigh(ledger, off("b"), 3.0).counted == 2


def test_tenants_do_not_count_for_one_another() -> None:
    ledger, _ = wave("abcd")

    assert execute(ledger, off("z"), tenant="confluence") is PASS
    assert ledger.holds("confluence") == ()


# The hold -----------------------------------------------------------------------------------------


def test_a_hold_latches_whatever_the_window_has_forgotten() -> None:
    ledger, _ = wave("abcd")

    assert weigh(ledger, off("z"), 3999.0).verdict is HOLD
    assert ledger.expire(3999.0) == ()


def test_what_takes_nothing_passes_while_a_hold_is_open() -> None:
    ledger, _ = wave("abcd")

    assert weigh(ledger, on("z")).verdict is PASS
    assert not ledger.is_quiet(TENANT)


def test_a_held_write_shows_who_asked_when_and_how_often() -> None:
    ledger, _ = wave("abcd", 10.0)
    weigh(ledger, off("d", "r2"), 610.0)
    weigh(ledger, off("d", "r3"), 1810.0)
    (held,) = ledger.holds()[0].writes

    assert (held.first_request, held.last_request, held.attempts) == ("r", "r3", 3)
    assert (held.first_at, held.last_at, held.longest_gap_seconds) == (10.0, 1810.0, 1200.0)
    assert (held.people, held.summary, held.operation) == (frozenset("d"), "d@x.org", "user.deactivate")


def test_a_warning_is_due_once_and_the_last_chances_follow() -> None:
    ledger, _ = wave("abcd")
    later = [weigh(ledger, off("d"), float(now)) for now in range(1, 11)]

    assert [weighed.attempts for weighed in later if weighed.warning_due] == [8]
    assert [weighed.attempts for weighed in later if weighed.last_chance] == [9, 10, 11]


def test_beyond_its_bound_writes_are_still_held_but_only_counted() -> None:
    ledger = Ledger(max_writes=2)
    verdicts = [execute(ledger, off(person)) for person in "abcdefgh"]

    assert verdicts == [PASS] * 3 + [HOLD] * 5
    (view,) = ledger.holds()
    assert (len(view.writes), view.hold.beyond) == (2, 3)


def test_a_hold_that_nobody_decides_expires_into_denied() -> None:
    ledger, hold_id = wave("abcde")
    (expired,) = ledger.expire(4000.0)

    assert expired.view.hold.state is HoldState.EXPIRED
    assert [write.task for write in expired.changed] == ["off-d", "off-e"]
    assert weigh(ledger, off("d"), 4001.0).verdict is DENY
    assert expired.view.hold.decisions[-1].ruling is Ruling.EXPIRE
    assert ledger.holds()[0].hold.id == hold_id


def test_a_denial_is_forgotten_in_time_and_its_hold_with_it() -> None:
    ledger, hold_id = wave("abcd")
    ledger.deny(hold_id, signed(10.0))
    assert weigh(ledger, off("d"), 4010.0).verdict is DENY
    ledger.expire(4010.0 + 2.5 * 4010.0)
    assert weigh(ledger, off("d"), 14_000.0).verdict is DENY  # a client that doubles its wait may come so late
    ledger.expire(14_000.0 + 2.5 * 9990.0 + 1)

    assert ledger.is_quiet(TENANT)
    assert ledger.holds() == ()
    assert weigh(ledger, off("d"), 40_000.0).verdict is PASS


def test_a_superseded_write_is_forgotten_once_its_client_has_given_up_so_the_next_leaver_is_judged_anew() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"), 1.0)
    ledger.approve(hold_id, signed(10.0))
    assert execute(ledger, on("d"), 2000.0) is PASS  # the deactivation is abandoned by now
    assert weigh(ledger, off("d"), 2001.0).verdict is DENY
    late = 2001.0 + 2 * 2.5 * 2001.0

    assert weigh(ledger, off("d"), late + 1).verdict is PASS


def test_two_waves_are_two_holds() -> None:
    ledger, first = wave("abcd")
    ledger.approve(first, signed(1.0))
    for person in "efgh":
        execute(ledger, off(person), 2.0)

    assert [view.hold.state for view in ledger.holds()] == [HoldState.DECIDED, HoldState.OPEN]
    assert ledger.holds()[1].hold.id != first


# Decisions ----------------------------------------------------------------------------------------


def test_what_is_approved_passes_when_it_comes_again_and_does_not_count() -> None:
    ledger, hold_id = wave("abcdefgh")
    decided = ledger.approve(hold_id, signed(5.0))
    assert decided.ended
    assert len(decided.changed) == 5

    assert [execute(ledger, off(person), 6.0) for person in "defgh"] == [PASS] * 5
    assert weigh(ledger, off("i"), 7.0).counted == 1
    assert standings(ledger) == {}


def test_after_an_approval_those_counted_before_count_no_more() -> None:
    ledger, hold_id = wave("abcd")
    ledger.approve(hold_id, signed(5.0))

    assert weigh(ledger, off("e"), 6.0).counted == 1


def full() -> Ledger:
    """One more would be a wave."""
    ledger = Ledger()
    assert [execute(ledger, off(person)) for person in "abc"] == [PASS] * 3
    return ledger


def test_a_rule_that_stays_wrong_takes_nobody_more_after_a_denial() -> None:
    ledger, hold_id = wave("abcdef")
    ledger.deny(hold_id, signed(5.0))

    assert [execute(ledger, off(person), 6.0) for person in "ghij"] == [HOLD] * 4


def test_a_denial_covers_those_it_was_shown_and_not_another_write_like_it() -> None:
    ledger = full()
    assert weigh(ledger, out("defg"), 1.0).verdict is HOLD
    ledger.deny(ledger.holds()[0].hold.id, signed(2.0))

    assert weigh(ledger, out("de"), 200.0).verdict is DENY
    assert weigh(ledger, out("z"), 200.0).verdict is PASS


def test_where_not_all_can_be_remembered_whatever_is_new_waits() -> None:
    ledger = Ledger(max_writes=1)
    verdicts = [execute(ledger, off(person)) for person in "abcde"]

    assert verdicts == [PASS] * 3 + [HOLD] * 2
    assert weigh(ledger, on("e"), 1.0).verdict is HOLD  # its deactivation is not remembered


def test_downtime_makes_no_window_empty_and_no_client_late() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"), 1.0)
    ledger.approve(hold_id, signed(2.0))
    again = Ledger.restored(ledger.rows().items())
    again.was_away(50_000.0)

    assert weigh(again, on("d"), 50_002.0).verdict is HOLD  # the deactivation may still come
    later = full()
    later.was_away(50_000.0)
    assert weigh(later, off("d"), 50_050.0).verdict is HOLD


def test_a_hold_ends_only_with_its_last_held_write() -> None:
    ledger, hold_id = wave("abcde")
    assert not ledger.approve(hold_id, signed(1.0), ["off-d"]).ended
    assert weigh(ledger, off("z"), 2.0).verdict is HOLD
    assert execute(ledger, off("d"), 2.0) is PASS
    assert not ledger.deny(hold_id, signed(3.0), ["off-e"]).ended

    assert ledger.deny(hold_id, signed(4.0)).ended
    assert weigh(ledger, off("y"), 200.0).verdict is PASS


def test_an_approval_covers_the_people_it_was_shown_and_nobody_else() -> None:
    ledger, _ = wave("abcd")
    weigh(ledger, out("e"))
    ledger.approve(ledger.holds()[0].hold.id, signed(1.0))

    assert weigh(ledger, out("efg"), 2.0).counted == 2  # f and g; e was looked at
    weighed = weigh(ledger, out("efghijk"), 3.0)
    assert (weighed.verdict, weighed.tripped) == (HOLD, True)
    assert standings(ledger)["out"] is Standing.HELD


def test_what_was_approved_and_not_executed_stays_approved() -> None:
    ledger, hold_id = wave("abcd")
    ledger.approve(hold_id, signed(1.0))
    reservation = weigh(ledger, off("d"), 2.0).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, False, 3.0, over=False)

    assert standings(ledger) == {"off-d": Standing.APPROVED}
    assert execute(ledger, off("d"), 4.0) is PASS
    assert standings(ledger) == {}


def test_an_approval_is_not_used_up_by_an_outcome_that_nobody_knows() -> None:
    ledger, hold_id = wave("abcd")
    ledger.approve(hold_id, signed(1.0))
    reservation = weigh(ledger, off("d"), 2.0).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, None, 3.0, over=False)

    assert standings(ledger) == {"off-d": Standing.APPROVED}
    assert ledger.holds()[0].hold.done == 0


def test_an_approved_write_that_the_application_refuses_for_good_blocks_nobody() -> None:
    ledger, hold_id = wave("abcd")
    ledger.approve(hold_id, signed(1.0))
    reservation = weigh(ledger, off("d"), 2.0).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, False, 3.0, over=True)

    assert weigh(ledger, on("d"), 4.0).verdict is PASS
    assert ledger.holds()[0].hold.done == 0


def test_everything_passes_until_the_moment_named() -> None:
    ledger, hold_id = wave("abcd")
    ledger.approve_until(hold_id, signed(1.0), 50.0)

    assert [execute(ledger, off(person), 49.0) for person in "defghij"] == [PASS] * 7
    assert weigh(ledger, off("k"), 50.0).counted == 1
    assert weigh(ledger, out("lmn"), 50.0).verdict is HOLD


def test_a_raised_threshold_holds_until_the_moment_named() -> None:
    ledger, hold_id = wave("abcd")
    ledger.raise_threshold(hold_id, signed(1.0), 5, 50.0)

    assert [execute(ledger, off(person), 49.0) for person in "efghi"] == [PASS] * 5
    assert weigh(ledger, on("x"), 49.0).limit == 5
    assert weigh(ledger, on("x"), 50.0).limit == 3


def test_a_denial_can_be_taken_back() -> None:
    ledger, hold_id = wave("abcde")
    ledger.deny(hold_id, signed(1.0))
    assert weigh(ledger, off("d"), 2.0).verdict is DENY
    ledger.approve(hold_id, signed(3.0), ["off-d"])

    assert weigh(ledger, off("d"), 4.0).verdict is PASS
    assert weigh(ledger, off("e"), 4.0).verdict is DENY


def test_an_approval_can_be_taken_back_while_it_is_not_executed() -> None:
    ledger, hold_id = wave("abcdef")
    ledger.approve_until(hold_id, signed(1.0), 1000.0)
    execute(ledger, off("d"), 2.0)
    taken_back = ledger.deny(hold_id, signed(3.0))

    assert [write.task for write in taken_back.changed] == ["off-e", "off-f"]
    assert weigh(ledger, off("e"), 4.0).verdict is DENY
    assert weigh(ledger, out("uvwxyz"), 4.0).verdict is HOLD


def test_decisions_stay_with_the_hold() -> None:
    ledger, hold_id = wave("abcde")
    ledger.approve(hold_id, signed(1.0), ["off-d"])
    ledger.deny(hold_id, signed(2.0))
    rulings = ledger.holds()[0].hold.decisions

    assert [(one.ruling, one.writes, one.by, one.reason) for one in rulings] == [
        (Ruling.APPROVE, 1, "alice", "I asked HR"),
        (Ruling.DENY, 1, "alice", "I asked HR"),
    ]


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("alice", " ")])
def test_a_decision_without_a_name_or_a_reason_is_none(by: str, reason: str) -> None:
    with pytest.raises(ValueError, match="name of a person and a reason"):
        Signature(by, reason, 1.0)


@pytest.mark.parametrize("until", [float("inf"), float("nan")])
def test_what_is_allowed_for_a_time_has_an_end(until: float) -> None:
    ledger, hold_id = wave("abcd")
    with pytest.raises(ValueError, match="needs an end"):
        ledger.approve_until(hold_id, signed(1.0), until)
    with pytest.raises(ValueError, match="needs an end"):
        ledger.raise_threshold(hold_id, signed(1.0), 9, until)

    assert weigh(ledger, off("e"), 2.0).verdict is HOLD


def test_a_text_that_could_not_be_kept_is_not_taken() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        off("\udc80")
    with pytest.raises(ValueError, match="surrogates"):
        Signature("alice", "\udc80", 1.0)


def test_a_hold_that_is_not_there_cannot_be_decided_nor_one_that_is_over_be_widened() -> None:
    ledger, hold_id = wave("abcd")
    with pytest.raises(UnknownHold):
        ledger.approve("hold-ffffffff", signed(1.0))
    ledger.approve(hold_id, signed(1.0))
    with pytest.raises(HoldIsOver):
        ledger.approve_until(hold_id, signed(2.0), 9.0)
    with pytest.raises(HoldIsOver):
        ledger.raise_threshold(hold_id, signed(2.0), 9, 9.0)


# Order --------------------------------------------------------------------------------------------


def test_a_reactivation_waits_behind_a_held_deactivation_and_is_shown_with_it() -> None:
    ledger, _ = wave("abcd")
    assert weigh(ledger, on("d")).verdict is HOLD

    assert standings(ledger) == {"off-d": Standing.HELD, "on-d": Standing.FOLLOWS}


def test_approved_a_deactivation_goes_before_its_reactivation() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"))
    ledger.approve(hold_id, signed(1.0))

    assert weigh(ledger, on("d"), 2.0).verdict is HOLD
    assert [execute(ledger, off("d"), 3.0), execute(ledger, on("d"), 4.0)] == [PASS, PASS]
    assert ledger.is_quiet(TENANT)


def test_denied_a_deactivation_lets_its_reactivation_pass() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"))
    ledger.deny(hold_id, signed(1.0))

    assert weigh(ledger, on("d"), 2.0).verdict is PASS


def test_followers_keep_their_order_among_themselves() -> None:
    ledger, hold_id = wave("abcd")
    profile = Write("put-d", "user-d", "user.replace", frozenset(), "r", "d@x.org")
    assert [weigh(ledger, write).verdict for write in (on("d"), profile)] == [HOLD, HOLD]
    ledger.deny(hold_id, signed(1.0))

    assert weigh(ledger, profile, 2.0).verdict is HOLD
    assert [execute(ledger, on("d"), 3.0), execute(ledger, profile, 4.0)] == [PASS, PASS]


def test_a_new_removal_waits_behind_an_approved_write_although_no_hold_is_open() -> None:
    ledger = Ledger()
    hold_id = weigh(ledger, out("wxyz")).hold
    assert hold_id is not None
    ledger.approve(hold_id, signed(1.0))

    later = out("q", "later")
    assert weigh(ledger, later, 2.0).verdict is HOLD
    assert standings(ledger)["later"] is Standing.FOLLOWS
    assert execute(ledger, out("wxyz"), 3.0) is PASS
    assert weigh(ledger, later, 4.0).counted == 1


def test_an_approved_write_whose_client_gave_up_holds_up_nobody_and_must_not_undo_what_came_later() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"), 10.0)
    ledger.approve(hold_id, signed(20.0))
    assert weigh(ledger, on("d"), 1500.0).verdict is HOLD
    assert execute(ledger, on("d"), 1501.0) is PASS

    assert weigh(ledger, off("d"), 1502.0).verdict is DENY
    assert "superseded" in weigh(ledger, off("d"), 1503.0).note


def test_an_abandoned_write_that_comes_in_time_after_all_goes_first() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"), 10.0)
    ledger.approve(hold_id, signed(20.0))

    assert execute(ledger, off("d"), 1600.0) is PASS
    assert execute(ledger, on("d"), 1601.0) is PASS


def test_patience_grows_with_the_longest_gap_between_attempts() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"), 10.0)
    weigh(ledger, off("d"), 1000.0)
    weigh(ledger, off("d"), 1001.0)  # a quick repeat tells nothing of the client's wait
    ledger.approve(hold_id, signed(1002.0))

    assert weigh(ledger, on("d"), 3501.0).verdict is HOLD
    assert weigh(ledger, on("d"), 3501.1).verdict is PASS


@pytest.mark.parametrize("executed", [True, None])
def test_what_a_write_that_was_never_held_has_overtaken_is_superseded(executed: bool | None) -> None:
    ledger, hold_id = wave("abcd")
    ledger.approve(hold_id, signed(20.0))
    reservation = weigh(ledger, on("d"), 1501.0).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, executed, 1502.0)

    assert weigh(ledger, off("d"), 1503.0).verdict is DENY
    assert not ledger.approve(hold_id, signed(1504.0), ["off-d"]).changed


def test_a_held_write_that_another_has_overtaken_is_superseded_and_its_hold_still_asks_for_a_person() -> None:
    ledger = Ledger()
    hold_id = weigh(ledger, out("wxyz")).hold
    assert hold_id is not None
    ledger.approve(hold_id, signed(1.0))
    overtakes = weigh(ledger, out("q", "later"), 1501.0)
    assert overtakes.reservation is not None
    second = weigh(ledger, out("abcdwxyz"), 1502.0)  # by now it would take access from others too
    assert second.hold is not None
    assert second.tripped
    ledger.settle(TENANT, overtakes.reservation, True, 1503.0)

    assert weigh(ledger, out("abcdwxyz"), 1504.0).verdict is DENY
    assert weigh(ledger, off("z"), 1504.0).verdict is HOLD
    assert ledger.approve(second.hold, signed(1505.0)).ended


def test_a_denied_write_that_is_approved_later_comes_after_those_that_went_on_meanwhile() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"))
    ledger.deny(hold_id, signed(1.0), ["off-d"])
    ledger.approve(hold_id, signed(2.0), ["off-d"])

    assert weigh(ledger, off("d"), 3.0).verdict is HOLD
    assert [execute(ledger, on("d"), 4.0), execute(ledger, off("d"), 5.0)] == [PASS, PASS]


def test_writes_whose_clients_never_come_again_are_forgotten() -> None:
    ledger, hold_id = wave("abcd")
    weigh(ledger, on("d"))
    ledger.approve(hold_id, signed(1.0))
    ledger.expire(4001.0)
    assert standings(ledger) == {"off-d": Standing.APPROVED}
    ledger.expire(4001.1)

    assert ledger.is_quiet(TENANT)


# Observing ----------------------------------------------------------------------------------------


def test_observing_never_holds_and_says_what_a_hold_would_have_done() -> None:
    ledger = Ledger()
    seen = []
    for person in "abcde":
        weighed = ledger.observe(TENANT, off(person), RULES, 0.0)
        assert weighed.reservation is not None
        ledger.settle(TENANT, weighed.reservation, True, 0.0)
        seen.append((weighed.verdict, weighed.would_hold, weighed.tripped))

    assert seen == [(PASS, False, False)] * 3 + [(PASS, True, True), (PASS, True, False)]
    assert ledger.is_quiet(TENANT)
    assert weigh(ledger, off("z")).counted == 1  # a window of its own


def test_an_observed_wave_goes_on_until_the_window_is_empty() -> None:
    ledger = Ledger()
    reservation = ledger.observe(TENANT, out("abcd"), RULES, 0.0).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, True, 0.0)

    assert ledger.observe(TENANT, off("a"), RULES, 100.0).would_hold
    assert not ledger.observe(TENANT, on("a"), RULES, 100.0).would_hold


def test_after_an_observed_wave_the_next_one_trips_anew() -> None:
    ledger = Ledger()
    for now in (0.0, 200.0):
        weighed = ledger.observe(TENANT, out("abcd"), RULES, now)
        assert weighed.reservation is not None
        assert weighed.tripped
        ledger.settle(TENANT, weighed.reservation, True, now)


# What is kept -------------------------------------------------------------------------------------


def test_nothing_changes_by_asking_about_a_tenant_that_is_quiet() -> None:
    ledger = Ledger()
    weigh(ledger, on("a"))

    assert ledger.is_quiet(TENANT)
    assert ledger.take_changes() == {}


def test_a_restored_ledger_gives_no_reservation_twice() -> None:
    ledger = Ledger()
    first = weigh(ledger, off("a"))
    again = Ledger.restored(ledger.rows().items())

    assert weigh(again, off("b")).reservation != first.reservation
    assert weigh(again, off("c")).counted == 3


def test_what_was_in_flight_when_the_process_ended_counts_as_executed() -> None:
    ledger, hold_id = wave("abcd")
    ledger.approve(hold_id, signed(1.0))
    weigh(ledger, off("d"), 2.0)
    weigh(ledger, off("e"), 2.0)
    again = Ledger.restored(ledger.rows().items())
    again.settle_all(2.0)

    assert standings(again) == {"off-d": Standing.APPROVED}  # its client was not answered, and comes again
    assert weigh(again, off("f"), 3.0).counted == 2


def test_a_smaller_directory_makes_a_smaller_limit_at_once() -> None:
    ledger, rules = Ledger(), Rules(people=20, share=0.2, directory=20)
    verdicts = [execute(ledger, off(person), rules=rules) for person in "abcde"]

    assert verdicts == [PASS] * 4 + [HOLD]


# Over or not ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("over", "verdict"), [(True, PASS), (False, HOLD)])
def test_an_approved_write_is_waited_for_only_while_its_client_comes_again(over: bool, verdict: Verdict) -> None:
    """And so it is after a restart. One that could not be sent must not be overtaken."""
    ledger, hold_id = wave("abcd")
    ledger.approve(hold_id, signed(1.0))
    reservation = weigh(ledger, off("d"), 2.0).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, False, 3.0, over=over)

    assert weigh(Ledger.restored(ledger.rows().items()), on("d"), 4.0).verdict is verdict


def test_an_approval_is_used_up_by_the_answer_that_ends_its_task() -> None:
    """Whoever sends the same write after a final no means it anew."""
    ledger, hold_id = wave("abcd")
    ledger.approve(hold_id, signed(1.0))
    reservation = weigh(ledger, off("d"), 2.0).reservation
    assert reservation is not None
    ledger.settle(TENANT, reservation, False, 3.0, over=True)
    anew = weigh(ledger, off("d"), 4.0)

    assert (anew.verdict, anew.hold, anew.counted) == (PASS, None, 1)
