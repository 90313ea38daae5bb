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
    from repoint.device.activate.launch import Launch
    from repoint.device.activate.restart import Restarted
    from repoint.device.device import Device
    from repoint.device.errors import (
        EnrolmentRefusedError,
        HealthCheckError,
        NoNetworkError,
        NotApplicableError,
        NotEnrolledError,
        NothingToDoError,
        NotStartedError,
        NotTrustedError,
        PolicyForbidsError,
        StaleRepositoryError,
        StillRunningError,
        StoreBusyError,
        StoreDamagedError,
        StoreWriteError,
    )
    from repoint.device.outcomes import Nothing
    from repoint.device.policy.policy import Policy, Rules
    from repoint.device.policy.preferences import EffectiveSettings, Preferences
    from repoint.device.report.reports import Reporting, Reports
    from repoint.device.status.census import Use
    from repoint.device.status.fixes import CveStatus
    from repoint.device.status.status import (
        Available,
        ExposedProcess,
        GraftStatus,
        Status,
    )
    from repoint.device.store.records import (
        Actor,
        Enrolment,
        Generation,
        HistoryEntry,
        LastCheck,
        UserSettings,
    )
    from repoint.device.store.store_lock import Holder
    from repoint.device.update.check import Checked
    from repoint.device.update.enrolment.enroll import GraftRequest
    from repoint.device.update.enrolment.recognize import BaselineFilter
    from repoint.device.update.enrolment.unenroll import Unenrolled
    from repoint.device.update.install import Staged
    from repoint.device.update.remove import Removed
    from repoint.host.host import Host
    from repoint.host.programs import StartedProgram
    from repoint.model.advisory import Advisory, Fix
    from repoint.model.baseline import About, Baseline, BaselineName
    from repoint.model.catalog import Offer
    from repoint.model.errors import InvalidRecordError, RepointError
    from repoint.model.extras import MissingExtraError
    from repoint.model.halt import Halt, HaltedLetter
    from repoint.model.improvement import Improvement
    from repoint.model.reopened import ClaimedFix
    from repoint.model.report import Report
    from repoint.model.rollout import Rollout, Step
    from repoint.model.system import System
    from repoint.publisher.advisory_file import read_advisory
    from repoint.publisher.baselines import ComponentSource, Release
    from repoint.publisher.catalog.catalogs import Selection
    from repoint.publisher.catalog.claims import Corrections
    from repoint.publisher.errors import (
        AlreadyWithdrawnError,
        BaselineExistsError,
        LetterTakenError,
        LostFixesError,
        NothingChangedError,
        RolloutPlanError,
        RolloutStateError,
        UnknownBaselineError,
        UnknownFixError,
        UnknownImprovementError,
    )
    from repoint.publisher.improve.drafts import Draft
    from repoint.publisher.improve.improve import BuiltImprovement, ImprovementRequest
    from repoint.publisher.ingest.errors import UnfitSourceError
    from repoint.publisher.publisher import Publisher
    from repoint.publisher.rollout.control import Rollouts, ShownRollout
    from repoint.publisher.rollout.plan import parse_ramp, read_plan
    from repoint.publisher.view import RepositoryView
    from repoint.repository.errors import (
        KeyProblemError,
        RepositoryBusyError,
        RepositoryError,
        UnknownProductError,
        WrongPassphraseError,
    )
    from repoint.repository.publication import Publication
    from repoint.repository.repository import Repository, RoleSummary

_MODULES = {
    "repoint.device.activate.activation": ("Activation",),
    "repoint.device.activate.boot": ("BootTasks",),
    "repoint.device.activate.launch": ("Launch",),
    "repoint.device.activate.restart": ("Restarted",),
    "repoint.device.device": ("Device",),
    "repoint.device.errors": (
        "EnrolmentRefusedError", "HealthCheckError", "NoNetworkError", "NotApplicableError",
        "NotEnrolledError", "NotStartedError", "NotTrustedError", "NothingToDoError",
        "PolicyForbidsError", "StaleRepositoryError", "StillRunningError", "StoreBusyError",
        "StoreDamagedError", "StoreWriteError",
    ),
    "repoint.device.outcomes": ("Nothing",),
    "repoint.device.policy.policy": ("Policy", "Rules"),
    "repoint.device.policy.preferences": ("EffectiveSettings", "Preferences"),
    "repoint.device.report.reports": ("Reporting", "Reports"),
    "repoint.device.status.census": ("Use",),
    "repoint.device.status.fixes": ("CveStatus",),
    "repoint.device.status.status": ("Available", "ExposedProcess", "GraftStatus", "Status"),
    "repoint.device.store.records": (
        "Actor", "Enrolment", "Generation", "HistoryEntry", "LastCheck", "UserSettings",
    ),
    "repoint.device.store.store_lock": ("Holder",),
    "repoint.device.update.check": ("Checked",),
    "repoint.device.update.enrolment.enroll": ("GraftRequest",),
    "repoint.device.update.install": ("Staged",),
    "repoint.device.update.enrolment.recognize": ("BaselineFilter",),
    "repoint.device.update.remove": ("Removed",),
    "repoint.device.update.enrolment.unenroll": ("Unenrolled",),
    "repoint.host.host": ("Host",),
    "repoint.host.programs": ("StartedProgram",),
    "repoint.model.advisory": ("Advisory", "Fix"),
    "repoint.model.baseline": ("About", "Baseline", "BaselineName"),
    "repoint.model.catalog": ("Offer",),
    "repoint.model.errors": ("InvalidRecordError", "RepointError"),
    "repoint.model.extras": ("MissingExtraError",),
    "repoint.model.halt": ("Halt", "HaltedLetter"),
    "repoint.model.improvement": ("Improvement",),
    "repoint.model.reopened": ("ClaimedFix",),
    "repoint.model.report": ("Report",),
    "repoint.model.rollout": ("Rollout", "Step"),
    "repoint.model.system": ("System",),
    "repoint.publisher.advisory_file": ("read_advisory",),
    "repoint.publisher.baselines": ("ComponentSource", "Release"),
    "repoint.publisher.catalog.catalogs": ("Selection",),
    "repoint.publisher.catalog.claims": ("Corrections",),
    "repoint.publisher.improve.drafts": ("Draft",),
    "repoint.publisher.errors": (
        "AlreadyWithdrawnError", "BaselineExistsError", "LetterTakenError", "LostFixesError",
        "NothingChangedError", "RolloutPlanError", "RolloutStateError", "UnknownBaselineError",
        "UnknownFixError", "UnknownImprovementError",
    ),
    "repoint.publisher.improve.improve": ("BuiltImprovement", "ImprovementRequest"),
    "repoint.publisher.ingest.errors": ("UnfitSourceError",),
    "repoint.publisher.publisher": ("Publisher",),
    "repoint.publisher.rollout.control": ("Rollouts", "ShownRollout"),
    "repoint.publisher.rollout.plan": ("parse_ramp", "read_plan"),
    "repoint.publisher.view": ("RepositoryView",),
    "repoint.repository.errors": (
        "KeyProblemError", "RepositoryBusyError", "RepositoryError", "UnknownProductError",
        "WrongPassphraseError",
    ),
    "repoint.repository.publication": ("Publication",),
    "repoint.repository.repository": ("Repository", "RoleSummary"),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "About",
    "Activation",
    "Actor",
    "Advisory",
    "AlreadyWithdrawnError",
    "Available",
    "Baseline",
    "BaselineExistsError",
    "BaselineFilter",
    "BaselineName",
    "BootTasks",
    "BuiltImprovement",
    "Checked",
    "ClaimedFix",
    "ComponentSource",
    "Corrections",
    "CveStatus",
    "Device",
    "Draft",
    "EffectiveSettings",
    "Enrolment",
    "EnrolmentRefusedError",
    "ExposedProcess",
    "Fix",
    "Generation",
    "GraftRequest",
    "GraftStatus",
    "Halt",
    "HaltedLetter",
    "HealthCheckError",
    "HistoryEntry",
    "Holder",
    "Host",
    "Improvement",
    "ImprovementRequest",
    "InvalidRecordError",
    "KeyProblemError",
    "LastCheck",
    "Launch",
    "LetterTakenError",
    "LostFixesError",
    "MissingExtraError",
    "NoNetworkError",
    "NotApplicableError",
    "NotEnrolledError",
    "NotStartedError",
    "NotTrustedError",
    "Nothing",
    "NothingChangedError",
    "NothingToDoError",
    "Offer",
    "Policy",
    "PolicyForbidsError",
    "Preferences",
    "Publication",
    "Publisher",
    "Release",
    "Removed",
    "RepointError",
    "Report",
    "Reporting",
    "Reports",
    "Repository",
    "RepositoryBusyError",
    "RepositoryError",
    "RepositoryView",
    "Restarted",
    "RoleSummary",
    "Rollout",
    "RolloutPlanError",
    "RolloutStateError",
    "Rollouts",
    "Rules",
    "Selection",
    "ShownRollout",
    "Staged",
    "StaleRepositoryError",
    "StartedProgram",
    "Status",
    "Step",
    "StillRunningError",
    "StoreBusyError",
    "StoreDamagedError",
    "StoreWriteError",
    "System",
    "Unenrolled",
    "UnfitSourceError",
    "UnknownBaselineError",
    "UnknownFixError",
    "UnknownImprovementError",
    "UnknownProductError",
    "Use",
    "UserSettings",
    "WrongPassphraseError",
    "__version__",
    "parse_ramp",
    "read_advisory",
    "read_plan",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
