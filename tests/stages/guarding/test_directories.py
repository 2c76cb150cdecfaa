"""The size of a directory: asked for now and then, and kept where the answer fails."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.exchange import Delivery
from gateway.refusal import Reason
from gateway.settings.models import Tenant
from gateway.stages.guarding import Directories
from gateway.stages.guarding.directories import AGAIN_SECONDS, FRESH_SECONDS, QUESTION
from tests.stages.guarding.building import answered, unanswered
from tests.worlds import tenant


def guarded(**guard: Any) -> Tenant:
    return tenant(guard=guard)


@dataclass
class Time:
    now: float = 0.0
    asked: list[str] = field(default_factory=list)

    async def learn(self, directories: Directories, delivery: Delivery) -> None:
        async def ask(target: str) -> Delivery:
            self.asked.append(target)
            return delivery

        await directories.learn("jira", ask)


async def test_a_size_is_learned_by_a_list_of_one_and_asked_for_again_when_it_is_old() -> None:
    time = Time()
    directories = Directories(lambda: time.now)
    tenants = {"jira": guarded()}
    assert (directories.due(tenants), directories.size_of("jira", tenants["jira"])) == (["jira"], None)

    await time.learn(directories, answered(200, {"totalResults": 2000}))
    assert (time.asked, directories.size_of("jira", tenants["jira"])) == ([QUESTION], 2000)
    time.now = FRESH_SECONDS - 1
    assert directories.due(tenants) == []
    time.now = FRESH_SECONDS
    assert directories.due(tenants) == ["jira"]


@pytest.mark.parametrize(
    "delivery",
    [
        unanswered(Reason.UPSTREAM_UNREACHABLE),
        unanswered(Reason.UPSTREAM_BUSY, 429),
        replace(answered(200, {"totalResults": 3}), reason=Reason.UPSTREAM_NOT_SCIM),
        answered(400, {"status": "400", "detail": "no", "totalResults": 3}),
        answered(204),
        answered(200, {"Resources": []}),
        answered(200, {"totalResults": "many"}),
    ],
)
async def test_a_question_without_an_answer_leaves_what_was_known_and_is_asked_again_soon(delivery: Delivery) -> None:
    time, tenants = Time(), {"jira": guarded()}
    directories = Directories(lambda: time.now)
    directories.sizes["jira"] = 2000
    await time.learn(directories, delivery)

    assert directories.size_of("jira", tenants["jira"]) == 2000
    time.now = AGAIN_SECONDS - 1
    assert directories.due(tenants) == []
    time.now = AGAIN_SECONDS
    assert directories.due(tenants) == ["jira"]


async def test_a_size_that_is_set_is_not_asked_for_and_goes_before_what_was_learned() -> None:
    tenants = {"set": guarded(directory_size=50), "off": guarded(mode="off"), "watched": guarded(mode="observe")}
    directories = Directories(lambda: 0.0)
    directories.sizes["set"] = 2000

    assert directories.due(tenants) == ["watched"]
    assert directories.size_of("set", tenants["set"]) == 50


async def test_another_tenants_directory_is_another() -> None:
    directories = Directories(lambda: 0.0)
    await Time().learn(directories, answered(200, {"totalResults": 7}))

    assert directories.size_of("wiki", guarded()) is None
