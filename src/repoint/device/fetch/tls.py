"""TLS: which authorities and client certificates count, and what an error means."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from urllib3.util.ssl_ import create_urllib3_context

from repoint.device.errors import NetworkSettingsError
from repoint.device.fetch.network import Credential, Network
from repoint.fs.trusted import UntrustedFileError, read_trusted

_KEY_LIMIT = 1 << 20

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

# The numbers of OpenSSL's x509_vfy.h.
_REASONS = {
    9: ("its certificate is not valid yet", "Check this device's clock"),
    10: (
        "its certificate has expired",
        "Check this device's clock; if it is right, the operator must renew the certificate",
    ),
    18: (
        "its certificate is self-signed",
        "Add it to the trusted certificates (`authorities` in the network settings), or use "
        "the right address",
    ),
    62: ("its certificate is for another name", "Check the repository's address"),
    64: ("its certificate is for another name", "Check the repository's address"),
}
_UNKNOWN = (
    "its certificate is signed by an unknown authority",
    "Add the authority to the trusted certificates (`authorities` in the network settings), or "
    "check whether this network intercepts TLS",
)


def tls_context(network: Network, credential: Credential | None) -> ssl.SSLContext:
    """Return the context for a server.

    It trusts the system's authorities, or those of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, and in
    addition those of ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and the network settings.

    Args:
        network: How this device reaches repositories.
        credential: The credential for the server.

    Raises:
        NetworkSettingsError: A file that is named cannot be used.
    """
    context = create_urllib3_context()
    named = network.environment.get("SSL_CERT_FILE")
    if named:  # OpenSSL ignores what it cannot read
        _readable(named, "SSL_CERT_FILE")
    context.load_default_certs()
    for variable in _BUNDLES:
        _trust(context, network.environment.get(variable, ""), variable)
    _trust(context, network.settings.authorities, f"`authorities` in {network.file}")
    if credential is not None and credential.certificate:
        _identify(context, credential, network.file)
    return context


def tls_problem(error: Exception) -> tuple[str, str]:
    """Return what a TLS error means, and what to do about it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _REASONS.get(cause.verify_code, _UNKNOWN)
        inner = next((a for a in cause.args if isinstance(a, BaseException)), None)
        cause = inner or cause.__cause__ or cause.__context__
    text = str(error).upper()
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text or "HTTP_REQUEST" in text:
        return "it does not speak TLS", "Check the port, and whether the address is http or https"
    if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text:
        return (
            "it refuses this device's TLS handshake, or asks for a client certificate",
            "Name the client certificate in the network settings file",
        )
    return "TLS fails", "Check the network and try again; what was downloaded is kept"


def _trust(context: ssl.SSLContext, name: str, source: str) -> None:
    if not name:
        return
    path = _readable(name, source)
    try:
        if path.is_dir():
            context.load_verify_locations(capath=name)
        else:
            context.load_verify_locations(cafile=name)
    except (ssl.SSLError, OSError):
        raise NetworkSettingsError(
            f"{source} names {name}, which holds no certificates", hint="Name a file in PEM format"
        ) from None


def _readable(name: str, source: str) -> Path:
    path = Path(name)
    try:
        if not path.is_dir():
            path.open("rb").close()
    except OSError as error:
        raise NetworkSettingsError(
            f"{source} names {name}, which cannot be read: {error.strerror}",
            hint="Correct it, or unset it",
        ) from None
    return path


def _identify(context: ssl.SSLContext, credential: Credential, source: str) -> None:
    key = credential.key or credential.certificate
    try:
        read_trusted(Path(key), {0, os.geteuid()}, limit=_KEY_LIMIT, secret=True)
        # A key that is encrypted must not make OpenSSL ask at a terminal.
        context.load_cert_chain(credential.certificate, key, password="")
    except UntrustedFileError as error:
        raise NetworkSettingsError(
            f"The key of {source} is not used: {error}", hint=error.remedy
        ) from None
    except ssl.SSLError:
        raise NetworkSettingsError(
            f"The client certificate {credential.certificate} and the key {key} cannot be used",
            hint="Both are in PEM format, belong together, and the key is not encrypted",
        ) from None
    except OSError as error:
        raise NetworkSettingsError(
            f"{error.filename or key}, which {source} names, cannot be read: {error.strerror}",
            hint="Correct it, then try again",
        ) from None
