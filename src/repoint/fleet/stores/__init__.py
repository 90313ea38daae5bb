"""The stores of a fleet's state: SQLite for small fleets, PostgreSQL for large ones.

`repoint.fleet.stores.opening.open_state` opens either by its address.
"""
