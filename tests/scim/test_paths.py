"""PATCH paths and the one spelling of each attribute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.scim.filters import AttributePath, Comparison, Operator
from gateway.scim.paths import ENTERPRISE_SCHEMA, Path, attribute_name, is_schema, parse_path

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
WORK = Comparison(AttributePath(None, "type", None), Operator.EQ, "work")
ONE = Comparison(AttributePath(None, "value", None), Operator.EQ, "1].x[")


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("members", Path(None, "members"), "members"),
        ("ACTIVE", Path(None, "ACTIVE"), "active"),
        ("name.givenName", Path(None, "name", None, "givenName"), "name.givenName"),
        ("NAME.GIVENNAME", Path(None, "NAME", None, "GIVENNAME"), "name.givenName"),
        ("manager.$ref", Path(None, "manager", None, "$ref"), "manager.$ref"),
        ('emails[type eq "work"]', Path(None, "emails", WORK), "emails"),
        ('emails[type eq "work"].value', Path(None, "emails", WORK, "value"), "emails.value"),
        ('members[value eq "1].x["]', Path(None, "members", ONE), "members"),
        (f"{CORE}:userName", Path(CORE, "userName"), "userName"),
        (f"{CORE.upper()}:ACTIVE", Path(CORE.upper(), "ACTIVE"), "active"),
        (f"{CORE}:name.familyName", Path(CORE, "name", None, "familyName"), "name.familyName"),
        (f'{CORE}:emails[type eq "work"].value', Path(CORE, "emails", WORK, "value"), "emails.value"),
        (f"{ENTERPRISE_SCHEMA}:department", Path(ENTERPRISE_SCHEMA, "department"), f"{ENTERPRISE_SCHEMA}:department"),
        (
            f"{ENTERPRISE_SCHEMA}:manager.value".lower(),
            Path(ENTERPRISE_SCHEMA.lower(), "manager", None, "value"),
            f"{ENTERPRISE_SCHEMA}:manager.value",
        ),
        (ENTERPRISE_SCHEMA, Path(ENTERPRISE_SCHEMA, ""), ENTERPRISE_SCHEMA),
        (CORE, Path(CORE, ""), ""),
        ("urn:okta:app:1.0:user:custom:isAdmin", Path("urn:okta:app:1.0:user:custom", "isAdmin"), None),
        ("urn:Example:2.0:User", Path("urn:Example:2.0:User", ""), "urn:example:2.0:user"),
    ],
)
def test_a_path_leads_to_an_attribute(text: str, path: Path, name: str | None) -> None:
    assert parse_path(text) == path
    assert path.name == (text.lower() if name is None else name)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", " active", "active ", "a b", ".a", "a.", "a..b", "a.b.c", "9", "a,b", "a/b", "/Users/1", "a:b",
        "urn:", ":a", "http://x:y", "*", "members[", "members]", "members[]", "members[value]", "[value pr]",
        "members[value pr", "members[a pr]b", "members[a pr].", "members[a pr].b.c", "members[a pr].b[c pr]",
        "members[a pr][b pr]", "members[a[b pr]]", "members [a pr]", "members[a pr] ", "members[a pr].urn:x:y",
        "name.givenName[a pr]", "members[a pr]\n", "ä", "active\x00", "active\n",
        "members[" + "(" * 8 + "a pr" + ")" * 8 + "]", f"{CORE}.active", f"{CORE}[a pr]", f"{CORE}[a pr].active",
        f"{ENTERPRISE_SCHEMA}.department", "a" * 4097,
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_path(text)

    assert refused.value.reason is Reason.PATH_MALFORMED


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("userName", "userName"),
        ("USERNAME", "userName"),
        ("name.GivenName", "name.givenName"),
        (f"{CORE}:Active", "active"),
        (f"{CORE.lower()}:name.familyname", "name.familyName"),
        ("urn:ietf:params:scim:schemas:core:2.0:Group:MEMBERS", "members"),
        ("urn:scim:schemas:core:1.0:active", "active"),
        (CORE, ""),
        (ENTERPRISE_SCHEMA.upper(), ENTERPRISE_SCHEMA),
        (f"{ENTERPRISE_SCHEMA.lower()}:employeenumber", f"{ENTERPRISE_SCHEMA}:employeeNumber"),
        (f"{ENTERPRISE_SCHEMA}2:x", f"{ENTERPRISE_SCHEMA}2:x".lower()),
        (f"{CORE}s:active", f"{CORE}s:active".lower()),
        ("FavouriteColour", "favouritecolour"),
        ("http://schemas.example/Group", "http://schemas.example/group"),
        ("", ""),
    ],
)
def test_an_attribute_has_one_spelling(key: str, name: str) -> None:
    assert attribute_name(key) == name
    assert attribute_name(name) == name


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        (CORE, True),
        (ENTERPRISE_SCHEMA.lower(), True),
        ("urn:scim:schemas:core:1.0", True),
        ("urn:scim:schemas:core:1.0:members", False),
        ("urn:example:10:Thing", True),
        (f"{CORE}:active", False),
        ("urn:okta:app:1.0:user:custom", False),
        ("active", False),
    ],
)
def test_a_schema_is_told_from_an_attribute_by_its_version(text: str, schema: bool) -> None:
    assert is_schema(text) is schema


@given(st.text() | st.text(st.sampled_from('urn:2.0Ua[]". eqpr'), max_size=24))
def test_no_text_makes_the_parser_fall(text: str) -> None:
    try:
        path = parse_path(text)
    except Refusal as refusal:
        assert refusal.reason is Reason.PATH_MALFORMED
        return
    assert path.name == attribute_name(path.name)
