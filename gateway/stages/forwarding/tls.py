"""TLS towards the upstream: who may certify it, and what we show it."""

from __future__ import annotations

import ssl

from gateway.settings.models import Tenant


def upstream_context(tenant: Tenant) -> ssl.SSLContext | None:
    """The context for the tenant's https nodes; None when it has none. Chain and name are always checked.

    Raises:
        OSError: a file cannot be read, or is no certificate or key (ssl.SSLError is one).
    """
    if not any(node.startswith("https:") for node in tenant.upstream):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if tenant.upstream_ca_file is not None:
        context.load_verify_locations(tenant.upstream_ca_file)
    else:
        context.load_default_certs()
    if tenant.upstream_certificate_file is not None:
        context.load_cert_chain(tenant.upstream_certificate_file, tenant.upstream_key_file)
    return context
