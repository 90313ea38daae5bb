"""Background security improvements for any Linux product.

This module is the public interface for programs that embed Repoint: `Device` and its parts for a
device, `Repository` and `Publisher` for a vendor, the records that their methods take and return,
and the errors that a program catches. Everything else is private and may change.

Names are imported when they are first used, so ``import repoint`` costs nothing and a device does
not load what only vendors need.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.device.activate.activation import Activation
    from repoint.device.activate.boot import BootTasks
    from repoint.device.activate.restart import Restarted
    from repoint.device.device import Device
    from repoint.device.errors import (
        EnrolmentRefusedError,
        HealthCheckError,
        NoNetworkError,
        NotApplicableError,
        NotEnrolledError,
        NotTrustedError,
        PolicyForbidsError,
        StaleRepositoryError,
        StillRunningError,
        StoreBusyError,
        StoreDamagedError,
        StoreWriteError,
    )
    from repoint.device.outcomes import Nothing
    from repoint.device.policy.policy import Policy
    from repoint.device.policy.preferences import EffectiveSettings, Preferences
    from repoint.device.status.status import Status
    from repoint.device.store.records import UserSettings
    from repoint.device.update.check import Checked
    from repoint.device.update.enroll import GraftRequest
    from repoint.device.update.install import Staged
    from repoint.device.update.recognize import BaselineFilter
    from repoint.device.update.remove import Removed
    from repoint.model.baseline import BaselineName
    from repoint.model.errors import RepointError
    from repoint.publisher.advisory_file import read_advisory
    from repoint.publisher.baselines import ComponentSource, Release
    from repoint.publisher.errors import (
        BaselineExistsError,
        LetterTakenError,
        NothingChangedError,
        UnknownBaselineError,
        UnknownImprovementError,
    )
    from repoint.publisher.improve import ImprovementRequest
    from repoint.publisher.ingest.errors import UnfitSourceError
    from repoint.publisher.publisher import Publisher
    from repoint.repository.errors import (
        KeyProblemError,
        RepositoryBusyError,
        RepositoryError,
        UnknownProductError,
        WrongPassphraseError,
    )
    from repoint.repository.repository import Repository

_MODULES = {
    "repoint.device.activate.activation": ("Activation",),
    "repoint.device.activate.boot": ("BootTasks",),
    "repoint.device.activate.restart": ("Restarted",),
    "repoint.device.device": ("Device",),
    "repoint.device.errors": (
        "EnrolmentRefusedError", "HealthCheckError", "NoNetworkError", "NotApplicableError",
        "NotEnrolledError", "NotTrustedError", "PolicyForbidsError", "StaleRepositoryError",
        "StillRunningError", "StoreBusyError", "StoreDamagedError", "StoreWriteError",
    ),
    "repoint.device.outcomes": ("Nothing",),
    "repoint.device.policy.policy": ("Policy",),
    "repoint.device.policy.preferences": ("EffectiveSettings", "Preferences"),
    "repoint.device.status.status": ("Status",),
    "repoint.device.store.records": ("UserSettings",),
    "repoint.device.update.check": ("Checked",),
    "repoint.device.update.enroll": ("GraftRequest",),
    "repoint.device.update.install": ("Staged",),
    "repoint.device.update.recognize": ("BaselineFilter",),
    "repoint.device.update.remove": ("Removed",),
    "repoint.model.baseline": ("BaselineName",),
    "repoint.model.errors": ("RepointError",),
    "repoint.publisher.advisory_file": ("read_advisory",),
    "repoint.publisher.baselines": ("ComponentSource", "Release"),
    "repoint.publisher.errors": (
        "BaselineExistsError", "LetterTakenError", "NothingChangedError", "UnknownBaselineError",
        "UnknownImprovementError",
    ),
    "repoint.publisher.improve": ("ImprovementRequest",),
    "repoint.publisher.ingest.errors": ("UnfitSourceError",),
    "repoint.publisher.publisher": ("Publisher",),
    "repoint.repository.errors": (
        "KeyProblemError", "RepositoryBusyError", "RepositoryError", "UnknownProductError",
        "WrongPassphraseError",
    ),
    "repoint.repository.repository": ("Repository",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Activation",
    "BaselineExistsError",
    "BaselineFilter",
    "BaselineName",
    "BootTasks",
    "Checked",
    "ComponentSource",
    "Device",
    "EffectiveSettings",
    "EnrolmentRefusedError",
    "GraftRequest",
    "HealthCheckError",
    "ImprovementRequest",
    "KeyProblemError",
    "LetterTakenError",
    "NoNetworkError",
    "NotApplicableError",
    "NotEnrolledError",
    "NotTrustedError",
    "Nothing",
    "NothingChangedError",
    "Policy",
    "PolicyForbidsError",
    "Preferences",
    "Publisher",
    "Release",
    "Removed",
    "RepointError",
    "Repository",
    "RepositoryBusyError",
    "RepositoryError",
    "Restarted",
    "Staged",
    "StaleRepositoryError",
    "Status",
    "StillRunningError",
    "StoreBusyError",
    "StoreDamagedError",
    "StoreWriteError",
    "UnfitSourceError",
    "UnknownBaselineError",
    "UnknownImprovementError",
    "UnknownProductError",
    "UserSettings",
    "WrongPassphraseError",
    "__version__",
    "read_advisory",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
