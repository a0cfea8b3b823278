"""All settings of the service: arguments, or variables of the environment that begin with `DES_`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Self

from des_format.errors import ConfigurationError
from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from .console import ConsoleSettings
from .fallback import FallbackSettings
from .features import FeatureSettings
from .locators import LocatorSettings
from .retention import RetentionSettings
from .security import SecuritySettings
from .storage import StorageSettings

__all__ = ["Settings"]

PREFIX = "DES_"

# Kubernetes gives each container the addresses of the services of its namespace, so a service `des-http` makes these;
# one that is called `des-retriever` makes `DES_RETRIEVER_PORT=tcp://...`, which is no port.
_SERVICE_LINK = re.compile(
    r"DES_\w*?(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)\Z"
)


class Settings(
    StorageSettings,
    FallbackSettings,
    RetentionSettings,
    FeatureSettings,
    LocatorSettings,
    SecuritySettings,
    ConsoleSettings,
    BaseSettings,
):
    """How the service runs. An argument beats its variable; what neither gives has the default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *others: Any, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments only: `read` is what reads the environment."""
        return (init_settings,)

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, **arguments: Any) -> Self:
        """Read the settings.

        Args:
            environment: The variables; None for those of the process.
            arguments: Settings that beat their variables.

        Raises:
            ConfigurationError: A variable that begins with `DES_` is unknown, or a setting is missing, malformed,
                or contradicts another. The message names it and shows no value.
        """
        environment = os.environ if environment is None else environment
        given = {
            name.upper(): value
            for name, value in environment.items()
            if name.upper().startswith(PREFIX) and not _is_service_link(name.upper(), value)
        }
        known = {f"{PREFIX}{name.upper()}": name for name in cls.model_fields}
        if unknown := sorted(given.keys() - known.keys()):
            raise ConfigurationError("; ".join(_unknown(name, known) for name in unknown))
        source = EnvSettingsSource(cls)
        source.env_vars = {name.lower(): value for name, value in given.items() if value != ""}
        try:
            return cls(**(source() | arguments))
        except ValidationError as error:
            raise ConfigurationError("; ".join(_fault(one) for one in error.errors())) from None


def _is_service_link(name: str, value: str) -> bool:
    link = _SERVICE_LINK.match(name)
    return link is not None and (link[1] != "_PORT" or "://" in value)


def _unknown(name: str, known: Mapping[str, str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"{name} is no setting of this service" + (f"; did you mean {close[0]}?" if close else "")


def _fault(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{name.upper()}: {message}" if name else message
