from __future__ import annotations

import pytest

from gateway.scim.documents import Document
from gateway.scim.operations import Who
from gateway.scim.told import completed, id_told

ADA = {"id": "17", "userName": "ada@example.com", "externalId": "00u1"}


@pytest.mark.parametrize(
    ("people", "document", "known"),
    [
        ((Who(None, "Ada@Example.com", "00u1"),), ADA, Who("17", "Ada@Example.com", "00u1")),
        ((Who("17"),), ADA, Who("17", "ada@example.com", "00u1")),
        ((Who("17"),), {"ID": "17", "USERNAME": "ada"}, Who("17", "ada")),
        ((Who("a-B"),), {"id": "A-b", "userName": "ada"}, Who("a-B", "ada")),
        ((Who("17"),), {"userName": "ada"}, Who("17", "ada")),
        ((), ADA, Who("17", "ada@example.com", "00u1")),
        # what shows somebody else, or is no name
        ((Who("18"),), ADA, Who("18")),
        ((Who("17"),), {"id": "17", "userName": None, "externalId": 7}, Who("17")),
        ((Who(None, "ada"),), {"id": 17}, Who(None, "ada")),
        ((Who(None, "ada"),), {"id": ["17"]}, Who(None, "ada")),
        ((Who(None, "ada"),), {"id": ""}, Who(None, "ada")),
        ((Who(None, "ada"),), {"id": "1" * 1025}, Who(None, "ada")),
        ((Who(None, "ada"),), {}, Who(None, "ada")),
    ],
)
def test_what_the_request_left_out_is_filled_in_and_what_it_gave_stays(
    people: tuple[Who, ...], document: Document, known: Who
) -> None:
    assert completed(people, document) == (known,)


def test_an_answer_that_tells_nothing_makes_nobody() -> None:
    assert completed((), {"detail": "done"}) == ()


@pytest.mark.parametrize(("document", "told"), [({"Id": "g1"}, "g1"), ({"id": 1}, None), ({}, None)])
def test_an_id_is_a_text_under_its_name(document: Document, told: str | None) -> None:
    assert id_told(document) == told
