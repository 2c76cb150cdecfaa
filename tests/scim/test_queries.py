"""Queries are read for judging: decoded, unambiguous, and with a filter that can be understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.scim.queries import read_query, without_entra_flags


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (None, ()),
        ("", ()),
        ("startIndex=1&count=2", (("startIndex", "1"), ("count", "2"))),
        (
            "filter=userName%20eq%20%22ada%2B1%40b.c%22&startIndex=1",
            (("filter", 'userName eq "ada+1@b.c"'), ("startIndex", "1")),
        ),
        ("filter=userName+eq+%22x%22", (("filter", 'userName eq "x"'),)),
        ("aadOptscim062020", (("aadOptscim062020", ""),)),
        ("aadOptscim062020&aadOptscim062020", (("aadOptscim062020", ""),) * 2),
        ("attributes=a,b&&excludedAttributes=c=d", (("attributes", "a,b"), ("excludedAttributes", "c=d"))),
        ("n=%C3%A9", (("n", "é"),)),
    ],
)
def test_a_query_is_decoded(query: str | None, parameters: tuple[tuple[str, str], ...]) -> None:
    assert read_query(query) == parameters


@pytest.mark.parametrize(
    "query",
    [
        *(
            f"{name}=a%20pr&{name}=a%20pr"
            for name in ("filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes")
        ),
        "count=1&COUNT=2",
        "filter=a+pr&%66ilter=b+pr",
        "count&count",
        "n=%FF",
        "n=%C0%AF",
        "%FF=1",
    ],
)
def test_a_query_that_could_be_read_in_two_ways_is_refused(query: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_query(query)

    assert refused.value.reason is Reason.QUERY_MALFORMED


@pytest.mark.parametrize(
    "query", ["filter", "filter=", "filter=ADA%40EXAMPLE.COM", "FILTER=a", "filter=a%2520eq%25201"]
)
def test_a_filter_that_cannot_be_understood_is_refused(query: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_query(query)

    assert refused.value.reason is Reason.FILTER_MALFORMED


@given(st.text() | st.text(st.sampled_from("filter=&%2Ff+ \udc80"), max_size=30))
def test_no_text_makes_the_reader_fall(query: str) -> None:
    try:
        read_query(query)
    except Refusal as refusal:
        assert refusal.reason in (Reason.QUERY_MALFORMED, Reason.FILTER_MALFORMED)


FILTER = "filter=userName+eq+%22a%2Bb%40example.com%22"


@pytest.mark.parametrize("flag", ["aadOptscim062020", "AzureAdScimPatch2017", "AzureAdScimPatch062020"])
@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("{flag}", None),
        ("{flag}=", None),
        ("{flag}=true", None),
        ("&{flag}", None),
        ("{flag}&{flag}=", None),
        (f"{{flag}}&{FILTER}", FILTER),
        (f"{FILTER}&{{flag}}=", FILTER),
        (f"excludedAttributes=members&{{flag}}&{FILTER}", f"excludedAttributes=members&{FILTER}"),
        (f"a=1&&{{flag}}&{FILTER}&b", f"a=1&&{FILTER}&b"),
    ],
)
def test_entras_flag_is_cut_out_wherever_it_stands_and_the_rest_stays(query: str, left: str | None, flag: str) -> None:
    for spelling in (flag, flag.lower(), f"%{ord(flag[0]):x}{flag[1:]}"):
        assert without_entra_flags(query.format(flag=spelling)) == left


@pytest.mark.parametrize(
    "query",
    [
        None,
        "",
        "&",
        FILTER,
        "x=aadOptscim062020",
        "filter=a+eq+%22aadOptscim062020%22",
        "aadOptscim0620201",
        "%20a=%7E",
    ],
)
def test_a_query_without_a_flag_stays_as_it_came(query: str | None) -> None:
    assert without_entra_flags(query) == query


@given(st.lists(st.sampled_from(["", "a", "filter=x%20pr", "b=%2B+c", "aadOptscim062020", "aadOptscim062020="])))
def test_what_is_left_of_a_query_says_the_same_but_for_the_flag(pieces: list[str]) -> None:
    flags = {"aadOptscim062020", "aadOptscim062020="}
    left = without_entra_flags("&".join(pieces)) or ""

    assert left == "&".join(piece for piece in pieces if piece not in flags)
