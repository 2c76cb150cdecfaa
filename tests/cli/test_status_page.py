"""The page of `status`: readable on a terminal of 80 columns, and of what was told nothing can steer it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from gateway.cli.status_page import WIDTH, page_of_status
from gateway.overview.facts import CertificateFacts, Facts, SinkFacts
from gateway.overview.findings import judge
from tests.overview.scenes import DAY, audit, credential, ending, facts, feed, node, tenant
from tests.worlds import NOW

TROUBLED = facts(
    reload_problem="tenants.jira.upstream.0: must be http://host:port or https://host:port",
    certificate=CertificateFacts(NOW + 5 * DAY, ""),
    audit=audit(sinks=(SinkFacts("syslog", 1200, 900.0, ""),)),
    feeds=(feed(), feed(name="azure", changed_at=None)),
    tenants=(
        tenant(
            nodes=(node(healthy=False, note="connect refused", state="out-of-service"), node(name="b", healthy=None)),
            credentials=(
                ending(last_used_at=NOW - 60),
                credential(name="never", ends_at=None, last_used_at=None),
                credential(name="gone", state="revoked", ended_by="anna"),
                credential(name="long-gone", state="revoked", is_in_settings=False),
            ),
            answers={"ok": 90, "later": 20, "failed": 10},
            open_holds=2,
            held_writes=40,
        ),
        tenant(name="wiki", answers={}),
    ),
)


def page(of: Facts = TROUBLED, **changes: object) -> str:
    found = [asdict(one) for one in judge(of)]
    told: dict[str, Any] = {"well": not found, "findings": found, **asdict(of)}
    return page_of_status(json.loads(json.dumps(told | changes)))


def test_no_line_is_wider_than_a_terminal() -> None:
    assert max(map(len, page().splitlines())) <= WIDTH


def test_findings_come_first_each_with_its_advice() -> None:
    lines = page().splitlines()
    marks = [line.split()[0] for line in lines if line.startswith(("WRONG", "WATCH"))]

    assert lines[0].startswith("WRONG")
    assert marks == sorted(marks, reverse=True)
    assert sum(line.strip().startswith("->") for line in lines) == len(marks) == len(judge(TROUBLED))


def test_each_thing_is_said_as_it_is() -> None:
    text = " ".join(page().split())

    for part in (
        "jira-1.internal:5501 (primary) out-of-service; connect refused",
        "b (primary) in-service; not asked yet",
        "90 ok, 20 told to come later (429), 10 failed (5xx) in 5 min; 1 under way",
        "none in 5 min; 1 under way",
        "hold; 2 waves held",
        "okta-2027 ending; ends 2027-01-18 (in 3 d); used 1 min ago",
        "never valid; never ends; not used in 3 d",
        "gone revoked",
        "syslog: 1200 lines behind",
        "okta: 120 networks, 3 d old",
        "feed azure: 120 networks tenant",
        "line 4711, 2027-01-15 ",
        "signed up to line 4700, ",
        "0.0.0.0:8443 for https://scim.example.com, 12 connections",
    ):
        assert part in text


def test_what_was_made_at_run_time_and_ended_is_left_to_token_list() -> None:
    assert "long-gone" not in page()


def test_what_was_told_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in page(instance="\x1b[2J", findings=[{"level": "wrong", "text": "\x1b[2J", "advice": "\x1b"}])


def test_an_answer_that_tells_nothing_is_not_taken_for_well() -> None:
    assert page_of_status({}).startswith("The instance does not say how it is")
