"""The words of Repoint as immutable typed records, their JSON form and their order.

Nothing in this room opens a file or a connection.
"""
