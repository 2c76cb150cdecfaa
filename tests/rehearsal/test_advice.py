"""Every failure has advice, and the advice fits its cause."""

from __future__ import annotations

import pytest

from gateway.rehearsal.advice import advise, concerns_everything
from gateway.rehearsal.replies import Failed, Reply, Trouble, Unanswered

SCIM = "application/scim+json"


def failed(status: int, media_type: str = SCIM, **fields: str) -> Failed:
    return Failed("", Reply(status, {"content-type": media_type, **fields}, b"{}"))


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_has_advice_and_stops_a_rehearsal_at_its_start(trouble: Trouble) -> None:
    failure = Unanswered(trouble, "")

    assert advise(failure, base_url_is_right=False)
    assert concerns_everything(failure)


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (failed(401), "check the token"),
        (failed(403), "`sources`"),
        (failed(404), "base URL"),
        (failed(429, **{"retry-after": "70"}), "come back in 70 s"),
        (failed(429), "whole seconds"),
        (failed(429, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), "whole seconds"),
        (failed(302), "redirects"),
        (failed(503), "not available"),
        (failed(503, "text/html"), "a web page answered"),
        (failed(404, "text/html; charset=utf-8"), "a web page answered"),
        (failed(200), "not what the client needs"),
        (Failed("no effect"), "not the effect"),
        (Failed("", advice="do this."), "do this."),
    ],
)
def test_advice_fits_the_cause(failure: Failed, word: str) -> None:
    assert word in advise(failure, base_url_is_right=False)


def test_a_404_is_not_blamed_on_a_base_url_that_proved_right() -> None:
    assert "base URL" not in advise(failed(404), base_url_is_right=True)


@pytest.mark.parametrize(("status", "concerns"), [(200, False), (400, False), (401, True), (404, True), (429, True)])
def test_only_causes_that_concern_every_step_stop_a_rehearsal(status: int, concerns: bool) -> None:
    assert concerns_everything(failed(status)) is concerns
