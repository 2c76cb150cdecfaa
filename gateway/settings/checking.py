"""What only a look at the machine can tell: files, their modes, certificates, feeds, how strong a secret is.

To add a look: write a function, add it to LOOKS, add its tests. Every look always runs.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.settings import pairs
from gateway.settings.feeds import FORMS, Feed, FeedInvalid, cells_like, read_feed
from gateway.settings.models import Credential, Settings, Tenant
from gateway.settings.problems import Problem, dotted
from gateway.settings.secrets import read_secret
from gateway.settings.tokens import weakness, weakness_of_digest
from gateway.settings.values import FeedCell, parse_source

AUDIT_KEY_NAME = "audit-key.pem"  # as `journal.keys` makes it in the state directory
GONE_ON_WITH = (".lock", "checkpoints", "reserve", "guard.sqlite3", "credentials-on-record.json")
_AUDIT_KEY = "openssl genpkey -algorithm ed25519 makes one"

Look = Callable[[Settings, float], Iterator[Problem]]


def listener_pair_is_good(settings: Settings, now: float) -> Iterator[Problem]:
    """The certificate and key of [listen]: readable, fitting, whole, in date, for the public name, strong."""
    listen = settings.listen
    yield from pairs.examine_pair(
        ("listen.certificate_file", listen.certificate_file), ("listen.key_file", listen.key_file), now
    )
    yield from pairs.examine_public_chain("listen.certificate_file", listen.certificate_file)
    yield from pairs.examine_name("listen.certificate_file", listen.certificate_file, settings.gateway.public_host)
    yield from is_private("listen.key_file", listen.key_file)


def upstream_files_are_good(settings: Settings, now: float) -> Iterator[Problem]:
    """CA files and client certificates towards upstreams."""
    for name, tenant in settings.tenants.items():
        key = dotted("tenants", name)
        if tenant.upstream_ca_file is not None:
            yield from pairs.examine_authorities(f"{key}.upstream_ca_file", tenant.upstream_ca_file)
        pair = tenant.upstream_certificate_file, tenant.upstream_key_file
        yield from _pair_is_good(f"{key}.upstream_", *pair, now)


def audit_key_is_good(settings: Settings, _now: float) -> Iterator[Problem]:
    """A key that is named must be there: one made in its stead would sign what nobody can check.

    Where none is named, the one of an earlier start must be a key still.
    """
    key, file = "audit.key_file", settings.audit.key_file
    if file is not None:
        yield from _is_signing_key(key, file)
        yield from is_private(key, file)
    elif _is_there(made := settings.gateway.state_directory / AUDIT_KEY_NAME):
        yield from _is_signing_key("gateway.state_directory", made)


def syslog_files_are_good(settings: Settings, now: float) -> Iterator[Problem]:
    """CA file and client certificate towards the syslog server."""
    syslog = settings.audit.syslog
    if syslog is None:
        return
    if syslog.ca_file is not None:
        yield from pairs.examine_authorities("audit.syslog.ca_file", syslog.ca_file)
    yield from _pair_is_good("audit.syslog.", syslog.certificate_file, syslog.key_file, now)


def metrics_pair_is_good(settings: Settings, now: float) -> Iterator[Problem]:
    """Certificate and key of [metrics]."""
    yield from _pair_is_good("metrics.", settings.metrics.certificate_file, settings.metrics.key_file, now)


def _pair_is_good(prefix: str, certificate: Path | None, private: Path | None, now: float) -> Iterator[Problem]:
    """A certificate and its key, where both are given; `prefix` stands before the names of their settings."""
    if certificate is None or private is None:
        return
    key = f"{prefix}key_file"
    yield from pairs.examine_pair((f"{prefix}certificate_file", certificate), (key, private), now)
    yield from is_private(key, private)


def secret_files_are_private(settings: Settings, _now: float) -> Iterator[Problem]:
    """A secret that others can read is none."""
    for key, file in _secret_files(settings):
        yield from is_private(key, file)


def secrets_are_strong(settings: Settings, _now: float) -> Iterator[Problem]:
    """What opens the gateway to the internet must not be guessable; the upstream's secret is the upstream's matter."""
    for name, tenant in settings.tenants.items():
        for index, credential in enumerate(tenant.credentials):
            yield from _credential_is_strong(dotted("tenants", name, "credentials", index), credential)
        yield from _upstream_secret_is_strong(dotted("tenants", name), tenant)


def credentials_are_in_date(settings: Settings, now: float) -> Iterator[Problem]:
    """An ended credential opens nothing and wants replacing or removing; one that ends soon is worth a word."""
    for name, tenant in settings.tenants.items():
        ended = [c.expires is not None and c.expires.timestamp() <= now for c in tenant.credentials]
        for index, credential in enumerate(tenant.credentials):
            key = dotted("tenants", name, "credentials", index, "expires")
            if ended[index] and credential.expires is not None:
                rest = "remove the credential"
                if all(ended):
                    rest = f"none of these opens: `scim-gateway token new --tenant {dotted(name)}` makes another"
                yield Problem(key, f"{credential.name} ended on {credential.expires:%Y-%m-%d}; {rest}")
            elif credential.expires is not None and credential.expires.timestamp() <= now + pairs.SOON_SECONDS:
                rest = (
                    f"`scim-gateway token rotate --tenant {dotted(name)} --name {credential.name}` makes its successor"
                )
                yield Problem(key, f"{credential.name} ends on {credential.expires:%Y-%m-%d}; {rest}", "warning")


def feeds_are_usable(settings: Settings, _now: float) -> Iterator[Problem]:
    """Each feed's file can be read and used, and holds the cells that tenants name."""
    for name, feed in settings.sources.items():
        key = dotted("sources", name, "file")
        try:
            held = read_feed(feed.file.read_bytes())
        except OSError as error:
            yield Problem(key, f"{feed.file} cannot be read: {error.strerror}")
        except FeedInvalid as error:
            yield Problem(key, f"{feed.file} {error}; {FORMS}")
        else:
            yield from _cells_exist(settings, name, held)


def directories_are_usable(settings: Settings, _now: float) -> Iterator[Problem]:
    """State and audit directories, and what an earlier run left there, can be written to, or can be made."""
    for key, directory in (
        ("gateway.state_directory", settings.gateway.state_directory),
        ("audit.directory", settings.audit.directory),
    ):
        try:
            yield from _directory_is_usable(key, directory)
        except PermissionError:
            yield Problem(key, f"{directory} cannot be reached by this user: a directory above it is closed to it")


LOOKS: tuple[Look, ...] = (
    listener_pair_is_good,
    upstream_files_are_good,
    audit_key_is_good,
    syslog_files_are_good,
    metrics_pair_is_good,
    secret_files_are_private,
    secrets_are_strong,
    credentials_are_in_date,
    feeds_are_usable,
    directories_are_usable,
)


def look(settings: Settings, now: float) -> list[Problem]:
    """Everything that the looks find. `now` in Unix seconds."""
    return [problem for one in LOOKS for problem in one(settings, now)]


def is_private(key: str, file: Path) -> Iterator[Problem]:
    """Whether a file is for its owner alone; one that is not there is passed over."""
    try:
        found = file.stat()
    except OSError:
        return  # said elsewhere
    mode = stat.S_IMODE(found.st_mode)
    # root may give a secret to the gateway's own group, as Kubernetes does with fsGroup and systemd with credentials.
    allowed = 0o740 if found.st_uid == 0 and found.st_gid != 0 else 0o700
    if mode & ~allowed & 0o777 and file.is_file():
        yield Problem(key, f"{file} is readable by others (mode {mode:o}); chmod 600 {file}")


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:
        return False  # said of its directory


def _is_signing_key(key: str, file: Path) -> Iterator[Problem]:
    try:
        private = load_pem_private_key(file.read_bytes(), None)
    except OSError as error:
        yield Problem(key, f"{file} cannot be read: {error.strerror}")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        yield Problem(key, f"{file} holds no private key in PEM without a password; {_AUDIT_KEY}")
    else:
        if not isinstance(private, Ed25519PrivateKey):
            yield Problem(key, f"{file} holds a key of another kind than Ed25519; {_AUDIT_KEY}")


def _directory_is_usable(key: str, directory: Path) -> Iterator[Problem]:
    if directory.is_symlink() and not directory.exists():
        yield Problem(key, f"{directory} is a link to what is not there; make that, or remove the link")
        return
    if directory.exists() and not directory.is_dir():
        yield Problem(key, f"{directory} is not a directory")
        return
    nearest = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield Problem(key, f"{nearest} cannot be written to by this user; mkdir and chown {directory}")
    elif nearest != directory:
        return
    elif directory.stat().st_mode & stat.S_IWOTH:
        yield Problem(key, f"{directory} can be written to by everybody; chmod 750 {directory}")
    elif (foreign := _foreign_file(directory)) is not None:
        text = (
            f"{foreign} is closed to this user, as a run by another one leaves it; chown -R {_own_name()} {directory}"
        )
        yield Problem(key, text)


def _foreign_file(directory: Path) -> Path | None:
    """A file that the instance goes on with and cannot; of the log's old files none is written any more."""
    segments = sorted(directory.glob("*.jsonl"))
    readable, writable = os.R_OK, os.R_OK | os.W_OK
    needed = [(file, readable) for file in segments[:-1]] + [(file, writable) for file in segments[-1:]]
    needed += [(directory / name, writable) for name in GONE_ON_WITH]
    closed = (file for file, access in needed if not os.access(file, access) and file.exists())
    return next(closed, None)


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user has no entry
        return str(os.geteuid())


def _secret_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    if settings.alerts.webhook_token_file is not None:
        yield "alerts.webhook_token_file", settings.alerts.webhook_token_file
    for name, tenant in settings.tenants.items():
        key = dotted("tenants", name)
        for field in ("upstream_token_file", "upstream_password_file"):
            file = getattr(tenant, field)
            if isinstance(file, Path):
                yield f"{key}.{field}", file
        for index, credential in enumerate(tenant.credentials):
            if credential.token_file is not None:
                yield f"{key}.credentials.{index}.token_file", credential.token_file


def _credential_is_strong(key: str, credential: Credential) -> Iterator[Problem]:
    advice = "make one with `scim-gateway token new`"
    if credential.token_file is not None:
        try:
            why = weakness(read_secret(credential.token_file))
        except OSError:
            return  # said elsewhere
        field = "token_file"
    else:
        why = weakness_of_digest(credential.token_sha256 or credential.password_sha256 or "")
        field = "token_sha256" if credential.token_sha256 else "password_sha256"
    if why is not None:
        yield Problem(f"{key}.{field}", f"{why}; {advice}")


def _upstream_secret_is_strong(key: str, tenant: Tenant) -> Iterator[Problem]:
    for field, secret in (("upstream_token", tenant.upstream_token), ("upstream_password", tenant.upstream_password)):
        why = weakness(secret.get_secret_value()) if secret is not None else None
        if why is not None:
            yield Problem(f"{key}.{field}", f"{why}; let the application make a stronger one", "warning")


def _cells_exist(settings: Settings, name: str, feed: Feed) -> Iterator[Problem]:
    for tenant_name, tenant in settings.tenants.items():
        for index, entry in enumerate(tenant.sources):
            source = parse_source(entry)
            if isinstance(source, FeedCell) and source.feed == name and not feed.get(source.cell):
                yield Problem(
                    dotted("tenants", tenant_name, "sources", index),
                    f"names the cell {source.cell}, which the feed has not; it has {cells_like(source.cell, feed)}",
                )
