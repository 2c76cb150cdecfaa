"""The table of reasons is complete, stable in form, and tells clients nothing of the inside."""

from __future__ import annotations

import re

import pytest

from docs.generate import ADVICE, PAGES
from gateway.refusal import Fault, Reason


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.slug)
def test_a_reason_reads_well_outside(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", reason.slug)
    assert 400 <= reason.status <= 599
    assert reason.detail.endswith(".")
    assert not re.search(r"kantega|jira|python|aiohttp|internal", reason.detail.lower())


def test_a_slug_names_one_reason() -> None:
    slugs = [reason.slug for reason in Reason]

    assert len(slugs) == len(set(slugs))
    assert len(slugs) == len(list(Reason)), "two members with equal values would be one"


def test_all_failed_authentications_read_alike() -> None:
    failures = [reason for reason in Reason if reason.name.startswith("CREDENTIAL_")]

    assert len(failures) == 5
    assert len({(reason.status, reason.detail) for reason in failures}) == 1


def test_only_faults_that_are_not_the_clients_mean_come_back() -> None:
    assert all(reason.unavailable == (reason.fault is not Fault.CLIENT) for reason in Reason)


def test_every_reason_has_advice() -> None:
    assert set(ADVICE) == set(Reason)


def test_the_generated_pages_are_up_to_date() -> None:
    assert {file: file.read_text() for file in PAGES} == {file: page() for file, page in PAGES.items()}, (
        "run `python docs/generate.py`"
    )
