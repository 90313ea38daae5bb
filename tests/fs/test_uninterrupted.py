"""Ctrl-C during a short step arrives at its end."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from repoint.fs.uninterrupted import uninterrupted


def test_an_interrupt_arrives_at_the_end_even_if_another_thread_receives_it() -> None:
    done, ended = False, threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt), uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            ended.wait(0.05)
            done = True
    finally:
        ended.set()
        thread.join()
    assert done


def test_without_an_interrupt_the_handler_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_an_ignored_interrupt_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_step_of_another_thread_is_left_alone() -> None:
    handlers = []

    def step() -> None:
        with uninterrupted():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
