"""What must hold between settings, once each value is well-formed by itself. Pure.

To add a rule: write a function, add it to RULES, add its tests. Every rule always runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from gateway.settings.models import Credential, Settings, Tenant
from gateway.settings.problems import Problem, dotted
from gateway.settings.values import FeedCell, HostPort, host_and_port, parse_source

Rule = Callable[[Settings], Iterator[Problem]]

MAX_NAME_CHARACTERS = 64
PLAIN_NAME = "is no plain name: use lower-case letters and digits, with single '-' or '_' between, at most 64"
LONGEST_HOLD_HOURS = 84  # 600 s doubled nine times is 85 hours: the first wait of a hold is 600 s at least
_NAME = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")  # no "__": it separates the parts of an environment variable
_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_INSIDE_SUFFIXES = (".internal", ".intranet", ".local", ".localdomain", ".lan", ".corp", ".home.arpa", ".svc", ".test")


def names_are_plain(settings: Settings) -> Iterator[Problem]:
    """Names of tenants and feeds become metric labels, audit fields and environment variables."""
    for section, names in (("tenants", settings.tenants), ("sources", settings.sources)):
        for name in names:
            if not name_is_plain(name):
                yield Problem(dotted(section, name), PLAIN_NAME)


def name_is_plain(name: str) -> bool:
    """Whether a tenant or a feed may be called so."""
    return len(name) <= MAX_NAME_CHARACTERS and _NAME.fullmatch(name) is not None


def paths_are_apart(settings: Settings) -> Iterator[Problem]:
    """A request belongs to one tenant at most: no path equals another, or begins with its whole segments."""
    names = sorted(settings.tenants)
    for position, name in enumerate(names):
        for earlier in names[:position]:
            path, other = settings.tenants[name].path, settings.tenants[earlier].path
            if f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/"):
                text = f"overlaps with the path of tenants.{earlier} ({other}); give each tenant a path of its own"
                yield Problem(dotted("tenants", name, "path"), text)


def credentials_are_given(settings: Settings) -> Iterator[Problem]:
    """Here or at run time, which the settings cannot tell."""
    for name, tenant in settings.tenants.items():
        if not tenant.credentials:
            text = f"are missing: nobody can call until `scim-gateway token new --tenant {dotted(name)}` has made one"
            yield Problem(dotted("tenants", name, "credentials"), text, "warning")


def credential_names_are_apart(settings: Settings) -> Iterator[Problem]:
    """The name is all that the record shows of a credential."""
    for tenant_name, tenant in settings.tenants.items():
        counts = Counter(credential.name for credential in tenant.credentials)
        for index, credential in enumerate(tenant.credentials):
            first = next(i for i, other in enumerate(tenant.credentials) if other.name == credential.name)
            if counts[credential.name] > 1 and index != first:
                key = dotted("tenants", tenant_name, "credentials", index, "name")
                yield Problem(key, f"{credential.name} is the name of credentials.{first} already; give it another")


def secrets_are_apart(settings: Settings) -> Iterator[Problem]:
    """One token opens one tenant: a repeat would make it a matter of chance which."""
    seen: dict[tuple[str | None, str], str] = {}
    for key, credential in _credentials(settings):
        field = "token_sha256" if credential.token_sha256 else "password_sha256"
        secret = credential.token_sha256 or credential.password_sha256
        if secret is None:
            continue
        first = seen.setdefault((credential.username, secret), key)
        if first != key:
            yield Problem(f"{key}.{field}", f"is the secret of {first} already; make one for each credential")


def upstream_nodes_are_apart(settings: Settings) -> Iterator[Problem]:
    """A node that is named twice would be taken for a spare one of itself."""
    for name, tenant in settings.tenants.items():
        seen: dict[tuple[str, int], int] = {}
        for index, url in enumerate(tenant.upstream):
            first = seen.setdefault(host_and_port(url), index)
            if first != index:
                key = dotted("tenants", name, "upstream", index)
                yield Problem(key, f"is the node upstream.{first} already; name each node once")


def drained_nodes_are_known(settings: Settings) -> Iterator[Problem]:
    """A drained node is one of the upstream's; to drain all of them is allowed, and worth a word."""
    for name, tenant in settings.tenants.items():
        for index, url in enumerate(tenant.upstream_drained):
            if url not in tenant.upstream:
                text = f"is no node of upstream; write it as it stands there: {', '.join(tenant.upstream)}"
                yield Problem(dotted("tenants", name, "upstream_drained", index), text)
        if set(tenant.upstream) <= set(tenant.upstream_drained):
            text = "names every node: nothing is forwarded, and the client is told to come back later"
            yield Problem(dotted("tenants", name, "upstream_drained"), text, "warning")


def a_read_may_fail_over(settings: Settings) -> Iterator[Problem]:
    """Of two nodes the second one is of no use to a read that spends its whole budget on the first."""
    for name, tenant in settings.tenants.items():
        limits = tenant.limits
        if len(tenant.upstream) > 1 and limits.first_byte_seconds >= limits.budget_seconds:
            text = f"leaves no time for another node within budget_seconds ({limits.budget_seconds:g}); make it less"
            yield Problem(dotted("tenants", name, "limits", "first_byte_seconds"), text, "warning")


def upstream_credential_is_one(settings: Settings) -> Iterator[Problem]:
    """Exactly one of upstream_token, upstream_token_file, or a user name with one password; none is a warning."""
    for name, tenant in settings.tenants.items():
        key = dotted("tenants", name)
        tokens = _given(tenant, "upstream_token", "upstream_token_file")
        passwords = _given(tenant, "upstream_password", "upstream_password_file")
        if len(tokens) > 1:
            yield Problem(f"{key}.upstream_token", "is given twice; keep upstream_token_file alone")
        if len(passwords) > 1:
            yield Problem(f"{key}.upstream_password", "is given twice; keep upstream_password_file alone")
        if tokens and (passwords or tenant.upstream_username is not None):
            yield Problem(f"{key}.{tokens[0]}", "and a user name exclude each other; keep the one the upstream wants")
        if (tenant.upstream_username is None) != (not passwords):
            text = "and upstream_password_file go together: Basic authentication needs both"
            yield Problem(f"{key}.upstream_username", text)
        if not tokens and not passwords and tenant.upstream_username is None:
            text = "is missing: the upstream is called without a credential, so whoever reaches it may do the same"
            yield Problem(f"{key}.upstream_token_file", text, "warning")


def upstream_tls_is_whole(settings: Settings) -> Iterator[Problem]:
    """A client certificate needs its key, and nothing of TLS has a meaning for an http upstream."""
    for name, tenant in settings.tenants.items():
        key = dotted("tenants", name)
        pair = _given(tenant, "upstream_certificate_file", "upstream_key_file")
        if len(pair) == 1:
            missing = {"upstream_certificate_file", "upstream_key_file"} - set(pair)
            yield Problem(f"{key}.{pair[0]}", f"needs {missing.pop()} beside it")
        tls = _given(tenant, "upstream_ca_file", "upstream_certificate_file", "upstream_key_file")
        if tls and all(url.startswith("http:") for url in tenant.upstream):
            yield Problem(f"{key}.{tls[0]}", "has no meaning with an http upstream; make it https, or leave this out")


def upstream_in_the_clear_is_inside(settings: Settings) -> Iterator[Problem]:
    for name, tenant in settings.tenants.items():
        for index, url in enumerate(tenant.upstream):
            if url.startswith("http:") and not _is_inside(host_and_port(url)[0]):
                text = "sends the upstream's secret in the clear to what looks like a public host; use https"
                yield Problem(dotted("tenants", name, "upstream", index), text, "warning")


def feeds_are_defined(settings: Settings) -> Iterator[Problem]:
    for name, tenant in settings.tenants.items():
        for index, entry in enumerate(tenant.sources):
            source = parse_source(entry)
            if isinstance(source, FeedCell) and source.feed not in settings.sources:
                text = f"names the feed {source.feed}, which is not defined: add [sources.{source.feed}] with its file"
                yield Problem(dotted("tenants", name, "sources", index), text)


def alerts_reach_somebody(settings: Settings) -> Iterator[Problem]:
    """A held wave waits for a person, so somebody must hear of it; and a token is for one place."""
    alerts = settings.alerts
    tokens = [field for field in ("webhook_token", "webhook_token_file") if getattr(alerts, field) is not None]
    if len(tokens) > 1:
        yield Problem("alerts.webhook_token", "is given twice; keep webhook_token_file alone")
    if tokens and alerts.webhook_url is None:
        yield Problem(f"alerts.{tokens[0]}", "needs webhook_url beside it")
    if tokens and (alerts.webhook_url or "").startswith("http:"):
        yield Problem("alerts.webhook_url", "sends its token in the clear; use https", "warning")


def syslog_pair_is_whole(settings: Settings) -> Iterator[Problem]:
    """A client certificate needs its key."""
    syslog = settings.audit.syslog
    names = ("certificate_file", "key_file")
    given = [name for name in names if syslog is not None and getattr(syslog, name) is not None]
    if len(given) == 1:
        missing = next(name for name in names if name not in given)
        yield Problem(f"audit.syslog.{given[0]}", f"needs {missing} beside it")


def a_hold_outlasts_its_client(settings: Settings) -> Iterator[Problem]:
    """Okta's last attempt comes 85 hours after the first at the latest: a hold beyond that loses tasks."""
    for name, tenant in settings.tenants.items():
        if tenant.client.comes_back_on_429_only and tenant.guard.hold_hours > LONGEST_HOLD_HOURS:
            text = f"is longer than Okta waits for; with {LONGEST_HOLD_HOURS} or less no task ends unseen"
            yield Problem(dotted("tenants", name, "guard", "hold_hours"), text, "warning")


def metrics_listener_is_whole(settings: Settings) -> Iterator[Problem]:
    """A certificate needs its key, and both a listener of their own: the admin listener has no TLS."""
    given = [name for name in ("certificate_file", "key_file") if getattr(settings.metrics, name) is not None]
    if len(given) == 1:
        missing = "key_file" if given == ["certificate_file"] else "certificate_file"
        yield Problem(f"metrics.{given[0]}", f"needs {missing} beside it")
    if given and settings.metrics.address is None:
        yield Problem(f"metrics.{given[0]}", 'has no meaning without metrics.address, such as "0.0.0.0:9464"')


def listeners_are_apart(settings: Settings) -> Iterator[Problem]:
    public, admin, metrics = settings.listen.endpoint, settings.admin.endpoint, settings.metrics.endpoint
    if _collide(public, admin):
        text = f"is taken by listen.address ({public}); give the admin listener a port of its own, such as 9443"
        yield Problem("admin.address", text)
    for key, other in (("listen.address", public), ("admin.address", admin)):
        if metrics is not None and _collide(other, metrics):
            text = f"is taken by {key} ({other}); give the metrics a port of their own, such as 9464"
            yield Problem("metrics.address", text)


def _collide(one: HostPort, other: HostPort) -> bool:
    return one.port == other.port != 0 and (one.host == other.host or bool({one.host, other.host} & _ANYWHERE))


def proxies_are_named(settings: Settings) -> Iterator[Problem]:
    """A client's address is taken from proxies that are named, and naming them has no other use."""
    listen = settings.listen
    asks = [
        key for key, value in (("proxy_protocol", "off"), ("forwarded_header", "none")) if getattr(listen, key) != value
    ]
    if asks and not listen.trusted_proxies:
        text = f"are missing, and listen.{asks[0]} is believed from them alone: name the balancer's addresses"
        yield Problem("listen.trusted_proxies", text)
    if listen.trusted_proxies and not asks:
        text = "have no meaning without listen.proxy_protocol or listen.forwarded_header; all callers look like them"
        yield Problem("listen.trusted_proxies", text, "warning")


RULES: tuple[Rule, ...] = (
    names_are_plain,
    paths_are_apart,
    credentials_are_given,
    credential_names_are_apart,
    secrets_are_apart,
    upstream_nodes_are_apart,
    drained_nodes_are_known,
    a_read_may_fail_over,
    upstream_credential_is_one,
    upstream_tls_is_whole,
    upstream_in_the_clear_is_inside,
    feeds_are_defined,
    alerts_reach_somebody,
    syslog_pair_is_whole,
    metrics_listener_is_whole,
    a_hold_outlasts_its_client,
    listeners_are_apart,
    proxies_are_named,
)


def judge(settings: Settings) -> list[Problem]:
    """Everything that the rules find."""
    return [problem for rule in RULES for problem in rule(settings)]


def _credentials(settings: Settings) -> Iterator[tuple[str, Credential]]:
    for name, tenant in settings.tenants.items():
        for index, credential in enumerate(tenant.credentials):
            yield dotted("tenants", name, "credentials", index), credential


def _given(tenant: Tenant, *fields: str) -> list[str]:
    return [field for field in fields if getattr(tenant, field) is not None]


def _is_inside(host: str) -> bool:
    """Whether a host is meant for the inside: a private address, a single label, or a name no public zone holds."""
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_INSIDE_SUFFIXES)
    return address.is_private or address.is_loopback or address.is_link_local
