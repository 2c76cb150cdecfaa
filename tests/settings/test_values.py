"""The forms of single values: what is refused, what is understood, and that no refusal quotes what it refused."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.settings.models import GatewaySection, ListenSection, Tenant
from gateway.settings.values import FeedCell, HostPort, parse_source

UPSTREAM = "http://jira.internal:5501"


def tenant(**values: Any) -> Tenant:
    return Tenant.model_validate({"path": "/scim/a/v2", "upstream": [UPSTREAM], **values})


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("0.0.0.0:8443", "0.0.0.0", 8443),  # noqa: S104 - read, not bound
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:9443", "::1", 9443),
        ("gateway-1.example.com:443", "gateway-1.example.com", 443),
    ],
)
def test_an_address_is_taken_apart_and_put_together_again(text: str, host: str, port: int) -> None:
    parsed = HostPort.parse(text)

    assert (parsed.host, parsed.port) == (host, port)
    assert str(parsed) == text


@pytest.mark.parametrize(
    "text",
    ["", "8443", ":8443", "*:8443", "::1:9443", "[::1]", "[::1", "host:", "host:x", "host:65536", "10.0.0.300:1",
     "[10.0.0.1]:1", "a b:1", "-a.example:1", "host:-1", "host:8443/x", "h\u00f6st:1", "host:\uff11"],
)  # fmt: skip
def test_what_is_no_address_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        HostPort.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        parsed = HostPort.parse(text)
    except ValueError:
        return
    assert HostPort.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("url", "written", "host", "authorities"),
    [
        ("https://scim.example.com", None, "scim.example.com", {"scim.example.com", "scim.example.com:443"}),
        ("https://SCIM.example.com:443/", "https://scim.example.com", "scim.example.com",
         {"scim.example.com", "scim.example.com:443"}),
        ("https://scim.example.com:8443", None, "scim.example.com", {"scim.example.com:8443"}),
        ("https://192.0.2.7:8443", None, "192.0.2.7", {"192.0.2.7:8443"}),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]", "2001:db8::1", {"[2001:db8::1]", "[2001:db8::1]:443"}),
    ],
)  # fmt: skip
def test_the_public_url_says_every_host_that_means_us(
    url: str, written: str | None, host: str, authorities: set[str]
) -> None:
    section = GatewaySection(public_url=url)

    assert section.public_url == (written or url)
    assert section.public_host == host
    assert section.public_authorities == authorities


@pytest.mark.parametrize(
    "url",
    ["http://scim.example.com", "https://scim_1.example.com", "https://scim.example.com/scim", "https://u:pw@example.com",
     "https://example.com?x", "https://example.com#x", "https://", "https://example.com:0", "https://example.com:65536",
     "https://ex ample.com", "https://ex\tample.com", "https://b\u00fccher.example", "https://10.0.0.300",
     "https://[::1", "https://example..com", "ftp://example.com", "https://example.com\nx", "https:example.com"],
)  # fmt: skip
def test_what_okta_could_not_call_is_no_public_url(url: str) -> None:
    with pytest.raises(ValidationError):
        GatewaySection(public_url=url)


@pytest.mark.parametrize(
    "path",
    ["", "/", "scim/v2", "/scim/v2/", "/scim//v2", "/scim/../v2", "/scim/./v2", "/scim/%61/v2", "/scim/v2?x",
     "/sc im/v2", "/scim\\v2", "/scim;a/v2", "/scim/v\u00b2", "/" + "a" * 256],
)  # fmt: skip
def test_a_path_that_could_be_read_two_ways_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        tenant(path=path)


@pytest.mark.parametrize(
    "url",
    ["jira.internal:5501", "http://jira.internal/scim", "http://u:p@jira.internal", "http://jira:0", "http://jira:99999",
     "http://[::g]:1", "http://jira..internal", "http://.jira", f"http://{'x' * 64}.internal", "unix:/run/x",
     "http://jira.internal?x", "http://jira\r\nx", "//jira", "http://ji\u2100ra"],
)  # fmt: skip
def test_what_is_no_origin_is_no_upstream(url: str) -> None:
    with pytest.raises(ValidationError):
        tenant(upstream=[url])


@given(st.from_regex(r"https?://[a-z]{1,8}:sEcReT[^\s]{0,8}@.{0,8}", fullmatch=True))
def test_a_refused_upstream_is_never_quoted(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tenant(upstream=[url])

    assert "sEcReT" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "source"),
    [
        ("203.0.113.0/24", ip_network("203.0.113.0/24")),
        ("203.0.113.7", ip_network("203.0.113.7/32")),
        ("2001:db8::/32", ip_network("2001:db8::/32")),
        ("okta:us_cell_1", FeedCell("okta", "us_cell_1")),
    ],
)
def test_a_source_is_a_network_or_a_part_of_a_feed(entry: str, source: object) -> None:
    assert parse_source(entry) == source


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("203.0.113.5/24", "203.0.113.0/24 would be"),
        ("::ffff:192.0.2.0/120", "IPv4"),
        ("203.0.113.0/33", "must be a network"),
        ("okta:", "must be a network"),
        ("Okta", "must be a network"),
        ("*", "must be a network"),
    ],
)
def test_a_source_that_would_match_nothing_is_refused(entry: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_source(entry)


@pytest.mark.parametrize("entry", ["10.0.0.5", "10.0.0.5/32", "10.0.0.0/8", "2001:db8:1::/64", "fd00::5"])
def test_a_trusted_proxy_is_an_address_or_a_network(entry: str) -> None:
    listen = ListenSection.model_validate({"certificate_file": "c", "key_file": "k", "trusted_proxies": [entry]})

    assert listen.trusted_proxies == (entry,)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("0.0.0.0/0", "must not be everywhere"),
        ("::/0", "must not be everywhere"),
        ("10.0.0.5/24", "10.0.0.0/24 would be"),
        ("::ffff:10.0.0.0/120", "IPv4"),
        ("balancer.internal", "must be a network"),
        ("okta:us_cell_1", "must be a network"),
        ("10.0.0.5:443", "must be a network"),
        ("", "must be a network"),
    ],
)
def test_a_proxy_that_could_be_anybody_is_not_trusted(entry: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ListenSection.model_validate({"certificate_file": "c", "key_file": "k", "trusted_proxies": [entry]})


@pytest.mark.parametrize("pattern", ["*", "user.*", "user.create", "group.members.add", "group.members.*"])
def test_an_operation_is_named_alone_or_by_its_family(pattern: str) -> None:
    assert tenant(operations=[pattern]).operations == (pattern,)


@pytest.mark.parametrize("pattern", ["", "**", "user.", ".create", "user.*.x", "*.create", "User.create"])
def test_a_pattern_that_could_match_by_accident_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        tenant(operations=[pattern])


@pytest.mark.parametrize(
    "name", ["", "Roles/1", "..", "users", "Bulk", "1Role", "R-1", "schemas", "ServiceProviderConfigs"]
)
def test_an_extension_takes_no_place_of_scims_own(name: str) -> None:
    with pytest.raises(ValidationError):
        tenant(extensions=[name])


def test_a_path_with_a_nul_is_refused_before_a_file_system_sees_it() -> None:
    with pytest.raises(ValidationError):
        tenant(upstream_token_file="a\0b")


@pytest.mark.parametrize(("written", "found"), [("a/b", "/etc/x/a/b"), ("/a/b", "/a/b")])
def test_a_relative_path_starts_at_the_settings_file(written: str, found: str) -> None:
    raw = {"path": "/scim/a/v2", "upstream": [UPSTREAM], "upstream_token_file": written}

    assert Tenant.model_validate(raw, context={"directory": Path("/etc/x")}).upstream_token_file == Path(found)


@pytest.mark.parametrize(
    "name",
    ["title", "name.familyName", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "custom_1"],
)
def test_an_attribute_may_go_on_record(name: str) -> None:
    assert tenant(audit={"values": [name]}).audit.values == (name,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("password", "must name no secret"),
        ("PassWord", "must name no secret"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:password", "must name no secret"),
        ("custom.password", "must name no secret"),
        ("x509Certificates", "must name no secret"),
        ("api-token", "must name no secret"),
        ("client_Secret", "must name no secret"),
        ("urn:ietf:params:scim:schemas:core:2.0:User", "must be an attribute"),
        ("*", "must be an attribute"),
        ("", "must be an attribute"),
        ('emails[type eq "work"]', "must be an attribute"),
        ("a\nb", "must be an attribute"),
        ("pass\u017fword", "must be an attribute"),
    ],
)
def test_a_secret_or_what_is_no_attribute_may_not(name: str, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        tenant(audit={"values": [name]})
