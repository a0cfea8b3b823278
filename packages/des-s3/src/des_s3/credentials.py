"""One chain of credentials, that of a boto3 session, for all clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

if TYPE_CHECKING:
    from obstore.store import S3Credential

__all__ = ["ObstoreCredentials", "frozen"]

_LIFETIME = timedelta(minutes=6)
"""obstore asks anew when less than five minutes are left, so it sees rotated credentials within one."""


def frozen(session: boto3.Session) -> ReadOnlyCredentials:
    """Return the credentials of now, refreshed where they expire.

    Raises:
        NoCredentialsError: There are none.
    """
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    return credentials.get_frozen_credentials()


class ObstoreCredentials:
    """Gives obstore the credentials of a boto3 session.

    Attributes:
        given: What was given last.
    """

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        self.given: ReadOnlyCredentials | None = None

    def __call__(self) -> S3Credential:
        """Return the credentials of now."""
        found: Any = frozen(self._session)
        self.given = found
        return {
            "access_key_id": found.access_key,
            "secret_access_key": found.secret_key,
            "token": found.token,
            "expires_at": datetime.now(UTC) + _LIFETIME,
        }

    def have_changed(self) -> bool:
        """Whether the session now has other credentials than those that were given."""
        return bool(frozen(self._session) != self.given)
