"""The gate: every request passes it, with credentials or, where that is allowed, without."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.problems import Problem, shown
from .access import needed_permission
from .auditing import REFUSALS, Audit
from .credentials import Credentials
from .nonces import Nonces
from .principals import ANONYMOUS, SCOPE_KEY, Permission, Principal
from .quotas import Quotas
from .refusals import Forbidden, Refusal
from .signatures import is_signed, principal_of_signature
from .tokens import Tokens

__all__ = ["Gate", "Guards"]

_BEARER = "bearer "
_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_RESULTS = {
    **dict.fromkeys(("invalid_signature", "missing_header", "replayed"), "invalid_sig"),
    **dict.fromkeys(("invalid_nonce", "invalid_time", "outdated"), "invalid_sig"),
    **dict.fromkeys(("unknown_key", "unknown_scheme", "invalid_token"), "invalid_credentials"),
    **{name: name for name in ("expired", "rate_limited", "no_credentials", "forbidden")},
}
_DELETER = Principal("delete-api-key", frozenset({Permission.WRITE}))


@dataclass(frozen=True, slots=True)
class Guards:
    """What the gate asks.

    Attributes:
        credentials: Returns the API keys and public keys that are known now.
        tokens: Checks tokens, if there is a provider of them.
        nonces: Of signatures.
        quotas: Of principals.
        audit: Writes down what was done.
        delete_api_key: The published key, which allows to delete and nothing else.
        is_required: Whether nobody may read without credentials.
    """

    credentials: Callable[[], Credentials]
    tokens: Tokens | None
    nonces: Nonces
    quotas: Quotas
    audit: Audit
    delete_api_key: str | None
    is_required: bool


class Gate:
    """ASGI layer that knows who asks, and lets through what they may do.

    It comes behind `EntryPaths`, so it sees the uid that the routes see.

    Args:
        app: What it protects.
        guards: Returns what it asks, once the service has started.
        count: Is told how each request ended here, by one of `ACCESS_RESULTS`.
    """

    def __init__(self, app: ASGIApp, guards: Callable[[], Guards], count: Callable[[str], None]) -> None:
        self._app = app
        self._guards = guards
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = needed_permission(scope)
        if needed is None:
            await self._app(scope, receive, send)
            return
        passing = _Passing(scope, receive, needed)
        try:
            guards = self._guards()
        except Problem as problem:
            # Nobody shows it further out, where the routes' own handlers of errors do not reach.
            await shown(problem, scope)(scope, receive, send)
            return
        try:
            await passing.admit(guards)
        except Exception as error:
            answer = shown(error, scope)
            reason = getattr(error, "reason", getattr(error, "code", "error"))
            self._count(_RESULTS.get(reason, "error"))
            if isinstance(error, Problem) and answer.status_code < 500:
                name = passing.principal.id if passing.principal else "unknown"
                guards.audit.record(scope, name, needed, answer.status_code, reason=reason)
            await answer(scope, receive, send)
            return
        self._count("success")
        await passing.serve(self._app, guards.audit, send)


class _Passing:
    """A request at the gate."""

    __slots__ = ("_needed", "_receive", "_scope", "principal")

    def __init__(self, scope: Scope, receive: Receive, needed: Permission) -> None:
        self._scope = scope
        self._receive = receive
        self._needed = needed
        self.principal: Principal | None = None

    async def admit(self, guards: Guards) -> None:
        """Find out who it is, and whether they may.

        Raises:
            Problem: 401, 403 or 429.
            UnavailableError: It cannot be found out now.
        """
        principal = await self._authenticate(guards)
        if principal is None:
            if guards.is_required or self._needed not in ANONYMOUS.permissions:
                raise Refusal("no_credentials", "Authentication required")
            principal = ANONYMOUS
        self.principal = principal
        if principal.has_expired():
            raise Refusal("expired", "Unauthorized: the credentials have expired")
        # Only who has shown the right credentials is charged, so nobody can use up what is another's.
        await guards.quotas.charge(principal)
        uid = self._scope.get("path_uid")
        if self._needed not in principal.permissions:
            raise Forbidden(f"it takes {self._needed.value}")
        if uid is not None and not principal.may(self._needed, uid):
            raise Forbidden("not for this uid")
        self._scope[SCOPE_KEY] = principal

    async def _authenticate(self, guards: Guards) -> Principal | None:
        """Return who it is, by the first kind of credentials that the request has; None if it has none."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._scope["headers"]}
        if is_signed(headers):
            return await principal_of_signature(
                guards.credentials(), guards.nonces, self._scope, headers, self._read_body
            )
        authorization = headers.get("authorization", "")
        if authorization.lower().startswith(_BEARER):
            return await _of_bearer(guards, authorization[len(_BEARER) :].strip())
        if authorization:
            raise Refusal("unknown_scheme", "Unauthorized: Authorization is understood as Bearer only")
        if "x-api-key" in headers:
            return _of_api_key(guards, headers["x-api-key"])
        return None

    async def _read_body(self) -> bytes:
        """Read the body, which routes then read again; the layers before this one bound it."""
        if self._scope["method"] in _WITHOUT_BODY:
            return b""
        parts: list[bytes] = []
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "invalid_input", "The client left")
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"".join(parts)
        self._receive = _replayed(body, self._receive)
        return body

    async def serve(self, app: ASGIApp, audit: Audit, send: Send) -> None:
        """Let it through, and write down how it was answered."""
        scope, principal, needed = self._scope, self.principal or ANONYMOUS, self._needed
        is_of_file = "path_uid" in scope
        if is_of_file and not audit.wants(needed, 200):
            # Whoever may read a file is not refused behind the gate any more.
            await app(scope, self._receive, send)
            return
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await app(scope, self._receive, note)
        finally:
            # A listing and a batch are refused by their routes, which know of what they are.
            if is_of_file or status in REFUSALS:
                audit.record(scope, principal.id, needed, status, reason=REFUSALS.get(status, ""))


async def _of_bearer(guards: Guards, text: str) -> Principal:
    """A token, or an API key where tokens are expected; a token has two dots, which no API key has."""
    if guards.tokens is not None and text.count(".") == 2:
        return await guards.tokens.principal_of(text)
    return _of_api_key(guards, text)


def _of_api_key(guards: Guards, key: str) -> Principal:
    principal = guards.credentials().of_api_key(key)
    if principal is not None:
        return principal
    expected = guards.delete_api_key
    if expected is not None and hmac.compare_digest(key.encode("utf-8", "surrogatepass"), expected.encode()):
        return _DELETER
    raise Refusal("unknown_key", "Unauthorized: the key is not known here")


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    is_first = True

    async def replay() -> Message:
        nonlocal is_first
        if is_first:
            is_first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay
