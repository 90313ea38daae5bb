"""What the tests of the device share."""

from tests.places import MAPS_A_LIBRARY, Place, wait_for

__all__ = ["MAPS_A_LIBRARY", "Place", "wait_for"]
