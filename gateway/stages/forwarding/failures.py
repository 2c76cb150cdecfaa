"""The HTTP library's errors, said in the gateway's words. The one place that knows both.

Notes are for operators. They never quote the upstream's bytes: a server may echo a request, token and all.
"""

from __future__ import annotations

import os
import ssl

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
)

from gateway.exchange import Stage
from gateway.refusal import Reason
from gateway.stages.forwarding.pool import AnswerTooLarge


def explain(error: Exception, stage: Stage) -> tuple[Reason, str]:
    """Why an attempt came to no answer: the reason, and a note that tells an operator where to look."""
    match error:
        case ClientConnectorDNSError():
            return Reason.UPSTREAM_UNREACHABLE, "its name does not resolve"
        case ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as refused):
            return Reason.UPSTREAM_UNREACHABLE, f"TLS: its certificate does not verify: {refused.verify_message}"
        case ClientConnectorSSLError() | ssl.SSLError():
            return Reason.UPSTREAM_UNREACHABLE, f"TLS: {_tls_reason(error)}"
        case ClientConnectorError(os_error=refused):
            return (
                Reason.UPSTREAM_UNREACHABLE,
                f"no connection: {os.strerror(refused.errno) if refused.errno else type(refused).__name__}",
            )
        case TimeoutError():
            waited_for = "connection" if stage is Stage.NOT_SENT else "complete answer"
            return Reason.UPSTREAM_TIMEOUT, f"no {waited_for} in time"
        case AnswerTooLarge():
            return Reason.UPSTREAM_TOO_LARGE, "more bytes came than any allowed answer has"
        case ClientResponseError():
            return Reason.UPSTREAM_BROKEN, "the answer's head is malformed"
        case ClientPayloadError():
            return Reason.UPSTREAM_BROKEN, "the answer's body was cut short or is malformed"
        case ServerDisconnectedError():
            return Reason.UPSTREAM_BROKEN, "the connection was closed before an answer"
        case _ if (cause := _tls_cause(error)) is not None:
            return Reason.UPSTREAM_UNREACHABLE, f"TLS: {_tls_reason(cause)}"
        case _:
            return Reason.UPSTREAM_BROKEN, f"the connection broke: {type(error).__name__}"


def _tls_cause(error: BaseException) -> ssl.SSLError | None:
    """TLS 1.3 tells a client that its certificate is missing or unwelcome only after the handshake."""
    cause = error.__cause__
    return cause if isinstance(cause, ssl.SSLError) else None


def _tls_reason(error: BaseException) -> str:
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    reason = getattr(cause, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else "the handshake failed"
