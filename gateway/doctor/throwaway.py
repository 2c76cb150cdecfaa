"""Throw-away users: the one check that writes upstream, and only when it is asked for."""

from __future__ import annotations

import ssl

from gateway.doctor.findings import Finding, fault, ok
from gateway.doctor.visit import Visit
from gateway.rehearsal import users
from gateway.rehearsal.caller import Target
from gateway.rehearsal.dialects import CatalogueApp, WholeResources
from gateway.rehearsal.outcomes import Outcome
from gateway.rehearsal.play import rehearse
from gateway.rehearsal.scripts import Script, Step
from gateway.scim.versions import Version

_STEPS = (
    Step("create", users.create_ada),
    Step("look up", users.look_up_ada),
    Step("links", users.follow_adas_links),
    Step("create another", users.create_bo),
    Step("a userName with + % @ and quotes", users.change_bos_user_name),
    Step("deactivate", users.deactivate_ada),
)


async def test_users_come_and_go(visit: Visit) -> Finding:
    """By the steps of a rehearsal, which cleans up whatever happens."""
    manner = visit.manner
    dialect = WholeResources() if manner.version is Version.V1_1 else CatalogueApp()
    tls = ssl.create_default_context(cafile=visit.ca_file)
    to = Target(visit.base_url, visit.token or "", tls, visit.limits.patience_seconds)
    report = await rehearse(to, Script(dialect, _STEPS, manner), on_step=lambda _: None)
    failed = [step for step in report.steps if step.outcome is Outcome.FAILED]
    if failed:
        return fault("; ".join(f"{step.name}: {step.note}" for step in failed), failed[0].advice.removesuffix("."))
    return ok("two users were created, found, deactivated and deleted")
