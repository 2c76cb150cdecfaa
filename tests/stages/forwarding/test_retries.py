"""What may be sent again: a table over every reason, and the rule that no write is ever sent twice. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Attempt, Stage
from gateway.refusal import Fault, Reason
from gateway.stages.forwarding.retries import may_go_to_another_node, speaks_against_its_node

NOT_SENT, SENT, ANSWERED = Stage.NOT_SENT, Stage.SENT, Stage.ANSWERED
OF_ONE_NODE = {
    Reason.UPSTREAM_UNREACHABLE,
    Reason.UPSTREAM_TIMEOUT,
    Reason.UPSTREAM_UNAVAILABLE,
    Reason.UPSTREAM_BROKEN,
    Reason.UPSTREAM_NOT_SCIM,
    Reason.UPSTREAM_REDIRECT,
}
WRITES = ["POST", "PUT", "PATCH", "DELETE"]


def attempts(*stages: Stage) -> list[Attempt]:
    return [Attempt(f"n:{number}", 0.1, stage) for number, stage in enumerate(stages)]


@pytest.mark.parametrize(
    ("method", "stages", "may"),
    [
        ("GET", (NOT_SENT,), True),
        ("POST", (NOT_SENT,), True),
        ("DELETE", (NOT_SENT, NOT_SENT), True),
        ("GET", (SENT,), True),
        ("GET", (ANSWERED,), True),
        ("GET", (NOT_SENT, SENT), True),
        ("GET", (SENT, SENT), False),
        ("GET", (SENT, ANSWERED), False),
        ("GET", (SENT, NOT_SENT), True),  # nobody has seen the second one
        ("GET", (SENT, NOT_SENT, SENT), False),
        ("POST", (NOT_SENT, SENT), False),
    ],
)
def test_nothing_that_was_sent_goes_on_but_a_get_once(method: str, stages: tuple[Stage, ...], may: bool) -> None:
    assert may_go_to_another_node(method, attempts(*stages), Reason.UPSTREAM_BROKEN) is may


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("stage", [SENT, ANSWERED])
@pytest.mark.parametrize("reason", [None, *Reason])
def test_a_write_that_was_sent_is_never_sent_again(method: str, stage: Stage, reason: Reason | None) -> None:
    assert not may_go_to_another_node(method, attempts(stage), reason)


@pytest.mark.parametrize("reason", [None, *Reason])
def test_only_what_is_one_nodes_fault_goes_on_or_speaks_against_it(reason: Reason | None) -> None:
    assert may_go_to_another_node("GET", attempts(NOT_SENT), reason) is (reason in OF_ONE_NODE)
    assert speaks_against_its_node(reason, None) is (reason in OF_ONE_NODE)


def test_nothing_but_the_upstreams_faults_speaks_against_a_node() -> None:
    assert {reason.fault for reason in Reason if speaks_against_its_node(reason, None)} == {Fault.UPSTREAM}


@given(st.sampled_from(["GET", *WRITES]), st.lists(st.sampled_from(Stage), min_size=1, max_size=6), st.data())
def test_a_walk_over_nodes_sends_a_write_once_and_a_read_twice_at_most(
    method: str, stages: list[Stage], data: st.DataObject
) -> None:
    made: list[Attempt] = []
    for stage in stages:
        made += attempts(stage)
        if not may_go_to_another_node(method, made, data.draw(st.sampled_from(sorted(OF_ONE_NODE, key=str)))):
            break

    assert sum(attempt.stage is not NOT_SENT for attempt in made) <= (2 if method == "GET" else 1)


@pytest.mark.parametrize(("status", "speaks"), [(200, True), (302, True), (404, False), (405, False), (500, True)])
def test_a_page_that_says_not_found_is_an_answer(status: int, speaks: bool) -> None:
    assert speaks_against_its_node(Reason.UPSTREAM_NOT_SCIM, status) is speaks
