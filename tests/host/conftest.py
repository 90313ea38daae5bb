"""What the tests of the host share."""

from tests.agent.conftest import bus

__all__ = ["bus"]
