"""The delta engine: old and new bytes to a patch; old bytes and a patch to the new bytes.

Knows nothing of trees or products. `repoint.delta.writer.write_patch` makes a patch.
`repoint.delta.sandbox.child.decode_in_child` decodes one, in a confined process. Codecs are in
`repoint.delta.codecs`, whose docstring says how to add one.
"""
