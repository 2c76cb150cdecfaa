"""TLS towards the upstream: who may certify it, and what we show it."""

from __future__ import annotations

import ssl

from gateway.settings.models import Tenant
from gateway.tls import client_context


def upstream_context(tenant: Tenant) -> ssl.SSLContext | None:
    """The context for the tenant's https nodes; None when it has none. Chain and name are always checked.

    Raises:
        OSError: a file cannot be read, or is no certificate or key (ssl.SSLError is one).
    """
    if not any(node.startswith("https:") for node in tenant.upstream):
        return None
    context = client_context(tenant.upstream_ca_file, tenant.upstream_certificate_file, tenant.upstream_key_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
