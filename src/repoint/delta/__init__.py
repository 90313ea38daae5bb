"""Old bytes and new bytes to a patch; old bytes and a patch to the new bytes.

Knows nothing of trees or products. Patches are made by `repoint.delta.container.write_patch` and
decoded by `repoint.delta.sandbox.child.decode_in_child`, in a process that can do nothing else.
"""
