"""What to enter at the client: the names of its fields and their exact values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.settings.models import Client


@dataclass(frozen=True, slots=True)
class Steps:
    """Where to go in the client's console, what to enter, and what comes then."""

    where: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)  # the token is among them
    then: str = ""


def steps_for(client: Client, base_url: str, token: str) -> Steps:
    """The set-up of a client; menus are those of 2026."""
    match client:
        case Client.OKTA:
            return _okta(base_url, token)
        case Client.OKTA_AGENT:
            return _agent(base_url, token)
        case Client.ENTRA:
            return _entra(base_url, token)
        case Client.GENERIC:
            return Steps(
                "at the client", (("SCIM base URL", base_url), ("Authorization", f"Bearer {token}")),
                "It must come back by itself after 503 with Retry-After.",
            )  # fmt: skip


def shown(steps: Steps) -> str:
    """The fields as two columns."""
    width = max(len(name) for name, _ in steps.fields)
    return "\n".join(f"  {name:<{width}}   {value}" for name, value in steps.fields)


DIALECTS: Mapping[Client, str] = {
    Client.OKTA: "oin",
    Client.OKTA_AGENT: "agent",
    Client.ENTRA: "entra-flag",
    Client.GENERIC: "oin",
}  # what `rehearse` plays


def _okta(base_url: str, token: str) -> Steps:
    return Steps(
        "in Okta, in the app's Provisioning > Integration",
        (
            ("SCIM connector base URL", base_url),
            ("Unique identifier field for users", "userName"),
            (
                "Supported provisioning actions",
                "Push New Users, Push Profile Updates, Push Groups (leave Import Groups unticked)",
            ),
            ("Authentication Mode", "HTTP Header"),
            ("Authorization: Bearer", token),
        ),
        "Press Test Connector Configuration and save. Then, in Provisioning > To App, tick Create Users, "
        "Update User Attributes and Deactivate Users.",
    )


def _agent(base_url: str, token: str) -> Steps:
    return Steps(
        "in Okta, in the app's Provisioning > On-premises provisioning",
        (
            ("SCIM connector base URL", base_url),
            ("Authorization type", "HTTP Header"),
            ("HTTP header name", "Authorization"),
            ("HTTP header value", f"Bearer {token}"),
            ("Unique user field name", "userName"),
            ("Timeout for API calls", "60 seconds, or more"),
        ),
        "A CA of your own for the gateway belongs into the trust store of the agent's JRE (docs/okta.md).",
    )


def _entra(base_url: str, token: str) -> Steps:
    return Steps(
        "in Entra, in the enterprise app's Provisioning, mode Automatic",
        (("Tenant URL", f"{base_url}?aadOptscim062020"), ("Secret token", token)),
        "Press Test connection and save. Scope: Sync only assigned users and groups; docs/entra.md tells the mappings.",
    )
