"""Okta's provisioning tasks, and the law by which a refused one comes back. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Law = Literal["documented", "latest-header"]
Dialect = Literal["oin", "aiw"]
Replay = Literal["stored", "reread"]

MAX_ATTEMPTS = 10
DEFAULT_WAIT_SECONDS = 300


class Kind(Enum):
    """What a task is to bring about."""

    CREATE_USER = "create user"
    UPDATE_PROFILE = "update profile"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    CREATE_GROUP = "create group"
    ADD_MEMBER = "add member"
    REMOVE_MEMBER = "remove member"
    RENAME_GROUP = "rename group"
    DELETE_GROUP = "delete group"


@dataclass(frozen=True, slots=True)
class Task:
    """One task in Okta's queue.

    `subject` is the userName, or the name under which the group was created, whatever it is called later.
    Okta makes the task only after those in `after` succeeded; no other order is promised.
    """

    id: str  # without a dot: `t00042`
    kind: Kind
    subject: str
    display_name: str = ""  # the person's, or a group's new one
    members: tuple[str, ...] = ()  # userNames
    after: tuple[str, ...] = ()


def wait_seconds(law: Law, retry_afters: Sequence[str | None]) -> int | None:
    """How long a task pauses after its latest 429; None when that was the last attempt.

    `retry_afters` are the Retry-After fields of all its 429s so far, None where there was none. "documented" doubles
    the first one at each attempt; by "latest-header" the latest is taken as it is.
    """
    if len(retry_afters) >= MAX_ATTEMPTS:
        return None
    match law:
        case "documented":
            return _whole_seconds(retry_afters[0]) << (len(retry_afters) - 1)
        case "latest-header":
            return _whole_seconds(retry_afters[-1])


def _whole_seconds(retry_after: str | None) -> int:
    if retry_after is None or not re.fullmatch("[0-9]+", retry_after):
        return DEFAULT_WAIT_SECONDS
    return int(retry_after)
