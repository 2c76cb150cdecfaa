"""The upstream, asked directly, past the gateway: only from the gateway's host, with the gateway's own credential."""

from __future__ import annotations

import asyncio
import base64
import ssl

from gateway.doctor.findings import Finding, Grade, all_of, fault, ok, warning
from gateway.doctor.strangers import is_a_page
from gateway.doctor.visit import Visit
from gateway.rehearsal.caller import Target
from gateway.rehearsal.messages import OKTA, OKTA_AGENT, page_target
from gateway.rehearsal.replies import Failed, Reply, Trouble, Unanswered, expect_page
from gateway.settings.models import Tenant
from gateway.settings.values import host_and_port

_ON_TROUBLE = {
    Trouble.NAME: "let the gateway's host resolve that name (DNS, /etc/hosts), or correct upstream",
    Trouble.CONNECT: "start the application, and let the inner firewall pass the gateway's host to its port",
    Trouble.CERTIFICATE: "name its authority in upstream_ca_file, and in upstream the host as its certificate does",
    Trouble.TLS: "does it speak TLS at all? Compare http and https in upstream, and upstream_certificate_file",
    Trouble.HUNG_UP: "it closes the connection: look at its log, and whether it wants https",
    Trouble.SILENCE: "it accepts connections and does not answer in time: look at its log",
    Trouble.TOO_LARGE: "correct upstream and upstream_path: no page of two users is that large",
}
_WRONG_SECRET = "put the secret that the application shows into the file of upstream_token_file, and reload"  # noqa: S105
_NOT_NOW = "the application, or a proxy before it, cannot serve now: look at its log, and whether it is still starting"
_COMPARE = "compare upstream and upstream_path with the address that the application shows"


async def upstreams_answer(visit: Visit) -> Finding:
    """Each node of each tenant: reachable, SCIM, and the credential is right. A node less of several is a warning."""
    settings = visit.settings
    if settings is None:
        return ok("no settings")
    findings: list[Finding] = []
    for name, tenant in settings.tenants.items():
        nodes = [node for node in tenant.upstream if node not in tenant.upstream_drained]
        found = list(await asyncio.gather(*[ask_node(visit, tenant, node) for node in nodes]))
        some_serve = any(one.grade is not Grade.FAULT for one in found)
        findings += [_named(name, one, some_serve=some_serve) for one in found]
    return all_of(findings, otherwise="every node is drained")


async def ask_node(visit: Visit, tenant: Tenant, node: str) -> Finding:
    """What one node answers to the gateway's credential."""
    host, port = host_and_port(node)
    where = f"{host}:{port}"
    try:
        reply = await _ask(visit, tenant, node)
    except Unanswered as error:
        return fault(f"{where}: {error.note}", _ON_TROUBLE[error.trouble])
    except (OSError, ssl.SSLError) as error:
        return fault(f"{where}: {error}", "correct the files of upstream_ca_file and upstream_certificate_file")
    return _judged(where, reply)


def is_about_the_secret(found: Finding) -> bool:
    """Whether a node answered, and refused the credential."""
    return found.mend == _WRONG_SECRET


def _judged(where: str, reply: Reply) -> Finding:
    if reply.status in (401, 403):
        return fault(f"{where} refuses the gateway's credential (status {reply.status})", _WRONG_SECRET)
    if reply.status >= 500 or reply.status == 429:
        return fault(f"{where} answers with status {reply.status}", _NOT_NOW)
    if 300 <= reply.status < 400:
        return fault(f"{where} redirects to {reply.fields.get('location', 'nowhere')}", _COMPARE)
    if is_a_page(reply):
        return fault(f"{where} answers with a web page (status {reply.status}), not SCIM", _COMPARE)
    try:
        page = expect_page(reply)
    except Failed as failed:
        return fault(f"{where}: {failed.note}", _COMPARE)
    return ok(f"{where} answers, {page.total} user{'' if page.total == 1 else 's'}")


async def _ask(visit: Visit, tenant: Tenant, node: str) -> Reply:
    manner = OKTA_AGENT if tenant.client.speaks_scim_1_1 else OKTA
    patience = min(visit.limits.patience_seconds, tenant.limits.first_byte_seconds)
    to = Target(node + (tenant.upstream_path or tenant.path), "", _context(tenant, node), patience)
    target = page_target("Users", start_index=1, count=2)
    authorization = _authorization(tenant)
    return await visit.ask_of(to, manner, "GET", target, authorization=authorization, by_upstream=True)


def _authorization(tenant: Tenant) -> str:
    """As the gateway sends it; without a credential, a word that nobody knows, for clients always send one."""
    if tenant.upstream_username is not None and tenant.upstream_password is not None:
        pair = f"{tenant.upstream_username}:{tenant.upstream_password.get_secret_value()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return f"Bearer {tenant.upstream_token.get_secret_value() if tenant.upstream_token else 'none'}"


def _context(tenant: Tenant, node: str) -> ssl.SSLContext | None:
    """As the gateway trusts, and what it shows.

    Raises:
        OSError: a file cannot be used (ssl.SSLError is one).
    """
    if not node.startswith("https:"):
        return None
    context = ssl.create_default_context(cafile=tenant.upstream_ca_file)
    if tenant.upstream_certificate_file is not None:
        context.load_cert_chain(tenant.upstream_certificate_file, tenant.upstream_key_file)
    return context


def _named(tenant: str, found: Finding, *, some_serve: bool) -> Finding:
    seen = f"{tenant}: {found.seen}"
    if found.grade is Grade.FAULT and some_serve:
        return warning(f"{seen}; another node serves", found.mend)
    return Finding(found.grade, seen, found.mend)
