"""The fleet: the collector of reports, its stores, the guard, the fleet page and the simulation.

It knows the documents of `repoint.model`, and of devices nothing but their reports.
"""
