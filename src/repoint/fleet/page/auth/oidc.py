"""Signing in with an OpenID provider: the authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0 and Discovery 1.0, RFC 6749, RFC 7636. Authlib writes the requests
and checks the claims, joserfc checks the signature.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from repoint.fleet.page.auth.accounts import Role
from repoint.fleet.page.auth.address import is_loopback
from repoint.fleet.page.auth.errors import NoRoleError, ProviderError
from repoint.fleet.page.auth.provider_requests import get_json, post_form
from repoint.model.printable import one_line

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Signatures with a public key. ``none`` and those with a shared secret are left out on purpose."""

_LEEWAY = 60
"""Seconds by which the clocks of the provider and of this machine may differ."""

_CALLBACK = "/oidc/callback"
_LONGEST_NAME = 64
_LONGEST_SUBJECT = 255


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to use a provider: the file of ``--oidc``.

    Attributes:
        issuer: Its address, with https.
        client_id: The name under which it knows this page.
        client_secret_file: A file with the secret that it gave to this page; empty for none.
        name: What the button says; empty for the host of the issuer.
        roles_claim: The claim that lists a person's groups or roles.
        operators: The values of it that make a person an operator.
        viewers: The values that make a person a viewer; ``*`` for everybody with an account there.
        scopes: What is asked for.
    """

    issuer: str
    client_id: str
    client_secret_file: str = ""
    name: str = ""
    roles_claim: str = "groups"
    operators: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("openid", "profile", "email")


class Pending(msgspec.Struct, frozen=True):
    """A person who was led to the provider.

    Attributes:
        state: Identifies the answer.
        nonce: Ties the ID token to it.
        verifier: Proves to the provider that the same page asks for the token.
    """

    state: str
    nonce: str
    verifier: str


class Identity(msgspec.Struct, frozen=True):
    """A person, as the provider says.

    Attributes:
        name: What people call the person. It may change, and another person may get it.
        subject: What identifies the person at the provider, for ever (the claim ``sub``).
    """

    name: str
    role: Role
    subject: str


class Provider:
    """An OpenID provider.

    Args:
        settings: How to use it.
        secret: The secret that it gave to this page; empty for none.
        origin: The origin of the page, to which it leads people back.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self, settings: ProviderSettings, secret: str, origin: str, clock: Callable[[], float]
    ) -> None:
        self.settings = settings
        self._secret = secret
        self._redirect = f"{origin}{_CALLBACK}"
        self._clock = clock
        self._known: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.settings.name or urlsplit(self.settings.issuer).netloc

    def start(self) -> tuple[str, Pending]:
        """Return the address to lead a person to, and what to remember until the answer comes.

        Raises:
            ProviderError: The provider does not answer.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        pending = Pending(*(secrets.token_urlsafe(32) for _ in range(3)))
        address = prepare_grant_uri(
            self._discovered()["authorization_endpoint"],
            client_id=self.settings.client_id,
            response_type="code",
            redirect_uri=self._redirect,
            scope=" ".join(self.settings.scopes),
            state=pending.state,
            nonce=pending.nonce,
            code_challenge=create_s256_code_challenge(pending.verifier),
            code_challenge_method="S256",
        )
        return str(address), pending

    def finish(self, pending: Pending, code: str) -> Identity:
        """Return the person for whom the provider has given a code.

        Raises:
            ProviderError: The provider does not answer, or its answer does not hold.
            NoRoleError: Nothing gives the person a role.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "client_id": self.settings.client_id,
            "code_verifier": pending.verifier,
        }
        basic = (self.settings.client_id, self._secret) if self._secret else None
        known = self._discovered()
        token = post_form(known["token_endpoint"], form, basic)
        claims = self._checked(token, pending.nonce)
        if self.settings.roles_claim not in claims and known.get("userinfo_endpoint"):
            told = get_json(known["userinfo_endpoint"], bearer=str(token.get("access_token", "")))
            if told.get("sub") != claims["sub"]:
                raise ProviderError("The provider told about another person", hint="Sign in again")
            claims = {**told, **claims}
        subject = one_line(str(claims["sub"]))[:_LONGEST_SUBJECT]
        return Identity(_name(claims), self._role(claims), subject)

    def _checked(self, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token whose signature and claims hold."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        settings = self.settings
        try:
            keys = KeySet.import_key_set(get_json(self._discovered()["jwks_uri"]))  # type: ignore[arg-type]
            read = jwt.decode(str(token.get("id_token", "")), keys, algorithms=_ALGORITHMS)
            options = {
                "iss": {"essential": True, "value": settings.issuer},
                "aud": {"essential": True, "value": settings.client_id},
            }
            params = {"nonce": nonce, "client_id": settings.client_id}
            CodeIDToken(read.claims, read.header, options, params).validate(
                now=int(self._clock()), leeway=_LEEWAY
            )
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderError(
                f"The answer of {self.name} does not hold: {one_line(str(error))[:200]}",
                hint="Check the clock of this machine, and the client's settings at the provider",
            ) from None
        return dict(read.claims)

    def _role(self, claims: Mapping[str, Any]) -> Role:
        said = claims.get(self.settings.roles_claim, ())
        held = {str(each) for each in said} if isinstance(said, list) else {str(said)}
        if held & set(self.settings.operators):
            return "operator"
        if "*" in self.settings.viewers or held & set(self.settings.viewers):
            return "viewer"
        raise NoRoleError(
            f"{_name(claims)} has no role here",
            hint="Ask whoever looks after this page for one",
        )

    def _discovered(self) -> dict[str, Any]:
        if self._known is None:
            issuer = self.settings.issuer
            known = get_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if known.get("issuer") != issuer:
                raise ProviderError(
                    f"{self.name} calls itself {one_line(str(known.get('issuer')))[:100]}",
                    hint=f"Correct the issuer in the settings; it is {issuer} there",
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                require_encrypted(str(known.get(name, "")))
            self._known = known
        return self._known


def read_settings(path: Path) -> tuple[ProviderSettings, str]:
    """Read the settings of a provider from a TOML file, and the secret.

    Raises:
        ProviderError: A file cannot be read or does not follow the form.
    """
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=ProviderSettings)
        file = settings.client_secret_file
        secret = (path.parent / file).read_text().strip() if file else ""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderError(
            f"The settings of the OpenID provider in {path} cannot be read: {error}",
            hint="See the guide of the fleet page for their form",
        ) from None
    require_encrypted(settings.issuer)
    if not settings.operators and not settings.viewers:
        raise ProviderError(
            f"{path} gives nobody a role", hint='Name groups, as in operators = ["sre"]'
        )
    return settings, secret


def require_encrypted(address: str) -> None:
    """Return if an address has https, or is on this machine.

    Raises:
        ProviderError: It has neither.
    """
    parts = urlsplit(address)
    local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if parts.scheme != "https" and not local:
        raise ProviderError(
            f"{one_line(address)[:100]!r} is not an address with HTTPS",
            hint="Use the provider's address with https",
        )


def _name(claims: Mapping[str, Any]) -> str:
    for claim in ("preferred_username", "email", "name", "sub"):
        name = claims.get(claim)
        if isinstance(name, str) and name.strip():
            return one_line(name)[:_LONGEST_NAME]
    raise ProviderError("The provider gives the person no name", hint="Ask it for the scope email")
