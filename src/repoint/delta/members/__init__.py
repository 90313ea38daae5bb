"""Codec `members`: files that hold compressed files (wheels, jars, .gz) or compiled code.

`scan` lists the members of a file, `pairing` finds the old member for each new one, `rebuild` finds
the settings with which zlib compresses a member to its exact bytes, and `codec` encodes and
decodes. `match_search`, `huffman` and `deflate` reimplement zlib's compression for devices whose
zlib module is another library.
"""
