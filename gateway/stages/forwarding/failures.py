"""Errors of sockets, names and TLS, said in the gateway's words.

Notes are for operators. They never quote the upstream's bytes: a server may echo a request, token and all.
"""

from __future__ import annotations

import os
import socket
import ssl

from gateway.exchange import Stage
from gateway.refusal import Reason
from gateway.stages.forwarding.connection import Lost


def explain(error: Exception, stage: Stage) -> tuple[Reason, str]:
    """Why an attempt came to no answer: the reason, and a note that tells an operator where to look."""
    match error:
        case Lost() if (cause := error.__cause__) is not None and isinstance(cause, ssl.SSLError):
            # TLS 1.3 tells a client that its certificate is missing or unwelcome only after the handshake.
            return Reason.UPSTREAM_UNREACHABLE, f"TLS: {_tls_reason(cause)}"
        case Lost():
            return Reason.UPSTREAM_UNREACHABLE if stage is Stage.NOT_SENT else Reason.UPSTREAM_BROKEN, error.note
        case ssl.SSLCertVerificationError():
            return Reason.UPSTREAM_UNREACHABLE, f"TLS: its certificate does not verify: {error.verify_message}"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "HTTP_REQUEST"):
            return Reason.UPSTREAM_UNREACHABLE, "it does not speak TLS; is it http://?"
        case ssl.SSLError():
            return Reason.UPSTREAM_UNREACHABLE, f"TLS: {_tls_reason(error)}"
        case socket.gaierror():
            return Reason.UPSTREAM_UNREACHABLE, "its name does not resolve"
        case TimeoutError() if stage is Stage.NOT_SENT:
            return Reason.UPSTREAM_UNREACHABLE, "no connection in time"
        case TimeoutError():
            return Reason.UPSTREAM_TIMEOUT, "no complete answer in time"
        case OSError():
            return Reason.UPSTREAM_UNREACHABLE, f"no connection: {_os_reason(error)}"
        case _:
            return Reason.UPSTREAM_BROKEN, f"the connection broke: {type(error).__name__}"


def _os_reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _tls_reason(error: ssl.SSLError) -> str:
    return error.reason.lower().replace("_", " ") if error.reason else "the handshake failed"
