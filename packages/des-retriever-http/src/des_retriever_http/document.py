"""The OpenAPI document: what the routes say of themselves, and what credentials each of them takes here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from .http.documenting import ProblemModel, problems
from .security.access import needed_permission
from .security.principals import ANONYMOUS, Permission

if TYPE_CHECKING:
    from .settings.security import SecuritySettings

__all__ = ["describe_service"]

_FILE = "/files/{uid}"
_API_KEY, _BEARER = "ApiKey", "Bearer"
# Text and no scheme: OpenAPI cannot say what is signed, and generated requests would have signatures at random.
_SIGNED = (
    "In place of an API key or a token, a request may be signed, in the headers `X-DES-Public-Key`, `X-DES-Timestamp`,"
    " `X-DES-Nonce` and `X-DES-Signature`. The guide to the security of this service says how."
)
_SCHEMES: dict[str, dict[str, str]] = {
    _API_KEY: {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key of this service."},
    _BEARER: {
        "type": "http",
        "scheme": "bearer",
        "description": "A token (JWT) of the OpenID Connect provider, or an API key of this service.",
    },
}
_REFUSALS = (401, 403, 429)
_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After"}


def describe_service(app: FastAPI, settings: SecuritySettings) -> dict[str, Any]:
    """Return the document of an application; it is made once.

    A route that takes credentials has `security`, whose roles name the permission, and the answers of the gate. Without
    credentials configured, no route has them.
    """
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = ProblemModel.model_json_schema()
        if settings.has_gate:
            used: set[str] = set()
            for permission, method, operation in _guarded(document["paths"]):
                operation["security"] = _requirements(settings, permission)
                operation["responses"] = _with_refusals(operation["responses"], has_body=method != "head")
                used.update(*operation["security"])
            components["securitySchemes"] = {name: one for name, one in _SCHEMES.items() if name in used}
            if _has_keys(settings):
                document["info"]["description"] = _SIGNED
        app.openapi_schema = document
    return app.openapi_schema


def _guarded(paths: dict[str, dict[str, Any]]) -> Iterator[tuple[Permission, str, dict[str, Any]]]:
    """Yield the operations that pass the gate, with their permission and method."""
    for path, operations in paths.items():
        for method, operation in operations.items():
            scope = {"path": path, "method": method.upper()}
            if path.startswith(_FILE):
                scope |= {"path_uid": "uid", "path_sub": path.removeprefix(_FILE)}
            permission = needed_permission(scope)
            if permission is not None:
                yield permission, method, operation


def _requirements(settings: SecuritySettings, permission: Permission) -> list[dict[str, list[str]]]:
    """Return the credentials of which one is needed; an empty one says that it goes without too."""
    has_keys = _has_keys(settings)
    schemes = [_API_KEY] if has_keys or settings.delete_api_key is not None else []
    if has_keys or settings.jwt_issuer is not None:
        schemes.append(_BEARER)
    found = [{scheme: [permission.value]} for scheme in schemes]
    goes_without = permission in ANONYMOUS.permissions and not settings.is_authentication_required
    return [{}, *found] if goes_without else found


def _has_keys(settings: SecuritySettings) -> bool:
    return settings.authorized_keys_path is not None or settings.vault_addr is not None


def _with_refusals(responses: dict[str, Any], *, has_body: bool) -> dict[str, Any]:
    """Return the answers of an operation, with those of the gate."""
    documented = problems(*_REFUSALS)
    refusals = {str(status): documented[status] for status in _REFUSALS}
    for status, header in _HEADERS.items():
        refusals[str(status)]["headers"] = {header: {"required": True, "schema": {"type": "string"}}}
    if not has_body:
        for one in refusals.values():
            del one["content"]
    return dict(sorted({**responses, **refusals}.items()))
