"""What is wrong with the certificates that a server shows. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509

from gateway.doctor.findings import Finding, fault, ok, warning
from gateway.settings.pairs import SOON_SECONDS

# OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN = 18, 19
_NO_ISSUER = (2, 20, 21)
_WRONG_NAME = (62, 64)

_Chain = tuple[x509.Certificate, ...]


def why_refused(code: int, message: str, chain: _Chain, host: str) -> Finding:
    """Why a chain was not accepted; `code` and `message` are OpenSSL's."""
    if not chain:
        return fault("no certificate was shown", "give whatever ends TLS there a certificate")
    leaf = chain[0]
    if code in (_EXPIRED, _NOT_YET_VALID):
        return _out_of_date(code, chain)
    if code in _WRONG_NAME:
        return fault(
            f"the certificate is for {_names(leaf)}, not for {host}",
            f"serve a certificate that names {host}; is it the right machine, and does it know the name (SNI)?",
        )
    if code == _SELF_SIGNED:
        return fault(
            "the certificate is signed by itself",
            "serve one of a public authority: Okta and Entra take no other; to try things out, give --ca-file",
        )
    if code == _SELF_SIGNED_IN_CHAIN:
        return fault(
            f"its authority is not trusted here: {_said(chain[-1].subject)}",
            "Okta and Entra take public authorities only; if it is one of your own on purpose, give --ca-file",
        )
    if code in _NO_ISSUER:
        return _without_issuer(chain)
    return fault(f"the certificate is not accepted: {message}", "serve one of a public authority, with its whole chain")


def judge_accepted(chain: _Chain, now: float) -> Finding:
    """A chain that was accepted; what may soon go wrong with it. `now` in Unix seconds."""
    if not chain:
        return ok("accepted")
    moment = datetime.fromtimestamp(now, UTC)
    soonest = min(chain, key=lambda certificate: certificate.not_valid_after_utc)
    ends = soonest.not_valid_after_utc
    if (ends - moment).total_seconds() < SOON_SECONDS:
        return warning(
            f"{_said(soonest.subject)} ends on {ends:%Y-%m-%d}, in {(ends - moment).days} days",
            "renew the certificate; the gateway takes a new file by itself",
        )
    sent = f"{len(chain)} certificate{'' if len(chain) == 1 else 's'} sent"
    return ok(f"of {_said(chain[0].issuer)}, until {ends:%Y-%m-%d}, {sent}")


def _out_of_date(code: int, chain: _Chain) -> Finding:
    if code == _NOT_YET_VALID:
        begins = max(certificate.not_valid_before_utc for certificate in chain)
        return fault(
            f"the certificate is not valid before {begins:%Y-%m-%d %H:%M} UTC", "are the clocks right? Else renew it"
        )
    soonest = min(chain, key=lambda certificate: certificate.not_valid_after_utc)
    which = "the certificate" if soonest is chain[0] else f"the intermediate certificate {_said(soonest.subject)}"
    return fault(
        f"{which} has expired on {soonest.not_valid_after_utc:%Y-%m-%d}",
        "renew it; if the new file is there already, the gateway's log says why it is not served",
    )


def _without_issuer(chain: _Chain) -> Finding:
    last = chain[-1]
    missing = _said(last.issuer)
    if len(chain) == 1:
        return fault(
            f"the intermediate certificate is missing: the certificate is sent alone, without its issuer's ({missing})",
            "serve the whole chain (fullchain.pem): the certificate, then each intermediate one; "
            "for an authority of your own give --ca-file",
        )
    return fault(
        f"the chain of {len(chain)} certificates leads to {missing}, which is neither sent nor trusted here",
        "append the missing intermediate certificate; for an authority of your own give --ca-file",
    )


def _names(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return "no host at all"
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return ", ".join((*names.get_values_for_type(x509.DNSName), *addresses)[:6]) or "no host at all"


def _said(name: x509.Name) -> str:
    return name.rfc4514_string() or "an authority without a name"
