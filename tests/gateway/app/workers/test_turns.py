"""Turns of workers: one at a time, one for all that waited, and none lost with a worker."""

from functools import partial

from gateway.app.workers.turns import Asker, Turns


class Told:
    """What each worker was told of its turn."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.log: list[tuple[int, bool]] = []

    def ask(self, worker: int, name: bytes = b"model", question: int = 1) -> None:
        self.turns.ask(name, Asker(worker, question), partial(self._note, worker))

    def end(self, worker: int, *, is_used: bool, question: int = 1) -> None:
        self.turns.end(b"model", Asker(worker, question), is_used=is_used)

    def _note(self, worker: int, is_ours: bool) -> None:
        self.log.append((worker, is_ours))


def test_those_who_wait_need_none_once_one_was_used():
    told = Told()
    for worker in (1, 2, 3):
        told.ask(worker)
    assert told.log == [(1, True)]
    told.end(1, is_used=True)
    assert told.log == [(1, True), (2, False), (3, False)]
    told.ask(2)  # later: a turn of its own
    assert told.log[-1] == (2, True)


def test_a_turn_that_was_not_used_goes_to_the_next():
    told = Told()
    for worker in (1, 2, 3):
        told.ask(worker)
    told.end(1, is_used=False)
    assert told.log == [(1, True), (2, True)]
    told.end(2, is_used=True)
    assert told.log[2:] == [(3, False)]


def test_turns_of_other_names_are_apart():
    told = Told()
    told.ask(1)
    told.ask(2, b"another")
    assert told.log == [(1, True), (2, True)]


def test_what_others_say_of_a_turn_changes_nothing():
    told = Told()
    told.end(1, is_used=True)
    told.ask(1)
    told.ask(2)
    told.end(2, is_used=True)
    assert told.log == [(1, True)]


def test_a_worker_that_is_gone_has_and_wants_no_turn():
    told = Told()
    for worker in (1, 2, 3):
        told.ask(worker)
    told.turns.forget(2)
    assert told.log == [(1, True)]
    told.turns.forget(1)
    assert told.log == [(1, True), (3, True)]
    told.turns.forget(3)
    told.ask(1)
    assert told.log[-1] == (1, True)


def test_a_wait_that_is_given_up_is_over():
    told = Told()
    for worker in (1, 2, 3):
        told.ask(worker)
    told.end(2, is_used=False)
    told.end(1, is_used=False)
    assert told.log == [(1, True), (3, True)]


def test_the_end_of_an_earlier_turn_does_not_end_the_next_of_the_same_worker():
    told = Told()
    told.ask(2, question=1)
    told.end(2, question=1, is_used=False)  # given up, while the answer was under way
    told.ask(2, question=2)
    told.ask(3)
    told.end(2, question=1, is_used=False)  # once more, for that answer
    assert told.log == [(2, True), (2, True)]
    told.end(2, question=2, is_used=True)
    assert told.log[2:] == [(3, False)]
