"""The embedded SCIM application itself: scim2-server, behaving like Kantega SSO's API server.

Plain HTTP, a path with a tenant in it, one bearer secret, and a 401 SCIM error without it. What it
says of itself (`meta.location`) carries its own inside address, whatever Host it was asked by.
Everything is in memory and ends with the process.

    python -m gateway.rehearsal.application_process --path /scim/demotenant01/v2

reads the secret from --token-file, from SCIM_APPLICATION_TOKEN, or from the first line of standard input (then it
ends with standard input, so it never outlives the process that started it), and prints one JSON line.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from scim2_models import ScimProvider
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME
from scim2_server.utils import load_default_resource_types, load_default_schemas, load_default_service_provider_config

from gateway.rehearsal.application import HOST, TOKEN_VARIABLE

# The shapes of ASGI 3.0; its values are Any by that specification.
Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def like_kantega(application: AsgiApplication, *, path: str, token: str, authority: str) -> AsgiApplication:
    """Puts an ASGI application behind a tenant's path and its secret; `authority` is its inside host:port."""
    root = path.removesuffix("/v2")
    expected = b"Bearer " + token.encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not scope["path"].startswith(f"{path}/"):
            await _send_error(send, 404, "There is nothing at this address")
        elif len(given) != 1 or not hmac.compare_digest(given[0], expected):
            await _send_error(send, 401, "Not authorized for this operation")
        else:
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            inside = {**scope, "root_path": root, "headers": [(b"host", authority.encode()), *others]}
            await application(inside, receive, send)

    return guarded


async def _send_error(send: Send, status: int, detail: str) -> None:
    error = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": detail}
    body = json.dumps(error).encode()
    fields = [(b"content-type", b"application/scim+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def _scim_application() -> AsgiApplication:
    config = load_default_service_provider_config()
    config.authentication_schemes = [BEARER_TOKEN_SCHEME]
    provider = ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=config
    )
    return ASGIApplication(AsyncInMemoryStorage(), provider)


def main() -> None:
    """Serves until it is signalled, or until standard input ends if the secret came from there."""
    parser = argparse.ArgumentParser(prog="application_process", description="An embedded SCIM application.")
    parser.add_argument("--path", default="/scim/demotenant01/v2", help="where it lives; ends in /v2")
    parser.add_argument("--host", default=HOST, help="the host's own name or address that it is called by")
    parser.add_argument("--port", type=int, default=0, help="the port; 0 is any free one")
    parser.add_argument("--token-file", type=Path, help="a file that holds the secret")
    arguments = parser.parse_args()
    host = arguments.host
    if not arguments.path.endswith("/v2"):
        parser.error("--path must end in /v2")
    token = os.environ.get(TOKEN_VARIABLE, "")
    if arguments.token_file:
        token = _secret_in(parser, arguments.token_file)
    from_stdin = not token
    token = token or sys.stdin.readline().strip()
    if not token:
        parser.error(f"give the secret in a --token-file, in {TOKEN_VARIABLE}, or as the first line of standard input")

    with _listener(parser, host, arguments.port) as listener:
        port = listener.getsockname()[1]
        application = like_kantega(_scim_application(), path=arguments.path, token=token, authority=f"{host}:{port}")
        config = uvicorn.Config(
            application, lifespan="off", access_log=False, log_level="warning", timeout_keep_alive=30
        )
        server = uvicorn.Server(config)
        if from_stdin:
            threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
        sys.stdout.write(json.dumps({"url": f"http://{host}:{port}{arguments.path}", "port": port}) + "\n")
        sys.stdout.flush()  # the listener queues what calls before the loop below runs
        server.run(sockets=[listener])


def _secret_in(parser: argparse.ArgumentParser, file: Path) -> str:
    try:
        secret = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"--token-file {file} cannot be read: {error}")
    return secret or parser.error(f"--token-file {file} is empty")


def _listener(parser: argparse.ArgumentParser, host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        parser.error(f"{host}:{port} cannot be listened on: {error}")


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True
    server.force_exit = True  # nobody is left who would wait for an answer


if __name__ == "__main__":
    main()
