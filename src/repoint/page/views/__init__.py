"""What the page shows, and what its buttons do.

``pages`` are for viewing, ``sheets`` ask before a change, ``changes`` make it. All of them show
the same ``Panel``, and answer a ``RequestContext``.
"""
