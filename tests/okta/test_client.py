"""The simulated Okta against the application itself, and behind a stand-in for the gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.okta.application import Answer, Application
from tests.okta.client import Okta, Report
from tests.okta.clock import now, run_virtually
from tests.okta.outages import Outage, Schedule, State
from tests.okta.sequences import Call
from tests.okta.store import members_of
from tests.okta.stub import Limiter, RetryAfter, StubGateway, constant, spread
from tests.okta.tasks import Dialect, Kind, Law, Replay, Task
from tests.okta.workload import creations, difference, expected_directory, workload
from tests.worlds import NOW

SIZES = [1000, pytest.param(10_000, marks=pytest.mark.soak)]
CREATE_BO = Task("t1", Kind.CREATE_USER, "bo@example.com", "Bo Dahl")


@dataclass(slots=True)
class Line:
    """Straight to node-1, unless an answer is kept ready for that call; every call is noted."""

    application: Application = field(default_factory=Application)
    ready: dict[int, Answer] = field(default_factory=dict)  # by the number of the call, from 1
    calls: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def call(self, method: str, target: str, fields: Mapping[str, str], body: bytes) -> Answer:
        self.calls.append((method, target.partition("?")[0]))
        self.bodies.append(body)
        self.times.append(round(now() - NOW))
        if (answer := self.ready.get(len(self.calls))) is not None:
            return answer
        return await self.application.handle("node-1", method, target, fields, body)

    @property
    def methods(self) -> str:
        return " ".join(method for method, _ in self.calls)


def played(
    call: Call,
    *tasks: Task,
    dialect: Dialect = "oin",
    law: Law = "documented",
    replay: Replay = "stored",
    tasks_per_second: float = 50.0,
) -> Report:
    async def main() -> Report:
        okta = Okta(call, dialect=dialect, law=law, replay=replay, tasks_per_second=tasks_per_second)
        return await okta.run(tasks)

    return run_virtually(main())


def too_busy(retry_after: str) -> Answer:
    return 429, {"Retry-After": retry_after}, b""


def outage(hours: float) -> Application:
    return Application(schedule=Schedule((Outage(NOW, NOW + hours * 3600, State.DOWN),)))


@pytest.mark.parametrize("dialect", ["oin", "aiw"])
@pytest.mark.parametrize("replay", ["stored", "reread"])
def test_a_day_without_trouble_leaves_the_expected_directory(dialect: Dialect, replay: Replay) -> None:
    line, tasks = Line(), workload(400, dialect=dialect)
    report = played(line.call, *tasks, dialect=dialect, replay=replay)

    assert len(report.done) == 400
    assert report.attempts == {1: 400}
    assert difference(line.application.store, expected_directory(tasks, report.done)) == []
    assert set(line.application.executions.values()) == {1}
    assert ("PATCH" in line.methods) == (dialect == "oin")


@pytest.mark.parametrize(
    ("dialect", "kind", "methods"),
    [
        ("oin", Kind.UPDATE_PROFILE, "GET PUT"),
        ("oin", Kind.DEACTIVATE, "PATCH"),
        ("oin", Kind.REACTIVATE, "GET PATCH"),
        ("aiw", Kind.DEACTIVATE, "GET PUT"),
        ("aiw", Kind.REACTIVATE, "GET GET PUT"),
    ],
)
def test_a_change_of_a_user_takes_these_calls(dialect: Dialect, kind: Kind, methods: str) -> None:
    line = Line()
    played(line.call, CREATE_BO, Task("t2", kind, CREATE_BO.subject, "Bo Berg", after=("t1",)), dialect=dialect)

    assert line.methods == f"GET POST {methods}"


@pytest.mark.parametrize(
    ("dialect", "kind", "methods"),
    [
        ("oin", Kind.ADD_MEMBER, "GET POST PATCH PATCH PATCH"),  # the name goes along, in a PATCH of its own
        ("oin", Kind.RENAME_GROUP, "GET POST PATCH PATCH"),
        ("oin", Kind.DELETE_GROUP, "GET POST PATCH DELETE"),
        ("aiw", Kind.ADD_MEMBER, "GET POST GET PUT GET PUT"),
        ("aiw", Kind.RENAME_GROUP, "GET POST GET PUT GET PUT"),
        ("aiw", Kind.DELETE_GROUP, "GET POST GET PUT DELETE"),
    ],
)
def test_a_change_of_a_group_takes_these_calls(dialect: Dialect, kind: Kind, methods: str) -> None:
    line = Line()
    group = Task("t2", Kind.CREATE_GROUP, "staff", after=("t1",))
    members = (CREATE_BO.subject,) if kind is Kind.ADD_MEMBER else ()
    change = Task("t3", kind, "staff", "crew", members, after=("t2",))
    tasks = (CREATE_BO, group, change)
    report = played(line.call, *tasks, dialect=dialect)

    assert line.methods == f"GET POST {methods}"
    assert difference(line.application.store, expected_directory(tasks, report.done)) == []


def test_a_user_who_is_found_is_written_over() -> None:
    line = Line()
    line.application.store.users.add({"userName": CREATE_BO.subject, "active": False})
    played(line.call, CREATE_BO)

    assert line.methods == "GET PUT"
    assert next(iter(line.application.store.users))["active"] is True


def test_a_conflict_is_taken_for_found_after_all() -> None:
    line = Line(ready={2: (409, {}, b"{}")})
    report = played(line.call, CREATE_BO)

    assert line.methods == "GET POST GET"
    assert report.failed_by_ending == {409: 1}  # nobody was there: somebody lied


def test_a_task_that_comes_back_begins_again() -> None:
    line = Line(ready={2: too_busy("60"), 4: too_busy("7")})
    report = played(line.call, CREATE_BO)

    assert line.methods == "GET POST GET POST GET POST"
    assert line.times == [0, 0, 60, 60, 180, 180]
    assert report.attempts == {3: 1}


@pytest.mark.parametrize(("replay", "sent"), [("stored", False), ("reread", True)])
def test_what_is_replayed_is_the_first_body_or_a_fresh_one(replay: Replay, sent: bool) -> None:
    """Somebody changes the user while Okta waits to send its merged profile again."""
    line = Line()
    update = Task("t2", Kind.UPDATE_PROFILE, CREATE_BO.subject, "Bo Berg", after=("t1",))
    line.ready = {4: too_busy("60")}

    async def call(method: str, target: str, fields: Mapping[str, str], body: bytes) -> Answer:
        if len(line.calls) == 4:
            (user,) = line.application.store.users.named(CREATE_BO.subject)
            user["title"] = "Dr"
        return await line.call(method, target, fields, body)

    played(call, CREATE_BO, update, replay=replay)
    assert ("title" in json.loads(line.bodies[-1])) is sent


@pytest.mark.parametrize(("replay", "members"), [("stored", 1), ("reread", 2)])
def test_a_stored_list_of_members_undoes_a_later_one(replay: Replay, members: int) -> None:
    """Okta's own hazard: no gateway can see that the older list came last."""
    ada = Task("t2", Kind.CREATE_USER, "ada@example.com", "Ada Berg")
    group = Task("t3", Kind.CREATE_GROUP, "staff", after=("t1", "t2"))
    add_bo = Task("t4", Kind.ADD_MEMBER, "staff", "", (CREATE_BO.subject,), after=("t3",))
    later = Task("t5", Kind.UPDATE_PROFILE, ada.subject, "Ada Lund", after=("t3",))
    add_ada = Task("t6", Kind.ADD_MEMBER, "staff", "", (ada.subject,), after=("t5",))
    application = Application()

    async def call(method: str, target: str, fields: Mapping[str, str], body: bytes) -> Answer:
        if fields["X-Request-Id"] == "t4.1.1":
            return too_busy("60")
        return await application.handle("node-1", method, target, fields, body)

    report = played(call, CREATE_BO, ada, group, add_bo, later, add_ada, dialect="aiw", replay=replay)
    assert len(report.done) == 6
    assert len(members_of(next(iter(application.store.groups)))) == members


def test_a_deletion_whose_answer_was_lost_is_found_done() -> None:
    tasks = (Task("t1", Kind.CREATE_GROUP, "staff"), Task("t2", Kind.DELETE_GROUP, "staff", after=("t1",)))
    line = Line()

    async def call(method: str, target: str, fields: Mapping[str, str], body: bytes) -> Answer:
        answer = await line.call(method, target, fields, body)
        return too_busy("60") if answer[0] == 204 else answer

    assert played(call, *tasks).done == {"t1", "t2"}
    assert line.methods.endswith("DELETE DELETE")


@pytest.mark.parametrize("dialect", ["oin", "aiw"])
@pytest.mark.parametrize("replay", ["stored", "reread"])
def test_a_day_with_an_outage_leaves_the_expected_directory(dialect: Dialect, replay: Replay) -> None:
    application = Application(schedule=Schedule((Outage(NOW + 2, NOW + 1200, State.DOWN),)))
    tasks = workload(400, dialect=dialect)
    report = played(StubGateway(application).call, *tasks, dialect=dialect, replay=replay)

    assert len(report.done) == 400
    assert max(report.attempts) > 2
    assert difference(application.store, expected_directory(tasks, report.done)) == []


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_any_other_failure_is_for_good(status: int) -> None:
    deactivate = Task("t2", Kind.DEACTIVATE, CREATE_BO.subject, after=("t1",))
    line = Line(ready={3: (status, {"Retry-After": "60"}, b"{}")})
    report = played(line.call, CREATE_BO, deactivate, Task("t3", Kind.REACTIVATE, "bo@example.com", after=("t2",)))

    assert [(each.task.id, each.ending, each.attempts) for each in report.failed] == [("t2", status, 1)]
    assert (report.done, report.blocked) == ({"t1"}, {"t3"})


def test_a_minute_of_silence_is_for_good() -> None:
    application = Application(slow_seconds=600, schedule=Schedule((Outage(NOW, NOW + 9999, State.SLOW),)))
    report = played(Line(application).call, CREATE_BO)

    assert report.failed_by_ending == {"no answer": 1}
    assert report.seconds == pytest.approx(60)


def test_members_are_lost_where_the_application_does_not_lock() -> None:
    line, tasks = Line(Application(locks=False)), workload(400)
    report = played(line.call, *tasks)

    assert len(report.done) == 400
    assert any(
        "is missing" in each for each in difference(line.application.store, expected_directory(tasks, report.done))
    )


def after_an_outage(
    tasks: int,
    *,
    retry_after: RetryAfter = spread,
    limited_retry_after: RetryAfter | None = None,
    law: Law = "documented",
    tasks_per_second: float = 50.0,
) -> Report:
    """So many creations into an outage of four hours, behind a gateway that takes 50 requests a second.

    Its burst is 200 for 10,000 tasks, and in proportion for fewer.
    """
    gateway = StubGateway(outage(4), retry_after, limited_retry_after, Limiter(50, tasks // 50), places=32)
    made = creations(tasks)
    report = played(gateway.call, *made, law=law, tasks_per_second=tasks_per_second)
    assert difference(gateway.application.store, expected_directory(made, report.done)) == []
    assert set(gateway.application.executions.values()) <= {1}
    return report


@pytest.mark.parametrize("tasks", SIZES)
def test_a_spread_retry_after_loses_nothing_in_four_hours(tasks: int) -> None:
    report = after_an_outage(tasks)

    assert len(report.done) == tasks
    assert max(report.attempts) <= 9


@pytest.mark.parametrize("tasks", SIZES)
def test_a_constant_retry_after_brings_the_herd_back_together(tasks: int) -> None:
    """Evenly spaced as they were made, lookups take every place of the limiter, and every create is refused."""
    report = after_an_outage(tasks, retry_after=constant(60))

    assert len(report.failed) > tasks / 2


@pytest.mark.parametrize("tasks", SIZES)
def test_a_limiter_that_says_one_second_loses_the_tasks_it_meets_first(tasks: int) -> None:
    report = after_an_outage(tasks, limited_retry_after=constant(1), tasks_per_second=100)

    assert len(report.failed) > tasks / 3


@pytest.mark.parametrize("tasks", SIZES)
def test_if_the_latest_header_wins_four_hours_are_too_long(tasks: int) -> None:
    report = after_an_outage(tasks, law="latest-header")

    assert len(report.failed) == tasks
    assert report.seconds < 9 * 120 + tasks / 50 + 1
