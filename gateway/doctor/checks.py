"""The checks in the order in which a client meets the chain, what each builds on, and their run.

To add a check: write a function of the visit that returns a finding, add it to CHECKS where the client would meet it,
add its test. `docs/doctor.md` is generated from the table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.doctor import answers, handshakes, host, inside, reaching, throwaway, waits
from gateway.doctor.findings import Diagnosis, Finding, Grade, fault, skipped
from gateway.doctor.strangers import diagnose
from gateway.doctor.visit import Visit
from gateway.rehearsal.replies import Failed, Unanswered


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table. `needs` are names of checks without which this one cannot be made."""

    name: str
    looks_at: str  # for the page
    run: Callable[[Visit], Awaitable[Finding]]
    needs: tuple[str, ...] = ()
    with_token: bool = False
    on_the_host: bool = False  # only with settings
    on_demand: bool = False  # writes upstream


CHECKS: tuple[Check, ...] = (
    Check("settings", "everything that `check` looks at", host.settings_are_good, on_the_host=True),
    Check("name", "the host's name holds no `_`, which Okta refuses", reaching.name_is_one_that_okta_takes),
    Check("dns", "the name resolves", reaching.name_resolves),
    Check("port", "each of its addresses takes connections", reaching.port_is_open, ("dns",)),
    Check("tls", "TLS 1.2 is spoken, and nothing older", handshakes.tls_is_recent, ("port",)),
    Check(
        "certificate",
        "the whole chain as a stranger sees it: authority, intermediate certificates, name, dates; 30 days ahead",
        handshakes.certificate_is_trusted,
        ("tls",),
    ),
    Check(
        "wrong-token",
        "a made-up token is refused with 401 and a SCIM error; so the gateway answers, not somebody else",
        answers.unknown_token_is_refused,
        ("tls",),
    ),
    Check(
        "token",
        "Okta's connection test passes with the real one",
        answers.token_is_accepted,
        ("certificate", "wrong-token"),
        with_token=True,
    ),
    Check(
        "patch",
        "a PATCH of a user who does not exist comes back with the application's own 404",
        answers.patch_reaches_the_application,
        ("token",),
        with_token=True,
    ),
    Check(
        "filters",
        "`+`, `@`, `%` and quotes in a lookup arrive as they were sent",
        answers.filters_survive,
        ("token",),
        with_token=True,
    ),
    Check(
        "links",
        "links in answers begin with the base URL, and show no inside address",
        answers.links_lead_outside,
        ("token",),
        with_token=True,
    ),
    Check(
        "test-user",
        "two throw-away users are created, found, deactivated and deleted; only with `--with-test-user`",
        throwaway.test_users_come_and_go,
        ("token",),
        with_token=True,
        on_demand=True,
    ),
    Check(
        "upstream",
        "each node of each tenant answers the gateway's own credential with SCIM",
        inside.upstreams_answer,
        on_the_host=True,
    ),
    Check("times", "no answer took long, against the 60 s after which Okta hangs up", waits.answers_are_quick),
    Check("retry-after", "whoever says 'come back later' says when, in whole seconds", waits.waits_are_whole_seconds),
    Check("clock", "the clocks of the gateway and of the application agree with this machine's", waits.clocks_agree),
    Check("expiry", "credentials have not ended, nor will within 30 days", host.nothing_ends_soon, on_the_host=True),
    Check("feeds", "files of networks were fetched within 14 days", host.feeds_are_fresh, on_the_host=True),
    Check("disk-space", "there is room for the audit log and the state", host.disk_has_room, on_the_host=True),
    Check("disk-speed", "fdatasync in the audit directory is quick", host.disk_syncs_quickly, on_the_host=True),
    Check(
        "audit", "the newest files of the audit log are as they were written", host.record_is_whole, on_the_host=True
    ),
)
_NO_TOKEN = "no token was given: --token-file F, or SCIM_GATEWAY_TOKEN in the environment"  # noqa: S105 - what to do


async def visit_all(
    visit: Visit, *, with_test_user: bool = False, on_finding: Callable[[Finding], None] = lambda _: None
) -> Diagnosis:
    """Every check that can be made here, in order; `on_finding` is told of each as it ends."""
    findings: list[Finding] = []
    for check in CHECKS:
        if (check.on_the_host and visit.case is None) or (check.on_demand and not with_test_user):
            continue
        found = (await _made(check, visit)).named(check.name).without(visit.secrets)
        visit.findings[check.name] = found
        findings.append(found)
        on_finding(found)
    return Diagnosis(tuple(findings))


async def _made(check: Check, visit: Visit) -> Finding:
    if why := _why_not(check, visit):
        return skipped(why)
    try:
        return await check.run(visit)
    except (Failed, Unanswered) as failure:
        is_right = visit.findings.get("token") is not None and not visit.failed("token")
        return diagnose(failure, base_url_is_right=is_right)
    except OSError as error:  # between two looks at one server
        return fault(f"the connection broke: {error.strerror or error}", "run doctor again; something is unsteady")


def _why_not(check: Check, visit: Visit) -> str:
    """Why a check cannot be made; "" when it can."""
    if check.on_the_host and visit.settings is None and check.name != "settings":
        return "the settings cannot be used"
    if not check.on_the_host and not visit.base_url:
        return "no URL is known: mend the settings, or give --url"
    if check.with_token and not visit.token:
        return _NO_TOKEN
    cause = _cause(check, visit)
    if not cause:
        return ""
    if cause == "certificate":
        return "the certificate is not trusted, and the token is not sent to whom it cannot prove"
    return f'"{cause}" {"has a fault" if visit.findings[cause].grade is Grade.FAULT else "could not be made"}'


def _cause(check: Check, visit: Visit) -> str:
    """The first check that failed of those that this one builds on, directly or not; "" for none."""
    for name in check.needs:
        before = next(other for other in CHECKS if other.name == name)
        if cause := _cause(before, visit):
            return cause
        if visit.failed(name):
            return name
    return ""
