"""Whom a command calls: base URL, token and trust as they are typed; mistakes are said before anything is sent."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import click

TOKEN_VARIABLE = "SCIM_GATEWAY_TOKEN"  # noqa: S105 - the variable's name

_TOKEN = re.compile(r"[\x21-\x7e]+")


def base_url_of(url: str) -> str:
    """A base URL without the slash at its end.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise click.BadParameter("must be like https://scim.example.com/scim/zbs848185728/v2", param_hint="--url")
    if "?" in url:
        raise click.BadParameter(
            "must hold nothing behind a '?'; --dialect entra-flag adds Entra's flag", param_hint="--url"
        )
    if parts.username or parts.password:
        raise click.BadParameter("must hold no user or password", param_hint="--url")
    return url.rstrip("/")


def read_token(token: str | None, token_file: Path | None) -> str | None:
    """The token, from the file if one is given; None for none. What is wrong with it is said without showing it.

    Raises:
        click.ClickException: it cannot be read, or cannot be sent.
    """
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
            raise click.ClickException(f"the token file {token_file} cannot be read: {problem}") from None
    if not token:
        return None
    token = token.removeprefix("Bearer ").strip()
    if not _TOKEN.fullmatch(token):
        raise click.ClickException("the token holds spaces or characters outside ASCII")
    return token


def trust_of(ca_file: Path | None) -> ssl.SSLContext | None:
    """Who may certify the other side; None: whom the system trusts.

    Raises:
        click.ClickException: the file cannot be used.
    """
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise click.ClickException(f"the CA file {ca_file} cannot be used: {error.strerror or error}") from None
