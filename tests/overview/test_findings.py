"""What is found in facts: each fault by its words and its advice, and nothing where all is well."""

from __future__ import annotations

import pytest

from gateway.overview.facts import CertificateFacts, Facts, SinkFacts
from gateway.overview.findings import Level, judge
from tests.overview.scenes import DAY, audit, credential, ending, facts, feed, node, tenant
from tests.worlds import NOW

AWAY = {"healthy": False, "note": "connect refused"}


def test_an_instance_with_which_all_is_well_has_no_findings() -> None:
    assert judge(facts()) == ()


FAULTS: list[tuple[Facts, Level, str, str]] = [
    (facts(draining=True, accepting=False), "wrong", "is being stopped", "start it again"),
    (facts(accepting=False), "wrong", "0.0.0.0:8443 takes no connections", "restart"),
    (facts(audit=audit(problem="disk full")), "wrong", "cannot be written, so requests are put off: disk full", "room"),
    (facts(audit=audit(signed_at=NOW - 1200)), "wrong", "was not signed for 20 minutes", "log"),
    (
        facts(audit=audit(sinks=(SinkFacts("syslog", 9, 7.0, "refused"),))),
        "wrong",
        "does not get out by syslog, 9 lines behind: refused",
        "nothing is lost",
    ),
    (facts(audit=audit(sinks=(SinkFacts("syslog", 9, 301.0, ""),))), "wrong", "syslog is 5 minutes behind", "too slow"),
    (facts(reload_problem="tenants.x: no"), "wrong", "read last are refused, those of before", "scim-gateway check"),
    (facts(certificate=CertificateFacts(NOW, "")), "wrong", "has ended: no client connects", "renew"),
    (facts(certificate=CertificateFacts(NOW + 13 * DAY, "")), "watch", "certificate ends in 13 days", "renew"),
    (facts(certificate=CertificateFacts(NOW + 60 * DAY, "no key")), "wrong", "the old one served: no key", "good pair"),
    (facts(guard_problem="damaged"), "wrong", "takes access from people is put off: damaged", "docs/guard.md"),
    (facts(credentials_problem="full"), "wrong", "decided on credentials is not on disk: full", "keeps trying"),
    (facts(feeds=(feed(refused="shrank"),)), "wrong", "feed okta is refused", "fetch /etc/okta.json anew"),
    (facts(feeds=(feed(changed_at=NOW - 36 * DAY),)), "watch", "feed okta is 36 days old", "still fetch"),
    (
        facts(tenants=(tenant(open_holds=1, held_writes=7, near_their_end=2),)),
        "wrong",
        "jira: 1 wave waits for a decision, with 7 writes; 2 of them come for the last time soon",
        "guard list --tenant jira",
    ),
    (
        facts(tenants=(tenant(nodes=(node(**AWAY),)),)),
        "wrong",
        "jira: the application does not serve: jira-1.internal:5501: connect refused",
        "firewall",
    ),
    (
        facts(tenants=(tenant(nodes=(node(healthy=False, note="upstream-credential: 401"),)),)),
        "wrong",
        "does not serve",
        "upstream_token_file",
    ),
    (
        facts(tenants=(tenant(nodes=(node(**AWAY), node(name="jira-2", is_primary=False))),)),
        "watch",
        "a node does not serve, others do: jira-1",
        "firewall",
    ),
    (
        facts(tenants=(tenant(nodes=(node(**AWAY), node(name="jira-2", state="drained"))),)),
        "wrong",
        "the application does not serve: jira-1",
        "firewall",
    ),
    (facts(tenants=(tenant(nodes=(node(state="drained"),)),)), "wrong", "every node is drained", "upstream_drained"),
    (facts(tenants=(tenant(credentials=()),)), "wrong", "nobody can call", "token new --tenant jira"),
    (
        facts(tenants=(tenant(credentials=(credential(state="expired", ends_at=NOW - 1),)),)),
        "wrong",
        "nobody can call",
        "token new --tenant jira",
    ),
    (facts(tenants=(tenant(credentials=(ending(),)),)), "wrong", "only rotated credentials are left", "token new"),
    (
        facts(tenants=(tenant(credentials=(credential(name="a", ends_at=NOW + 9 * DAY),)),)),
        "watch",
        "the last credential ends in 9 days",
        "token rotate --tenant jira --name a",
    ),
    (
        facts(tenants=(tenant(credentials=(credential(), ending(last_used_at=NOW - 60))),)),
        "watch",
        "the client still came with okta-2027, which ends in 3 days",
        "enter the token of next",
    ),
    (
        facts(tenants=(tenant(credentials=(credential(), ending(last_used_at=NOW - 60, ends_at=NOW + 7200))),)),
        "wrong",
        "which ends in 2 hours",
        "token extend",
    ),
    (
        facts(tenants=(tenant(credentials=(credential(), credential(name="b", state="revoked", ended_by="anna"))),)),
        "watch",
        "the settings still have b, revoked by anna",
        "take its block out",
    ),
    (facts(tenants=(tenant(answers={"ok": 95, "failed": 5}),)), "watch", "5 of 100 requests", "docs/refusals.md"),
    (facts(tenants=(tenant(answers={"ok": 80, "later": 20}),)), "watch", "20 of 100 requests", "limits"),
]


@pytest.mark.parametrize(("found", "level", "text", "advice"), FAULTS, ids=[fault[2] for fault in FAULTS])
def test_each_fault_is_the_one_finding_with_what_to_do(found: Facts, level: Level, text: str, advice: str) -> None:
    (finding,) = judge(found)

    assert finding.level == level
    assert text in finding.text
    assert advice in finding.advice


@pytest.mark.parametrize(
    "well",
    [
        facts(audit=audit(signed_line=4711, signed_at=NOW - 5000)),  # nothing came since
        facts(audit=audit(signed_at=None)),  # just started
        facts(tenants=(tenant(credentials=(credential(), ending())),)),  # the client has changed over
        facts(tenants=(tenant(credentials=(credential(ends_at=NOW + DAY), credential(ends_at=None))),)),
        facts(tenants=(tenant(credentials=(credential(), credential(state="revoked", is_in_settings=False))),)),
        facts(tenants=(tenant(nodes=(node(), node(**AWAY, state="drained", is_primary=False))),)),
        facts(tenants=(tenant(nodes=(node(healthy=None),)),)),
        facts(tenants=(tenant(answers={"ok": 99, "failed": 1}),)),
        facts(tenants=(tenant(answers={"ok": 81, "later": 19}),)),
        facts(feeds=(feed(changed_at=None),)),
    ],
)
def test_what_is_as_it_shall_be_is_no_finding(well: Facts) -> None:
    assert judge(well) == ()


def test_what_is_wrong_comes_before_what_is_to_be_watched() -> None:
    many = facts(
        feeds=(feed(changed_at=NOW - 36 * DAY),), certificate=CertificateFacts(NOW + DAY, "x"), guard_problem="damaged"
    )

    assert [finding.level for finding in judge(many)] == ["wrong", "wrong", "watch", "watch"]
