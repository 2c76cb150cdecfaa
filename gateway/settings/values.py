"""The forms a single value may take: paths, addresses, origins, sources, names of operations. Pure.

Each check returns the value or raises a ValueError whose text says what would be right, and never quotes the value:
it may hold a secret at the wrong place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

Network = IPv4Network | IPv6Network

MAX_PATH_CHARACTERS = 256  # Kantega's is 25 characters; a request line must hold more than the path

_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")  # no escapes, no empty segments: it is compared byte for byte
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)
_URL_PATH = re.compile(r"(?:/[!$&-;=?-Z_a-z~%]*)?")  # RFC 3986, without fragment
_ORIGIN = re.compile(r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?")
_HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):([0-9]{1,5})")
_FEED_CELL = re.compile(r"([a-z0-9]+(?:[_-][a-z0-9]+)*):([A-Za-z0-9._-]+)")
_OPERATIONS = re.compile(r"\*|[a-z]+(?:\.[a-z]+)*(?:\.\*)?")
_ATTRIBUTE = re.compile(
    r"(?:urn:[a-z0-9][a-z0-9:._-]*:)?[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)?", re.IGNORECASE | re.ASCII
)
_SCHEMA = re.compile(r"urn:.*:[0-9.]+:[^:.]+", re.IGNORECASE)
_SECRETS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "certificate",
    "x509",
    "apikey",
    "privatekey",
)
_EXTENSION = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_CORE_ENDPOINTS = frozenset(
    {"users", "groups", "me", "serviceproviderconfig", "serviceproviderconfigs", "schemas", "resourcetypes", "bulk"}
    # SECURITY: other names that some servers have for these; nobody would judge what is written there.
    | {"user", "group", "member", "members"}
)
_LARGEST_PORT = 65535


def _path_is_plain(path: str) -> str:
    if not _PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
        msg = (
            "must be a plain path such as /scim/zbs848185728/v2: "
            "no escapes, no empty or dot segments, no '/' at the end"
        )
        raise ValueError(msg)
    if len(path) > MAX_PATH_CHARACTERS:
        msg = f"must have at most {MAX_PATH_CHARACTERS} characters; this has {len(path)}"
        raise ValueError(msg)
    return path


def _file_is_found_from_the_settings(path: Path, info: ValidationInfo) -> Path:
    """A relative path starts at the settings file, whose directory the reader passes as validation context."""
    if "\0" in str(path):
        msg = "must hold no NUL character"
        raise ValueError(msg)
    directory = info.context.get("directory") if isinstance(info.context, dict) else None
    return directory / path if isinstance(directory, Path) else path


PlainPath = Annotated[str, AfterValidator(_path_is_plain)]
SettingsPath = Annotated[Path, AfterValidator(_file_is_found_from_the_settings)]


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address to listen on: `0.0.0.0:8443`, `[::1]:9443`, `127.0.0.1:0` (any free port)."""

    host: str  # without brackets
    port: int

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """Read `host:port`.

        Raises:
            ValueError: it is not of that form; the message says what would be.
        """
        match = _HOST_PORT.fullmatch(text)
        if match is None:
            msg = "must be host:port, such as 0.0.0.0:8443, or [::1]:8443 with brackets for IPv6"
            raise ValueError(msg)
        host, port = match[1], int(match[2])
        if port > _LARGEST_PORT:
            msg = f"must have a port of at most {_LARGEST_PORT}"
            raise ValueError(msg)
        if not _host_is_plain(host):
            msg = "must name a host before the port: an IP address or a DNS name; 0.0.0.0 or [::] listens everywhere"
            raise ValueError(msg)
        return cls(host.strip("[]"), port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _host_is_plain(host: str) -> bool:
    """Whether a host, as a URL writes it, is an IPv4 address, an IPv6 address in brackets, or a DNS name."""
    if host.startswith("["):
        return _is_address(host[1:-1], 6)
    if host.rpartition(".")[2].isdigit():  # 10.0.0.300 is a broken address, not a name (WHATWG URL, "ends in a number")
        return _is_address(host, 4)
    return _DNS_NAME.fullmatch(host) is not None


def _is_address(text: str, version: int) -> bool:
    try:
        return ip_address(text).version == version
    except ValueError:
        return False


def _address_can_be_listened_on(address: str) -> str:
    return str(HostPort.parse(address))


ListenAddress = Annotated[str, AfterValidator(_address_can_be_listened_on)]


def _address_can_be_connected_to(address: str) -> str:
    endpoint = HostPort.parse(address)
    if endpoint.port == 0 or endpoint.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        msg = "must be the host and the port of a server, such as logs.example.com:6514"
        raise ValueError(msg)
    return str(endpoint)


ServerAddress = Annotated[str, AfterValidator(_address_can_be_connected_to)]


def _url_is_public(url: str) -> str:
    match = _ORIGIN.fullmatch(url)
    if match is None:
        msg = "must be https://host or https://host:port: no path, no user, no query"
        raise ValueError(msg)
    scheme, host, port = match.groups()
    if scheme != "https":
        msg = "must be https: the client's token would cross the internet in the clear"
        raise ValueError(msg)
    if "_" in host:
        msg = "must have no '_' in its host: Okta refuses such a Base URL; rename the host, for instance with '-'"
        raise ValueError(msg)
    if not _host_is_plain(host) or int(port or 443) not in range(1, _LARGEST_PORT + 1):
        msg = "must have a host that is a DNS name or an IP address, and a port from 1 to 65535"
        raise ValueError(msg)
    return f"https://{host.lower()}" + (f":{int(port)}" if port and int(port) != 443 else "")


def host_and_port(origin: str) -> tuple[str, int]:
    """The host, in lower case and without brackets, and the port of a validated public or upstream URL.

    Raises:
        ValueError: the URL was never validated.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        msg = "is no http or https origin"
        raise ValueError(msg)
    scheme, host, port = match.groups()
    return host.lower().strip("[]"), int(port or (443 if scheme == "https" else 80))


def _upstream_is_an_origin(url: str) -> str:
    match = _ORIGIN.fullmatch(url)  # never urlsplit here: its errors quote what may be a password
    if match is None:
        msg = (
            "must be http://host:port or https://host:port; a path belongs into upstream_path, "
            "a user and password into upstream_username and upstream_password_file"
        )
        raise ValueError(msg)
    if match[3] is not None and int(match[3]) not in range(1, _LARGEST_PORT + 1):
        msg = "must have a port from 1 to 65535"
        raise ValueError(msg)
    if match[2].startswith("[") and not _is_address(match[2][1:-1], 6):
        msg = "must have an IPv6 address between its brackets"
        raise ValueError(msg)
    if not match[2].startswith("[") and any(not 0 < len(label) < 64 for label in match[2].removesuffix(".").split(".")):
        msg = "must name a host; between two dots stand 1 to 63 characters"
        raise ValueError(msg)
    return url.rstrip("/")


UpstreamUrl = Annotated[str, AfterValidator(_upstream_is_an_origin)]


@dataclass(frozen=True, slots=True)
class FeedCell:
    """A part of a feed: `okta:us_cell_1` is the cell us_cell_1 of [sources.okta], `azure:AzureSQL.WestUS` a tag."""

    feed: str
    cell: str


def parse_source(entry: str) -> Network | FeedCell:
    """Read one entry of a tenant's `sources`: an address, a network, or feed:cell.

    Raises:
        ValueError: it is none of them; the message says what would be.
    """
    if match := _FEED_CELL.fullmatch(entry):  # which no network looks like: it has one colon
        return FeedCell(match[1], match[2])
    return _parse_network(
        entry, 'must be a network such as "203.0.113.0/24", or a feed and its cell such as "okta:us_cell_1"'
    )


def _parse_network(entry: str, would_be: str) -> Network:
    try:
        meant = ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(would_be) from None
    try:
        network = ip_network(entry)
    except ValueError:
        msg = f"has bits set beyond its prefix; {meant} would be the network"
        raise ValueError(msg) from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        msg = "must be written as IPv4: addresses such as ::ffff:192.0.2.1 are compared as 192.0.2.1"
        raise ValueError(msg)
    return network


def _source_can_be_read(entry: str) -> str:
    parse_source(entry)
    return entry


def _proxies_are_a_network(entry: str) -> str:
    network = _parse_network(entry, 'must be a network such as "10.0.0.5/32", or an address')
    if network.prefixlen == 0:
        msg = "must not be everywhere: whoever connects could then say to be anybody"
        raise ValueError(msg)
    return entry


def _pattern_names_operations(pattern: str) -> str:
    if not _OPERATIONS.fullmatch(pattern):
        msg = 'must be an operation such as "user.create", a family such as "user.*", or "*"'
        raise ValueError(msg)
    return pattern


def _extension_is_an_endpoint(name: str) -> str:
    if not _EXTENSION.fullmatch(name):
        msg = 'must be the name of one endpoint such as "Roles": letters and digits, no "/"'
        raise ValueError(msg)
    if name.lower() in _CORE_ENDPOINTS:
        msg = f"must name a further endpoint; {name} is decided by SCIM itself"
        raise ValueError(msg)
    return name


def names_a_secret(attribute: str) -> bool:
    """Whether an attribute's name, in any spelling and below any schema, is that of a password, token, key or
    certificate."""
    plain = attribute.lower().replace("-", "").replace("_", "")
    return any(word in plain for word in _SECRETS)


def _attribute_may_be_on_record(name: str) -> str:
    if not _ATTRIBUTE.fullmatch(name) or _SCHEMA.fullmatch(name):
        msg = (
            'must be an attribute such as "title", "name.familyName", or one after its schema\'s URN, '
            'such as "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"'
        )
        raise ValueError(msg)
    if names_a_secret(name):
        msg = "must name no secret: values of passwords, tokens, keys and certificates never go on record; remove it"
        raise ValueError(msg)
    return name


def _web_url_can_be_posted_to(url: str) -> str:
    origin, slash, path = _split_path(url)
    if _ORIGIN.fullmatch(origin) is None or not _URL_PATH.fullmatch(slash + path):
        msg = "must be http://host/path or https://host:port/path, without a user: a token belongs into a file"
        raise ValueError(msg)
    return url


def _split_path(url: str) -> tuple[str, str, str]:
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + mark + host, slash, path


PublicUrl = Annotated[str, AfterValidator(_url_is_public)]
WebUrl = Annotated[str, AfterValidator(_web_url_can_be_posted_to)]
Source = Annotated[str, AfterValidator(_source_can_be_read)]
ProxyNetwork = Annotated[str, AfterValidator(_proxies_are_a_network)]
OperationPattern = Annotated[str, AfterValidator(_pattern_names_operations)]
RecordedAttribute = Annotated[str, AfterValidator(_attribute_may_be_on_record)]
Extension = Annotated[str, AfterValidator(_extension_is_an_endpoint)]
