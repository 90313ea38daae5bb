"""The fleet page: what the devices of a vendor run, and the rollouts, for its operators.

The rooms, each of which imports only those above it: ``i18n`` (texts), ``auth`` (who may see and
change what), ``audit`` (who changed what), ``vendor`` (the repository), ``state``, ``views``,
``app`` and ``server``.
"""
