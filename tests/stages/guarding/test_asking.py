"""When the guard asks who is in a group, and what it makes of the answer: it never guesses low."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.exchange import Delivery, Verdict
from gateway.refusal import Reason, Refusal
from gateway.scim.documents import Document, JsonValue
from tests.stages.guarding.building import FEW, Scene, answered, group, listed, patch, unanswered

AGAIN = "/Groups/g?attributes=displayName,members"
BARE: Document = {"id": "g", "displayName": "jira-users"}
SHORTER = {"displayName": "jira-users", "members": listed("a")}
EMPTY = patch("replace", "members", [])
Write = tuple[str, str, Mapping[str, object] | None]


@pytest.mark.parametrize(
    ("write", "asked"),
    [
        (("PATCH", "/Groups/g", patch("remove", 'members[value eq "a"]')), []),
        (("PATCH", "/Groups/g", patch("remove", "members", listed("a", "b"))), []),
        (("PATCH", "/Groups/g", patch("add", "members", listed("a"))), []),
        (("DELETE", "/Users/a", None), []),
        (("PATCH", "/Groups/g", patch("remove", "members")), ["/Groups/g"]),
        (("PATCH", "/Groups/g", EMPTY), ["/Groups/g"]),
        (("PUT", "/Groups/g", SHORTER), ["/Groups/g"]),
        (("DELETE", "/Groups/g", None), ["/Groups/g"]),
        (("DELETE", "/Groups/a%20b", None), ["/Groups/a%20b"]),
    ],
)
async def test_the_upstream_is_asked_once_and_only_when_the_difference_tells(write: Write, asked: list[str]) -> None:
    scene = Scene([answered(200, group("a", "b"))])
    await scene.weigh(*write)

    assert scene.asked == asked


@pytest.mark.parametrize(
    ("write", "lost"),
    [
        (("PATCH", "/Groups/g", EMPTY), ("a", "b", "c")),
        (("DELETE", "/Groups/g", None), ("a", "b", "c")),
        (("PUT", "/Groups/g", SHORTER), ("b", "c")),
        (("PUT", "/Groups/g", {"displayName": "x", "members": listed("a", "b", "c", "d")}), ()),
    ],
)
async def test_those_are_counted_who_are_in_the_group_and_would_not_be(write: Write, lost: tuple[str, ...]) -> None:
    scene = Scene([answered(200, group("a", "b", "c"))])
    judgement = await scene.judged(*write)

    assert (judgement.lost, judgement.loss, judgement.verdict) == (lost, "removed", Verdict.PASS)
    assert len(scene.keeper.kinds()) == bool(lost)


async def test_a_group_of_many_is_a_wave_of_its_own() -> None:
    scene = Scene([answered(200, group(*(str(number) for number in range(300))))])
    judgement = await scene.judged("DELETE", "/Groups/g")

    assert (judgement.reason, judgement.counted) == (Reason.GUARD_HELD, 300)


async def test_a_group_shown_without_members_is_asked_for_by_them_once_more() -> None:
    scene = Scene([answered(200, BARE), answered(200, group("a", "b", "c", "d"))])
    judgement = await scene.judged("DELETE", "/Groups/g")

    assert scene.asked == ["/Groups/g", AGAIN]
    assert judgement.reason is Reason.GUARD_HELD


@pytest.mark.parametrize("members", [[], None])
async def test_a_group_that_has_no_members_loses_nobody(members: list[JsonValue] | None) -> None:
    scene = Scene([answered(200, BARE | {"members": members})] * 2)

    assert (await scene.judged("DELETE", "/Groups/g")).lost == ()
    assert scene.asked == ["/Groups/g", AGAIN]


async def test_a_group_shown_with_an_empty_list_is_asked_for_by_its_members_once_more() -> None:
    """Some show the list, and nobody in it, unless they are asked for it by name."""
    scene = Scene([answered(200, BARE | {"members": []}), answered(200, group("a", "b", "c", "d"))])

    assert (await scene.judged("DELETE", "/Groups/g")).reason is Reason.GUARD_HELD


@pytest.mark.parametrize("first", [BARE, BARE | {"members": []}], ids=["no list", "an empty list"])
@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (answered(400, {"status": "400", "detail": "no"}), Reason.UPSTREAM_NOT_SCIM),
        (answered(404, {"status": "404", "detail": "no"}), Reason.UPSTREAM_NOT_SCIM),
        (answered(200, {"totalResults": 0}), Reason.UPSTREAM_NOT_SCIM),
        (unanswered(Reason.UPSTREAM_BUSY, status=429), Reason.UPSTREAM_BUSY),
    ],
    ids=["refused", "not found", "no group", "busy"],
)
async def test_a_server_that_refuses_the_second_question_has_not_said_nobody(
    first: Document, second: Delivery, reason: Reason
) -> None:
    """Taken for an answer, a group of thousands would go uncounted."""
    scene = Scene([answered(200, first), second])

    with pytest.raises(Refusal) as refused:
        await scene.weigh("DELETE", "/Groups/g")
    assert refused.value.reason is reason
    assert scene.keeper.kinds() == []


async def test_a_group_that_is_not_there_loses_nobody() -> None:
    scene = Scene([answered(404, {"status": "404", "detail": "no"})])
    judgement = await scene.judged("DELETE", "/Groups/g")

    assert (judgement.verdict, judgement.lost, scene.asked) == (Verdict.PASS, (), ["/Groups/g"])


UNREADABLE: list[Document] = [
    {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 1, "Resources": []},
    {"totalResults": 0},
    {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]},
    {"id": 7},
    BARE | {"members": {"value": "a"}},
    BARE | {"members": "a"},
    BARE | {"members": ["a"]},
    BARE | {"members": [{"display": "Ada"}]},
    BARE | {"members": [{"value": 7}]},
    BARE | {"members": [{"value": "a"}, None]},
]


@pytest.mark.parametrize("write", [("DELETE", None), ("PUT", SHORTER), ("PATCH", EMPTY)], ids=lambda write: write[0])
@pytest.mark.parametrize("document", UNREADABLE, ids=str)
async def test_an_answer_of_which_nobody_can_tell_who_is_in_the_group_lets_nothing_pass(
    write: tuple[str, Mapping[str, object] | None], document: Document
) -> None:
    scene = Scene([answered(200, document)] * 2)

    with pytest.raises(Refusal) as refused:
        await scene.weigh(write[0], "/Groups/g", write[1])
    assert refused.value.reason is Reason.UPSTREAM_NOT_SCIM
    assert scene.keeper.kinds() == []


@pytest.mark.parametrize("status", [204, 304, 400, 500, 501])
async def test_a_status_that_tells_of_no_group_lets_nothing_pass(status: int) -> None:
    scene = Scene([answered(status)] * 2)

    with pytest.raises(Refusal, match="upstream-not-scim"):
        await scene.weigh("DELETE", "/Groups/g")


@pytest.mark.parametrize(
    "reason",
    [
        Reason.UPSTREAM_UNREACHABLE,
        Reason.UPSTREAM_TIMEOUT,
        Reason.UPSTREAM_UNAVAILABLE,
        Reason.UPSTREAM_NOT_SCIM,
        Reason.UPSTREAM_CREDENTIAL,
        Reason.QUEUE_TIMEOUT,
        Reason.CLIENT_GONE,
    ],
    ids=lambda reason: reason.slug,
)
@pytest.mark.parametrize("which", [0, 1])
async def test_an_upstream_that_does_not_answer_is_unavailable_for_its_own_reason(reason: Reason, which: int) -> None:
    scene = Scene([answered(200, BARE)] * which + [unanswered(reason)])

    with pytest.raises(Refusal) as refused:
        await scene.weigh("DELETE", "/Groups/g")
    assert refused.value.reason is reason
    assert "who is in the group" in refused.value.note
    assert scene.keeper.kinds() == []


@pytest.mark.parametrize(
    "delivery",
    [unanswered(Reason.UPSTREAM_TIMEOUT), answered(501), answered(200, {"totalResults": 0})],
    ids=["silent", "unable", "no group"],
)
async def test_a_guard_that_only_observes_stands_in_nobodys_way_when_it_cannot_tell(delivery: Delivery) -> None:
    scene = Scene([delivery], guard=FEW | {"mode": "observe"})
    judgement = await scene.judged("DELETE", "/Groups/g")

    assert (judgement.verdict, judgement.loss, judgement.lost) == (Verdict.PASS, "removed", ())
    assert judgement.refusal() is None
    assert "who is in the group" in judgement.note


# Exempt groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "asked"),
    [
        (("DELETE", "/Groups/g", None), "/Groups/g"),
        (("PUT", "/Groups/g", SHORTER), "/Groups/g"),
        (("PATCH", "/Groups/g", patch("remove", "members")), "/Groups/g"),
        (("PATCH", "/Groups/g", patch("remove", "members", listed(*"abcdefgh"))), "/Groups/g?attributes=displayName"),
    ],
    ids=["DELETE", "PUT", "PATCH of all", "PATCH of some"],
)
@pytest.mark.parametrize(("name", "is_id"), [("g", True), ("jira-users", False)])
async def test_whoever_leaves_an_exempt_group_counts_nowhere(write: Write, asked: str, name: str, is_id: bool) -> None:
    scene = Scene([answered(200, group(*"abcdefgh"))], guard=FEW | {"exempt_groups": [name]})
    judgement = await scene.judged(*write)

    assert (judgement.verdict, judgement.reason, judgement.reservation) == (Verdict.EXEMPT, None, None)
    assert (scene.asked, scene.keeper.kinds()) == ([] if is_id else [asked], [])


@pytest.mark.parametrize("names", [["JIRA-users"], ["jira"], ["G"], ["other"]])
async def test_a_group_of_another_name_is_not_exempt(names: list[str]) -> None:
    scene = Scene([answered(200, group(*"abcd"))], guard=FEW | {"exempt_groups": names})

    assert (await scene.judged("DELETE", "/Groups/g")).reason is Reason.GUARD_HELD


async def test_a_group_is_exempt_by_the_name_it_has_and_not_by_the_one_it_is_given() -> None:
    scene = Scene([answered(200, group(*"abcd"))], guard=FEW | {"exempt_groups": ["guests"]})
    judgement = await scene.judged("PUT", "/Groups/g", {"displayName": "guests", "members": []})

    assert judgement.reason is Reason.GUARD_HELD


async def test_a_user_is_never_exempt() -> None:
    scene = Scene(guard=FEW | {"exempt_groups": ["a"]})

    assert (await scene.judged("DELETE", "/Users/a")).verdict is Verdict.PASS
    assert scene.keeper.kinds() == ["flight"]
