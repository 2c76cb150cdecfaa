"""Secrets that lie in files: read at the start and at each reload, and never shown."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from gateway.settings.models import Credential, Settings, Tenant
from gateway.settings.problems import Problem, dotted
from gateway.settings.tokens import digest, fits_a_field, weakness

MIN_SECRET_NAME_CHARACTERS = 24  # longer than the names of secrets' files
MAX_SECRET_BYTES = 4096  # what fits into an Authorization field here and at most upstreams


def resolve(settings: Settings) -> tuple[Settings, list[Problem]]:
    """Settings in which every secret has been read; what could not be read is a problem and stays unread."""
    problems: list[Problem] = []
    tenants = {
        name: _resolve_tenant(dotted("tenants", name), tenant, problems) for name, tenant in settings.tenants.items()
    }
    alerts = settings.alerts
    token = _secret_of("alerts.webhook_token_file", alerts.webhook_token_file, problems)
    if token is not None:
        alerts = alerts.model_copy(update={"webhook_token": SecretStr(token)})
    return settings.model_copy(update={"tenants": tenants, "alerts": alerts}), problems


def _resolve_tenant(key: str, tenant: Tenant, problems: list[Problem]) -> Tenant:
    update: dict[str, object] = {}
    for target in ("upstream_token", "upstream_password"):
        secret = _secret_of(f"{key}.{target}_file", getattr(tenant, f"{target}_file"), problems)
        if secret is not None:
            update[target] = SecretStr(secret)
    update["credentials"] = tuple(
        _resolve_credential(f"{key}.credentials.{index}", credential, problems)
        for index, credential in enumerate(tenant.credentials)
    )
    return tenant.model_copy(update=update)


def _resolve_credential(key: str, credential: Credential, problems: list[Problem]) -> Credential:
    token = _secret_of(f"{key}.token_file", credential.token_file, problems)
    return credential if token is None else credential.model_copy(update={"token_sha256": digest(token)})


def _secret_of(key: str, file: Path | None, problems: list[Problem]) -> str | None:
    if file is None:
        return None
    try:
        secret = read_secret(file)
    except OSError as error:
        problems.append(Problem(key, f"{_shown(file)} cannot be read: {error.strerror or error}"))
        return None
    if not secret or not fits_a_field(secret):
        text = f"{_shown(file)} must hold one secret: visible ASCII characters on one line, nothing else"
        problems.append(Problem(key, text))
        return None
    return secret


def _shown(file: Path) -> str:
    """The file's name, unless somebody wrote the secret itself in its place."""
    name = file.name
    looks_like_a_secret = "." not in name and (weakness(name) is None or len(name) >= MIN_SECRET_NAME_CHARACTERS)
    return "what is written here (it looks like a secret, and must be a file)" if looks_like_a_secret else str(file)


def read_secret(file: Path) -> str:
    """The content of a secret's file without surrounding white space.

    Raises:
        OSError: it cannot be read, is larger than any secret, or is no text.
    """
    with file.open("rb") as opened:
        content = opened.read(MAX_SECRET_BYTES + 1)
    if len(content) > MAX_SECRET_BYTES:
        raise OSError(0, "too large for a secret")
    try:
        return content.decode("ascii").strip()
    except UnicodeDecodeError:
        raise OSError(0, "not ASCII text") from None
