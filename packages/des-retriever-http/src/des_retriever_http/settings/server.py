"""How the service listens, stops, and tells what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

__all__ = ["ServerSettings"]


class ServerSettings(BaseModel):
    """How the command listens, stops, and tells what it does."""

    retriever_host: str = Field("0.0.0.0", description="The address to listen on; `127.0.0.1` for this machine alone.")
    retriever_port: int = Field(
        8000, ge=0, le=65535, description="The port. One published retriever had 8000, the other one 8001."
    )
    workers: int = Field(1, ge=1, le=256, description="Processes that serve; about one for each core.")
    keep_alive_seconds: int = Field(
        75, ge=1, description="How long an idle connection stays open; longer than in the load balancer before it."
    )
    root_path: str = Field(
        "", pattern=r"^(/[^/?#]+)*$", description="The prefix that a proxy before the service removes from paths."
    )
    trusted_proxies: str = Field(
        "", description="Addresses or networks, with commas between, whose `X-Forwarded-For` and `-Proto` are believed."
    )
    tls_certificate: Path | None = Field(None, description="The certificate and its chain, PEM; serves HTTPS.")
    tls_key: Path | None = Field(None, description="Its private key, PEM, without a passphrase.")
    tls_client_ca: Path | None = Field(
        None, description="Clients must show a certificate that one of these (PEM) has signed."
    )
    drain_seconds: float = Field(
        5.0, ge=0, description="After SIGTERM: not ready, but still serving, until load balancers have noticed."
    )
    shutdown_seconds: int = Field(30, ge=1, description="Then: how long answers that were begun may take to their end.")
    ready_timeout_seconds: float = Field(
        2.0, gt=0, description="How long `/health/ready` waits for the storage before it says that it does not answer."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is less is not logged.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object for each line, or text to read.")
    access_log_share: float = Field(
        0.0, ge=0, le=1, description="Share of answers below 400 that are logged; errors always are."
    )
    tracing: bool = Field(
        False, description="OpenTelemetry spans for requests and reads; needs `pip install 'des-retriever-http[otel]'`."
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("DES_TLS_CERTIFICATE and DES_TLS_KEY need each other")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("DES_TLS_CLIENT_CA means nothing without DES_TLS_CERTIFICATE")
        return self
