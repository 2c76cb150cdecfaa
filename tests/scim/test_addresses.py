"""Addresses: exactly those of RFC 7644 section 3.2 and of the tenant's extensions, each with its methods."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import Address, Kind, methods_of, read_address

RESOURCE = ("GET", "PUT", "PATCH", "DELETE")
EXTENSIONS = ("Roles",)


@pytest.mark.parametrize(
    ("path", "address", "methods"),
    [
        ("", Address(Kind.ROOT, ""), ("GET",)),
        ("/", Address(Kind.ROOT, ""), ("GET",)),
        ("/.search", Address(Kind.ROOT, "", search=True), ("POST",)),
        ("/.search/", Address(Kind.ROOT, "", search=True), ("POST",)),
        ("/Users", Address(Kind.USERS, "Users"), ("GET", "POST")),
        ("/Users/", Address(Kind.USERS, "Users"), ("GET", "POST")),
        ("/Users/1", Address(Kind.USERS, "Users", "1"), RESOURCE),
        ("/Users/1/", Address(Kind.USERS, "Users", "1"), RESOURCE),
        ("/Users/a%40b%2Cc", Address(Kind.USERS, "Users", "a%40b%2Cc"), RESOURCE),
        ("/Users/Groups", Address(Kind.USERS, "Users", "Groups"), RESOURCE),
        ("/Users/.search", Address(Kind.USERS, "Users", search=True), ("POST",)),
        ("/Groups", Address(Kind.GROUPS, "Groups"), ("GET", "POST")),
        ("/Groups/g-1", Address(Kind.GROUPS, "Groups", "g-1"), RESOURCE),
        ("/Groups/.search", Address(Kind.GROUPS, "Groups", search=True), ("POST",)),
        ("/Me", Address(Kind.ME, "Me"), ("GET", "POST", "PUT", "PATCH", "DELETE")),
        ("/ServiceProviderConfig", Address(Kind.SERVICE_PROVIDER_CONFIG, "ServiceProviderConfig"), ("GET",)),
        ("/ServiceProviderConfig/", Address(Kind.SERVICE_PROVIDER_CONFIG, "ServiceProviderConfig"), ("GET",)),
        ("/Schemas", Address(Kind.SCHEMAS, "Schemas"), ("GET",)),
        ("/Schemas/urn:x:2.0:User", Address(Kind.SCHEMAS, "Schemas", "urn:x:2.0:User"), ("GET",)),
        ("/ResourceTypes", Address(Kind.RESOURCE_TYPES, "ResourceTypes"), ("GET",)),
        ("/ResourceTypes/User", Address(Kind.RESOURCE_TYPES, "ResourceTypes", "User"), ("GET",)),
        ("/Bulk", Address(Kind.BULK, "Bulk"), ("POST",)),
        ("/Roles", Address(Kind.EXTENSION, "Roles"), ("GET", "POST")),
        ("/Roles/1", Address(Kind.EXTENSION, "Roles", "1"), RESOURCE),
        ("/Roles/.search", Address(Kind.EXTENSION, "Roles", search=True), ("POST",)),
    ],
)
def test_an_address_is_known_by_name_and_knows_its_methods(
    path: str, address: Address, methods: tuple[str, ...]
) -> None:
    read = read_address(path, EXTENSIONS)

    assert read == address
    assert read.path == path.rstrip("/")
    assert sorted(methods_of(read)) == sorted(methods)


@pytest.mark.parametrize(
    "path",
    [
        "/users", "/USERS", "/User", "/Users2", "Users", "Users/1", "/Entitlements", "//", "//Users", "/Users//",
        "/Users//1", "/Users/1//", "/Users/1/2", "/Users/1/.search", "/Users/.search/1", "/Users/.Search",
        "/Users/.SEARCH", "/.Search", "/Users/.", "/Users/..", "/Users/a;b", "/Users/a b", "/Users/a?b", "/Users/a#b",
        "/Users/%", "/Users/%4", "/Users/é", "/Users/a\\b", "/Users/\"", "/Users/" + "a" * 257, "/Me/1", "/Me/.search",
        "/ServiceProviderConfig/1", "/ServiceProviderConfigs", "/ServiceProviderConfig/.search", "/Schemas/.search",
        "/Schemas/a/b", "/ResourceTypes/.search", "/Bulk/1", "/bulk", "/.search/1", "/(extension)", "/roles",
        "/Roles/1/2", "/.", "/..", "/Users\n",
    ],
)  # fmt: skip
def test_any_other_address_is_unknown(path: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_address(path, EXTENSIONS)

    assert refused.value.reason is Reason.ADDRESS_UNKNOWN


def test_an_extension_that_the_tenant_does_not_list_is_unknown() -> None:
    with pytest.raises(Refusal):
        read_address("/Roles", ())


def test_an_extension_cannot_take_the_place_of_an_endpoint_of_scim() -> None:
    assert read_address("/Bulk", ("Bulk", "Users")).kind is Kind.BULK


def test_an_id_of_256_bytes_passes() -> None:
    assert read_address("/Users/" + "a" * 256, ()).resource_id == "a" * 256


@given(st.text(st.sampled_from("/UsersMe.%20;")) | st.text())
def test_whatever_passes_goes_on_as_it_came_but_for_a_last_slash(path: str) -> None:
    try:
        address = read_address(path, EXTENSIONS)
    except Refusal as refusal:
        assert refusal.reason is Reason.ADDRESS_UNKNOWN
        return
    assert address.path == path.removesuffix("/")
