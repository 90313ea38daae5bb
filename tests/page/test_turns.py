"""Whose request is worked on next."""

from __future__ import annotations

import asyncio

from repoint.page.auth.turns import Turns
from tests.loop import run_in_loop, settle


def served(arrivals: list[int], *, privileged: int = 0) -> list[list[int]]:
    """Return whose requests are worked on together, until all of them are done."""

    async def run() -> list[list[int]]:
        turns = Turns(lambda uid: uid == privileged)
        inside: list[int] = []
        go_on = asyncio.Event()

        async def request(uid: int) -> None:
            async with turns.turn(uid):
                inside.append(uid)
                await go_on.wait()

        tasks = []
        for uid in arrivals:
            tasks.append(asyncio.create_task(request(uid)))
            async with asyncio.timeout(30):
                while turns.pending + inside.count(privileged) < len(tasks):
                    await asyncio.sleep(0.001)
            await settle()
        rounds = []
        while inside:
            rounds.append(sorted(inside))
            inside.clear()
            released, go_on = go_on, asyncio.Event()
            released.set()
            await settle()
        await asyncio.gather(*tasks)
        return rounds

    return run_in_loop(run())


def test_an_administrator_never_waits() -> None:
    assert served([7, 7, 7, 0, 0, 8, 9, 0])[0] == [0, 0, 0, 7, 8]


def test_one_request_of_each_other_account_is_worked_on_at_a_time() -> None:
    assert served([7, 7, 7, 8]) == [[7, 8], [7], [7]]


def test_an_account_with_many_requests_does_not_go_before_another() -> None:
    assert served([7, 7, 7, 7, 8, 9]) == [[7, 8], [7, 9], [7], [7]]


def test_an_account_whose_client_goes_gives_its_place_back() -> None:
    async def run() -> None:
        turns = Turns(lambda _: False)
        async with turns.turn(7):
            waiting = asyncio.create_task(turns.turn(7).__aenter__())
            async with asyncio.timeout(30):
                while turns.pending < 2:
                    await asyncio.sleep(0.001)
            await settle()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(5), turns.turn(7):
            pass

    run_in_loop(run())
