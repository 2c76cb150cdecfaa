"""Looks at single answers of `init`: their form, and what files, ports and the network say of them."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gateway.cli.placing import Owner
from gateway.settings.feeds import Feed, FeedInvalid, read_feed
from gateway.settings.secrets import MAX_SECRET_BYTES, read_secret
from gateway.settings.values import HostPort, ListenAddress, PlainPath, PublicUrl, UpstreamUrl, host_and_port

PUBLIC_URL: TypeAdapter[str] = TypeAdapter(PublicUrl)
LISTEN_ADDRESS: TypeAdapter[str] = TypeAdapter(ListenAddress)
PLAIN_PATH: TypeAdapter[str] = TypeAdapter(PlainPath)
_UPSTREAM_URL: TypeAdapter[str] = TypeAdapter(UpstreamUrl)

_CONNECT_SECONDS = 3.0
_SHIFTS = {"u": 6, "g": 3, "o": 0}  # of the bits of others to those of a class
_NODE = re.compile(r"(https?://[^/\s]+)(/\S*)?")
_FEED_HOWTO = {"okta": "curl -fsSo {file} https://s3.amazonaws.com/okta-ip-ranges/ip_ranges.json fetches it"}


@dataclass(frozen=True, slots=True)
class Nodes:
    """An upstream as somebody copies it from the application: origins, and the path if they gave one."""

    origins: tuple[str, ...]
    path: str | None
    reached: tuple[str, ...] = ()  # those that took a connection


def valid(form: TypeAdapter[str], text: str) -> str:
    """A value in the form that settings take.

    Raises:
        ValueError: it has another; the text says which.
    """
    try:
        return form.validate_python(text)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def read_nodes(answer: str) -> Nodes:
    """URLs of nodes, with commas between, with the same path behind each or none.

    Raises:
        ValueError: they are none; the text says what would be right.
    """
    origins, paths = [], set()
    for url in filter(None, map(str.strip, answer.split(","))):
        match = _NODE.fullmatch(url.rstrip("/"))
        if match is None:
            msg = "must be URLs such as http://jira-1.internal:5501/scim/zbs848185728/v2"
            raise ValueError(msg)
        origins.append(valid(_UPSTREAM_URL, match[1]))
        if match[2]:
            paths.add(valid(PLAIN_PATH, match[2]))
    if not origins:
        msg = "must name one node at least"
        raise ValueError(msg)
    if len(paths) > 1:
        msg = f"must have one path for all nodes; these have {' and '.join(sorted(paths))}"
        raise ValueError(msg)
    return Nodes(tuple(origins), next(iter(paths), None))


def feed_in(name: str, file: Path) -> Feed:
    """What a feed's file holds.

    Raises:
        ValueError: it cannot be used; the text says how to get one.
    """
    try:
        return read_feed(file.read_bytes())
    except OSError as error:
        how = _FEED_HOWTO.get(name, "fetch it first").format(file=file)
        msg = f"cannot be read: {file}: {error.strerror}; {how}"
        raise ValueError(msg) from None
    except FeedInvalid as error:
        msg = f"is no feed: {error}"
        raise ValueError(msg) from None


def secret_in(file: str) -> str:
    """What a secret's file holds; "-" is standard input.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        if file == "-":
            return sys.stdin.read(MAX_SECRET_BYTES).strip()
        return read_secret(Path(file))
    except OSError as error:
        msg = f"cannot be read: {file}: {error.strerror}"
        raise ValueError(msg) from None


def absolute(text: str) -> Path:
    """As somebody in this directory means it."""
    return Path(text).expanduser().absolute()


def can_read(user: Owner, file: Path) -> bool:
    """Whether a file's own mode lets somebody read it; the directories above have their say too."""
    found = file.stat()
    return bool(found.st_mode & stat.S_IROTH << _SHIFTS[_class_of(user, (user.group_id,), found)])


def why_not_entered(user: Owner, directory: Path) -> str:
    """Which directory on the way stops somebody, and the mend; "" when none of those that are there does."""
    if user.user_id == 0:
        return ""
    groups = os.getgrouplist(user.name, user.group_id)
    way = directory.resolve()
    for path in filter(Path.exists, (*reversed(way.parents), way)):
        found = path.stat()
        who = _class_of(user, groups, found)
        if not found.st_mode & stat.S_IXOTH << _SHIFTS[who]:
            return f"{path} cannot be entered by {user.name}; chmod {who}+x {path}"
    return ""


def _class_of(user: Owner, groups: Collection[int], found: os.stat_result) -> str:
    """Which bits of a mode hold for somebody, as chmod calls them."""
    if found.st_uid == user.user_id:
        return "u"
    return "g" if found.st_gid in groups else "o"


def why_not_resolved(host: str, port: int) -> str:
    """What DNS says against a name; "" when it is known."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error.strerror or "no such name"
    return ""


def why_not_reached(origin: str) -> str:
    """What was tried, and what came of it; "" when a connection was made."""
    host, port = host_and_port(origin)
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError as error:
        return f"TCP to {host} port {port}, {_CONNECT_SECONDS:g} s: {error.strerror or error}"
    return ""


def why_not_listened(endpoint: HostPort) -> str:
    """Why nobody can listen there now; "" when one can."""
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(found[0][0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
            probe.bind(found[0][4])
    except PermissionError:
        return f"is privileged: ports below 1024 are not for this user; take 8443 and forward {endpoint.port} to it"
    except OSError as error:
        taken = "another program listens there; stop it, or give another port"
        return f"cannot be listened on: {taken if error.errno == errno.EADDRINUSE else error.strerror}"
    return ""
