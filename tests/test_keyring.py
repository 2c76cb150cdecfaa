"""The keyring: what operators may do with credentials while the gateway runs, and what is told and kept of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.journal import Journal, JournalUnavailable, Line, written_out
from gateway.keyring import Keyring
from gateway.metrics import Metrics
from gateway.refusal import Refusal
from gateway.server.control import ControlRefused, User
from gateway.settings.models import Settings
from gateway.stages.identity import CredentialIndex
from gateway.stages.recording import Recording
from gateway.state.credentials import token_fingerprint
from gateway.state.last_use import LastUse, Use
from gateway.wire.fields import Fields
from tests.state.disks import no_file_grows_beyond
from tests.test_metrics import samples
from tests.worlds import NOW, TOKEN, settings, sha256, tenant

ANNA = User(1000, "anna")
DAY = 86_400.0
EXPIRY = "credential_expiry_timestamp_seconds"


class Notices(Journal):
    """Keeps what it is told in memory, unless it fails; too slow, it keeps a line and fails all the same.

    `opened` is what opened the gateway when each line came.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(Path("/nonexistent"))
        self.lines: list[dict[str, Any]] = []
        self.opened: list[set[str]] = []
        self.is_failing = self.is_slow = False
        self.fails_after: int | None = None  # so many lines
        self._seat = seat

    async def append(self, line: Line, *, vital: bool = False) -> None:
        if self.is_failing or len(self.lines) == self.fails_after:
            raise JournalUnavailable("the disk is full")
        self.lines.append(json.loads(written_out(line)))
        self.opened.append(self._seat.open_names())
        if self.is_slow:
            raise JournalUnavailable("the disk took longer than 5 s")


@dataclass(slots=True)
class Seat:
    """An instance that is not running, with its keyring."""

    directory: Path
    settings: Settings = field(default_factory=settings)
    last_use: LastUse = field(default_factory=LastUse)
    now: float = NOW
    journal: Notices = field(init=False)
    metrics: Metrics = field(init=False)
    recording: Recording = field(init=False)
    keyring: Keyring = field(init=False)
    index: CredentialIndex = field(init=False)

    def __post_init__(self) -> None:
        self.settings = self.settings.model_copy(
            update={"gateway": self.settings.gateway.model_copy(update={"state_directory": self.directory})}
        )
        self.journal, self.metrics = Notices(self), Metrics(self.settings.tenants, version="1")
        self.recording = Recording(self.journal, self.metrics, instance="gw-1", now=lambda: self.now)
        self.keyring = Keyring(self, lambda: self.now)

    def renew_pipeline(self) -> None:
        self.index = self.keyring.index(self.settings)

    def use(self, *credentials: Mapping[str, object]) -> None:
        """Reload: these are jira's credentials now; none: there is no jira."""
        jira = {"jira": tenant(credentials=list(credentials))} if credentials else {}
        wiki = tenant(path="/scim/wiki/v2", credentials=[{"name": "wiki", "token_sha256": sha256("wiki")}])
        self.settings = self.settings.model_copy(update={"tenants": {**jira, "wiki": wiki}})
        self.renew_pipeline()
        self.keyring.note_settings_in_use()

    async def ask(self, command: str, **words: object) -> Mapping[str, Any]:
        """As over the control socket: what is asked and answered is JSON."""
        told: Mapping[str, Any] = {"tenant": "jira", **words}
        answer = await self.keyring.handlers[command](json.loads(json.dumps(told)), ANNA)
        read: Mapping[str, Any] = orjson.loads(orjson.dumps(answer))
        return read

    async def new(self, name: str | None = "new", token: str = "a-token", **words: object) -> Mapping[str, Any]:
        wish = {"name": name, "token_sha256": sha256(token), "expires_at": self.now + 365 * DAY}
        return await self.ask("token.new", **(wish | words))

    async def rotate(self, name: str = "okta-2027", token: str = "a-successor", **words: object) -> Mapping[str, Any]:
        wish = {"token_sha256": sha256(token), "expires_at": self.now + 365 * DAY, "overlap_seconds": 7 * DAY}
        return await self.ask("token.rotate", name=name, **(wish | words))

    async def refused(self, command: str, **words: object) -> str:
        with pytest.raises(ControlRefused) as refused:
            await self.ask(command, **words)
        return str(refused.value)

    def lets_in(self, token: str, tenant_name: str = "jira") -> str | None:
        """By which credential."""
        try:
            return self.index.find(Fields((("Authorization", f"Bearer {token}"),)), tenant_name, self.now).name
        except Refusal:
            return None

    def open_names(self) -> set[str]:
        tokens = (TOKEN, "a-token", "a-successor")
        return {name for name in (self.lets_in(token) for token in tokens) if name is not None}

    def notices(self) -> list[dict[str, Any]]:
        return [{"notice": line["notice"], **line["details"]} for line in self.journal.lines]


@asynccontextmanager
async def seat(directory: Path, now: float = NOW) -> AsyncIterator[Seat]:
    built = Seat(directory, now=now)
    async with built.keyring.keeper:
        built.renew_pipeline()
        built.keyring.note_settings_in_use()
        yield built


async def test_a_new_token_opens_at_once_and_after_a_restart(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        before = it.lets_in("a-token")
        answer = await it.new()

        assert (before, it.lets_in("a-token")) == (None, "new")
        assert it.lets_in(TOKEN) == "okta-2027", "the one of the settings goes on"
        assert it.lets_in("a-token", "wiki") is None
    async with seat(tmp_path) as it:
        assert it.lets_in("a-token") == "new"
    assert answer == {"tenant": "jira", "name": "new", "expires_at": NOW + 365 * DAY}


async def test_a_token_without_a_name_is_called_after_the_client_and_the_month(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        names = [(await it.new(None, token))["name"] for token in ("a", "b")]

    assert names == ["okta-2027-01", "okta-2027-01-2"]


async def test_a_rotation_lets_both_in_until_the_old_ones_date(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        answer = await it.rotate(overlap_seconds=2 * DAY)
        during = it.lets_in(TOKEN), it.lets_in("a-successor")
        it.now += 2 * DAY
        after = it.lets_in(TOKEN), it.lets_in("a-successor")

    assert (during, after) == (("okta-2027", "okta-2027-01"), (None, "okta-2027-01"))
    assert answer == {
        "tenant": "jira", "name": "okta-2027-01", "expires_at": NOW + 365 * DAY,
        "replaces": "okta-2027", "replaced_ends_at": NOW + 2 * DAY,
    }  # fmt: skip


async def test_a_rotated_one_is_given_more_time_after_its_date(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        await it.rotate(overlap_seconds=DAY)
        it.now += 3 * DAY
        shut = it.lets_in(TOKEN)
        answer = await it.ask("token.extend", name="okta-2027", overlap_seconds=DAY)

        assert (shut, it.lets_in(TOKEN)) == (None, "okta-2027")
        assert answer == {"tenant": "jira", "name": "okta-2027", "ends_at": NOW + 4 * DAY}
        assert it.notices()[-1]["ends"] == "2027-01-19T08:00:00Z"


async def test_a_revoked_one_opens_nothing_whatever_the_settings_say_later(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        await it.new()
        answer = await it.ask("token.revoke", name="okta-2027", reason="leaked")
        shut = it.lets_in(TOKEN)
        it.use({"name": "renamed", "token_sha256": sha256(TOKEN)})

        assert (shut, it.lets_in(TOKEN), it.lets_in("a-token")) == (None, None, "new")
    async with seat(tmp_path) as it:
        assert it.lets_in(TOKEN) is None
    assert answer == {"tenant": "jira", "name": "okta-2027", "is_in_settings": True, "is_on_record": True}


async def test_a_clock_that_goes_back_opens_no_revoked_one_before_or_after_a_restart(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        await it.ask("token.revoke", name="okta-2027", yes=True)
        it.now -= 3600
        it.renew_pipeline()
        before = it.lets_in(TOKEN)
    async with seat(tmp_path, now=NOW - 3600) as it:
        after = it.lets_in(TOKEN)

        assert (before, after) == (None, None)
        assert [one["state"] for one in (await it.ask("token.list"))["credentials"]] == ["revoked"]


# On record ------------------------------------------------------------------------------------------


async def test_every_act_is_on_record_with_its_user_before_it_takes_effect(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        await it.new()
        await it.rotate("new")
        await it.ask("token.extend", name="new", overlap_seconds=DAY)
        await it.ask("token.revoke", name="okta-2027", reason="leaked")
        by = {"tenant": "jira", "by": "anna", "uid": 1000}

        assert it.notices() == [
            {
                "notice": "credential-added", "credential": "new", "form": "token",
                "expires": "2028-01-15T08:00:00Z", **by,
            },
            {
                "notice": "credential-rotated", "credential": "new", "ends": "2027-01-22T08:00:00Z",
                "successor": "new-2027-01", "expires": "2028-01-15T08:00:00Z", **by,
            },
            {"notice": "credential-extended", "credential": "new", "ends": "2027-01-16T08:00:00Z", **by},
            {"notice": "credential-revoked", "credential": "okta-2027", "reason": "leaked", **by},
        ]  # fmt: skip
        assert it.journal.opened == [
            {"okta-2027"},
            {"okta-2027", "new"},
            {"okta-2027", "new", "new-2027-01"},
            {"okta-2027", "new", "new-2027-01"},
        ]
        assert it.open_names() == {"new", "new-2027-01"}


ACTS: list[tuple[str, dict[str, object]]] = [
    ("token.new", {"name": "x", "token_sha256": sha256("a-token"), "expires_at": NOW + DAY}),
    (
        "token.rotate",
        {"name": "okta-2027", "token_sha256": sha256("a-token"), "expires_at": NOW + DAY, "overlap_seconds": DAY},
    ),
]


@pytest.mark.parametrize(("command", "words"), ACTS)
async def test_what_cannot_be_put_on_record_does_not_happen(
    tmp_path: Path, command: str, words: dict[str, object]
) -> None:
    async with seat(tmp_path) as it:
        it.journal.is_failing = True
        said = await it.refused(command, **words)

        assert "must be on record first" in said
        assert it.open_names() == {"okta-2027"}
        assert it.keyring.keeper.book.ends == {}


@pytest.mark.parametrize(("command", "words"), ACTS)
async def test_what_cannot_be_kept_does_not_happen_and_the_record_says_so(
    tmp_path: Path, command: str, words: dict[str, object]
) -> None:
    async with seat(tmp_path) as it:
        with no_file_grows_beyond(4096):
            said = await it.refused(command, **words)
        assert said.startswith("nothing was changed, and the record says so: the file of credentials")
        assert it.open_names() == {"okta-2027"}
        assert it.notices()[-1]["notice"] == "credential-change-failed"
        assert it.notices()[-1]["change"] == it.notices()[0]["notice"]
    async with seat(tmp_path) as it:
        assert it.open_names() == {"okta-2027"}


async def test_a_revocation_takes_effect_although_it_cannot_be_kept(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        with no_file_grows_beyond(4096):
            said = await it.refused("token.revoke", name="okta-2027", yes=True)

        assert said.startswith("it is revoked, but a restart would forget it for now")
        assert it.lets_in(TOKEN) is None


# What is owed to the record -------------------------------------------------------------------------

REVOKED_LATE = {
    "notice": "credential-revoked", "tenant": "jira", "by": "anna", "uid": 1000, "credential": "okta-2027",
    "reason": "leaked", "decided": "2027-01-15T08:00:00Z",
}  # fmt: skip


async def revoke_without_a_record(it: Seat) -> Mapping[str, Any]:
    it.journal.is_failing = True
    return await it.ask("token.revoke", name="okta-2027", reason="leaked", yes=True)


async def test_a_revocation_that_cannot_be_recorded_takes_effect_and_is_recorded_later(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        answer = await revoke_without_a_record(it)
        shut = it.lets_in(TOKEN)
        await it.keyring.tend()
        it.journal.is_failing = False
        it.now += 60
        await it.keyring.tend()
        await it.keyring.tend()

        assert (answer["is_on_record"], shut) == (False, None)
        assert it.notices() == [REVOKED_LATE]
    async with seat(tmp_path) as it:
        await it.keyring.tend()
        assert it.notices() == []


async def test_a_revocation_that_cannot_be_recorded_outlives_a_restart_and_is_recorded_after_it(
    tmp_path: Path,
) -> None:
    async with seat(tmp_path) as it:
        await revoke_without_a_record(it)
    async with seat(tmp_path, NOW + 60) as it:
        assert it.lets_in(TOKEN) is None
        await it.keyring.tend()
        assert it.notices() == [REVOKED_LATE]


async def test_a_revocation_that_can_be_neither_recorded_nor_kept_takes_effect_and_is_both_later(
    tmp_path: Path,
) -> None:
    async with seat(tmp_path) as it:
        it.journal.is_failing = True
        with no_file_grows_beyond(4096):
            said = await it.refused("token.revoke", name="okta-2027", reason="leaked", yes=True)
        shut = it.lets_in(TOKEN)
        await it.keyring.tend()

        assert said.startswith("it is revoked, but not on record yet, and a restart would forget it for now")
        assert (shut, it.keyring.keeper.problem) == (None, None)
    async with seat(tmp_path) as it:
        assert it.lets_in(TOKEN) is None
        await it.keyring.tend()
        assert it.notices() == [REVOKED_LATE]


@pytest.mark.parametrize(("command", "words"), ACTS)
async def test_an_act_whose_line_may_still_have_landed_is_told_as_failed(
    tmp_path: Path, command: str, words: dict[str, object]
) -> None:
    async with seat(tmp_path) as it:
        it.journal.is_slow = True
        await it.refused(command, **words)
        it.journal.is_slow = False
    async with seat(tmp_path) as again:
        await again.keyring.tend()
        landed, failed = it.notices()[0], again.notices()

    change = landed.pop("notice")
    assert failed == [
        {"notice": "credential-change-failed", "change": change, **landed, "decided": "2027-01-15T08:00:00Z"}
    ]


async def test_what_is_owed_is_on_record_before_the_next_act(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        it.journal.is_failing = True
        await it.refused(ACTS[0][0], **ACTS[0][1])
        await it.refused(ACTS[0][0], **ACTS[0][1])
        it.journal.is_failing = False
        await it.new()

        assert [line["notice"] for line in it.notices()] == ["credential-change-failed", "credential-added"]


async def test_a_failure_to_keep_that_cannot_be_recorded_is_recorded_later(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        it.journal.fails_after = 1
        with no_file_grows_beyond(4096):
            said = await it.refused(ACTS[0][0], **ACTS[0][1])
        it.journal.fails_after = None
        await it.keyring.tend()

        assert said.startswith("nothing was changed, and the record does not say so yet: the file of credentials")
        assert [line["notice"] for line in it.notices()] == ["credential-added", "credential-change-failed"]
    async with seat(tmp_path) as it:
        assert it.open_names() == {"okta-2027"}


# What is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words", "text"),
    [
        ("token.list", {"tenant": "jara"}, "there is no tenant jara; there are jira"),
        ("token.new", {"tenant": None}, "tenant is missing"),
        ("token.new", {"tenant": "jara", "token_sha256": "x", "expires_at": 1}, "there is no tenant jara"),
        ("token.new", {"name": 7, "token_sha256": "x", "expires_at": 1}, "name is a text"),
        ("token.new", {"name": "x", "expires_at": 1}, "token_sha256 is missing"),
        ("token.new", {"name": "x", "token_sha256": "x"}, "expires_at is a number"),
        ("token.new", {"name": "x", "token_sha256": "x", "expires_at": True}, "expires_at is a number"),
        ("token.rotate", {"name": "okta-2027"}, "overlap_seconds is a number"),
        ("token.revoke", {}, "name is missing"),
        ("token.revoke", {"name": "okta-2027"}, "is the last valid credential of jira"),
        ("token.revoke", {"name": "okta-2027", "yes": "true"}, "is the last valid credential of jira"),
        ("token.extend", {"name": "okta-2027", "overlap_seconds": 5}, "was not rotated"),
    ],
)
async def test_a_bad_word_is_named_and_nothing_is_on_record(
    tmp_path: Path, command: str, words: dict[str, object], text: str
) -> None:
    async with seat(tmp_path) as it:
        assert text in await it.refused(command, **words)
        assert it.notices() == []


async def test_of_two_rotations_at_once_one_is_refused(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        both = await asyncio.gather(it.rotate(), it.rotate(token="another"), return_exceptions=True)

        assert sum(isinstance(one, ControlRefused) for one in both) == 1
        assert [notice["notice"] for notice in it.notices()] == ["credential-rotated"]


# What is shown --------------------------------------------------------------------------------------


async def test_each_credential_is_listed_with_its_last_use_and_without_its_secret(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        await it.rotate()
        await it.last_use.remember(token_fingerprint(sha256(TOKEN)), Use(NOW - 5, "192.0.2.1"))
        answer = await it.ask("token.list", tenant="jira")
        old, new = answer["credentials"]

    assert old == {
        "tenant": "jira", "name": "okta-2027", "is_in_settings": True, "is_password": False,
        "digest_begins": sha256(TOKEN)[:12], "state": "ending",
        "ends_at": NOW + 7 * DAY, "made_at": None, "made_by": None, "replaces": None,
        "end": {
            "tenant": "jira", "name": "okta-2027", "kind": "rotated", "ends_at": NOW + 7 * DAY, "decided_at": NOW,
            "by": "anna", "successor": "okta-2027-01", "reason": "",
        },
        "last_used_at": NOW - 5, "last_used_from": "192.0.2.1",
    }  # fmt: skip
    assert (new["state"], new["made_by"], new["replaces"], new["last_used_at"]) == ("valid", "anna", "okta-2027", None)
    assert answer["counts_since"] == NOW
    assert sha256(TOKEN) not in str(answer)


async def test_the_metrics_show_it_at_once_and_forget_what_somebody_ended(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        await it.rotate()
        during = samples(it.metrics)
        await it.ask("token.revoke", name="okta-2027")
        after = samples(it.metrics)

    new, old = f"{EXPIRY}{{credential=okta-2027-01,tenant=jira}}", f"{EXPIRY}{{credential=okta-2027,tenant=jira}}"
    assert (during[new], during[old]) == (NOW + 365 * DAY, NOW + 7 * DAY)
    assert after[new] == NOW + 365 * DAY
    assert old not in after


async def test_the_end_of_an_overlap_is_told_once_and_leaves_the_metrics(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with seat(tmp_path) as it:
        await it.rotate(overlap_seconds=DAY)
        it.keyring.look()
        it.now += DAY
        it.keyring.look()
        it.keyring.look()
        shown = samples(it.metrics)

    told = [record.message for record in caplog.records if "has ended" in record.message]
    assert told == ["the credential okta-2027 has ended (rotated)"]
    assert f"{EXPIRY}{{credential=okta-2027,tenant=jira}}" not in shown


async def test_one_that_expires_by_itself_stays_in_the_metrics_for_its_alert(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        await it.new(expires_at=NOW + DAY)
        it.now += 2 * DAY
        it.keyring.look()

        assert samples(it.metrics)[f"{EXPIRY}{{credential=new,tenant=jira}}"] == NOW + DAY


async def test_a_last_use_before_the_start_is_in_the_metrics(tmp_path: Path) -> None:
    async with seat(tmp_path) as it:
        await it.last_use.remember(token_fingerprint(sha256(TOKEN)), Use(NOW - 5, "192.0.2.1"))
    async with seat(tmp_path) as it:
        assert (
            samples(it.metrics)["credential_last_used_timestamp_seconds{credential=okta-2027,tenant=jira}"] == NOW - 5
        )


async def test_last_uses_are_kept_every_minute_and_what_failed_is_tried_again_sooner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with seat(tmp_path) as it:
        await it.last_use.remember(token_fingerprint(sha256(TOKEN)), Use(NOW, "192.0.2.1"))
        with no_file_grows_beyond(4096):
            await it.keyring.tend()
            too_soon = it.keyring.keeper.problem
            it.now += 60
            await it.keyring.tend()
        failed = it.keyring.keeper.problem
        await it.keyring.tend()

        assert too_soon is None
        assert failed is not None
        assert it.keyring.keeper.problem is None
    assert "the file of credentials" in caplog.text


# Settings that change -------------------------------------------------------------------------------


async def test_a_reload_says_what_the_settings_alone_do_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with seat(tmp_path) as it:
        await it.new("same")
        await it.last_use.remember(token_fingerprint(sha256("a-token")), Use(NOW, "192.0.2.1"))
        await it.ask("token.revoke", name="okta-2027")
        caplog.clear()
        it.use(
            {"name": "okta-2027", "token_sha256": sha256(TOKEN)}, {"name": "same", "token_sha256": sha256("another")}
        )
        told = [record.message for record in caplog.records]
        open_names = it.lets_in("another"), it.lets_in("a-token")
        uses = {one["name"]: one["last_used_at"] for one in (await it.ask("token.list"))["credentials"]}
        caplog.clear()
        it.use()
        orphaned = [record.message for record in caplog.records]
        gone = await it.ask("token.list", tenant="jira")

    assert told == [
        "the credential okta-2027 of the settings opens nothing: revoked by anna, 2027-01-15T08:00:00Z; remove it",
        "the settings have another credential same: that made at run time is called same~made now",
    ]
    assert open_names == ("same", "same~made")
    assert (uses["same"], uses["same~made"]) == (None, NOW), "a use belongs to the secret"
    assert orphaned == [
        "the credential same was made at run time for a tenant that the settings do not have (any more)"
    ]
    assert [one["state"] for one in gone["credentials"]] == ["orphaned"]
