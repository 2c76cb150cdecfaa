"""Whose chain is visited, and in which manner."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.doctor.visit import Case, Visit, tenant_of
from gateway.rehearsal.messages import OKTA, OKTA_AGENT, Manner
from tests.worlds import PATH, PUBLIC_URL, TOKEN, settings, sha256, tenant

AGENTS_TOKEN = "another-token-0123456789-0123456789-abcdef"
TWO = settings(
    Path("/nonexistent"),
    tenants={
        "jira": tenant().model_dump(),
        "agent": tenant(
            path="/scim/agent/v1",
            client="okta-agent",
            credentials=[{"name": "opp", "token_sha256": sha256(AGENTS_TOKEN)}],
        ).model_dump(),
    },
)


@pytest.mark.parametrize(
    ("token", "url", "name"),
    [
        (None, "", "jira"),  # the first
        (TOKEN, "", "jira"),
        (AGENTS_TOKEN, "", "agent"),
        (None, f"{PUBLIC_URL}/scim/agent/v1", "agent"),
        (AGENTS_TOKEN, PUBLIC_URL + PATH, "jira"),  # where somebody goes counts more than what they hold
        (None, f"{PUBLIC_URL}/elsewhere/scim/agent/v1", "jira"),
    ],
)
def test_the_tenant_is_that_of_the_url_or_of_the_token_or_the_first(token: str | None, url: str, name: str) -> None:
    assert tenant_of(TWO, token, url)[0] == name


@pytest.mark.parametrize(
    ("url", "case", "manner"),
    [
        (PUBLIC_URL + PATH, None, OKTA),
        (f"{PUBLIC_URL}/scim/agent/v1", None, OKTA_AGENT),
        (PUBLIC_URL + PATH, Case(TWO, ()), OKTA),
        (f"{PUBLIC_URL}/scim/agent/v1", Case(TWO, ()), OKTA_AGENT),
        (f"{PUBLIC_URL}/other/v1", Case(settings(), ()), OKTA),  # what the settings say counts more than a path's end
    ],
)
def test_the_manner_is_the_tenants(url: str, case: Case | None, manner: Manner) -> None:
    assert Visit(url, None, case=case).manner is manner
