"""Places: so many requests at once, and a place given back is a place."""

from __future__ import annotations

from gateway.state.places import Places


async def test_a_place_is_taken_until_it_is_given_back() -> None:
    places = Places()

    assert await places.take("a", 1)
    assert not await places.take("a", 1)
    assert await places.take("b", 1)
    await places.give_back("a")
    assert await places.take("a", 1)


async def test_a_lower_limit_counts_at_once_and_loses_no_place() -> None:
    places = Places()
    for _ in range(3):
        await places.take("a", 3)

    assert not await places.take("a", 2)
    for _ in range(3):
        await places.give_back("a")
    assert places.taken["a"] == 0
