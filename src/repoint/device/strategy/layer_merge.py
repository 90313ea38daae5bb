"""Merge the active layer of the system over its base, preferably as an image the kernel verifies.

A layer is merged as its signed image if the image can be built, systemd merges it, the kernel
verifies it, and programs see all of it. Otherwise it is merged as a folder, if programs see all of
that; otherwise nothing of it is merged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from repoint.device.errors import NotTrustedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry
from repoint.device.strategy.extension import ComponentLayer, build_extension, extension_path
from repoint.device.strategy.layer_images import LayerImage, image_of, why_folders_differ
from repoint.device.strategy.merged_view import missing_from_view
from repoint.host.errors import CannotMergeError
from repoint.host.host import Host
from repoint.host.systemd.sysext import ImageOffer
from repoint.model.system import extension_name

_AS_IMAGE, _AS_FOLDER = "merged as an image", "merged as a folder"
_UNSIGNED = "no image is signed"


def is_merged(state: ProductState, host: Host) -> bool:
    """Return whether a layer of the product is merged, and offered by Repoint."""
    name = extension_name(state.name)
    return host.sysext.offered(name) is not None and host.sysext.is_merged(name)


def merge_layer(
    state: ProductState, host: Host, active: Generation, layers: Sequence[ComponentLayer]
) -> str:
    """Merge the layer of the active generation, unless programs see it already.

    Args:
        state: The product.
        host: The machine.
        active: The active generation.
        layers: The layers of its components.

    Returns:
        How it is merged, for the history.

    Raises:
        CannotMergeError: Programs do not see it; nothing of it is merged.
    """
    name = extension_name(state.name)
    visible = is_merged(state, host) and _is_offer_of(state, host, active)
    if visible and not missing_from_view(layers):
        offered = host.sysext.offered(name)
        return _AS_FOLDER if offered is not None and offered.is_dir() else _AS_IMAGE
    reason = _merge_image(state, host, active, layers)
    if not reason:
        return _AS_IMAGE
    extension = extension_path(state, active)
    build_extension(extension, state.name, layers, host.base.release())
    host.sysext.offer_folder(name, extension)
    missing = missing_from_view(layers)
    if missing:
        host.sysext.withdraw(name)
        raise CannotMergeError(
            f"The system does not show {active.label} although it was merged: {missing[0]}",
            hint="Look for another extension over it with `systemd-sysext status`; "
            "nothing of it is merged now",
        )
    return _AS_FOLDER if reason == _UNSIGNED else f"{_AS_FOLDER}: {reason}"


def _merge_image(
    state: ProductState, host: Host, active: Generation, layers: Sequence[ComponentLayer]
) -> str:
    """Merge the signed image of a generation; return why that is not possible, or nothing.

    A damaged image is built again from the trees.
    """
    image, name = image_of(state, active), extension_name(state.name)
    if image is None:
        return _UNSIGNED
    reason = why_folders_differ(image, host)
    if reason:
        return reason
    try:
        image.build()
        reason = _offer_image(image, host, name, layers)
        if not reason or image.is_intact():
            return reason
        image.repair()
    except (NotTrustedError, OSError) as error:
        return f"its image cannot be built: {getattr(error, 'message', error)}"
    note = "its image was damaged on the disk, and was built again from the trees"
    state.history.add(HistoryEntry(int(time.time()), "repaired", active.label, note, "automatic"))
    return _offer_image(image, host, name, layers)


def _offer_image(image: LayerImage, host: Host, name: str, layers: Sequence[ComponentLayer]) -> str:
    """Merge an image; return why programs do not see it whole and verified, or nothing."""
    if image.has_own_root_hash():
        return "its image was tampered with"
    root_hash = image.extension.root_hash
    try:
        host.sysext.offer_image(name, ImageOffer(image.raw, image.hash_tree, root_hash))
    except CannotMergeError as error:
        reason = error.message
    else:
        verified = host.verity.is_verified(image.raw, root_hash)
        missing = missing_from_view(layers) if verified else []
        if verified and not missing:
            return ""
        reason = str(missing[0]) if missing else "the kernel does not verify the image"
    host.sysext.withdraw(name)
    return reason


def _is_offer_of(state: ProductState, host: Host, active: Generation) -> bool:
    """Whether the layer of a generation is offered, in the safest form that is possible."""
    name = extension_name(state.name)
    if host.sysext.is_offered(name, extension_path(state, active)):
        return True
    image = image_of(state, active)
    return (
        image is not None
        and host.sysext.is_offered(name, image.raw)
        and host.verity.is_verified(image.raw, image.extension.root_hash)
    )
