"""What one process takes on at a time, and what it accepts."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["LimitSettings"]


class LimitSettings(BaseModel):
    """What one process takes on at a time, and what it accepts of a request."""

    max_requests: int = Field(
        512, ge=1, description="Requests under way at the same time; others get 503. Not for probes and metrics."
    )
    max_answer_bytes: int = Field(
        256 * 2**20,
        ge=2**20,
        description="Memory for answers that are in it as a whole; what would need more gets 503.",
    )
    request_timeout_seconds: float = Field(
        30.0, gt=0, description="How long an answer may take to begin; then it is 503 `deadline_exceeded`."
    )
    stall_timeout_seconds: float = Field(
        60.0, gt=0, description="How long an answer may rest, for storage or client, before its connection is closed."
    )
    header_timeout_seconds: float = Field(
        20.0, gt=0, description="How long a client may take to send the head of a request."
    )
    max_header_count: int = Field(100, ge=10, description="Headers of a request; more are 431.")
    max_header_bytes: int = Field(
        32 * 2**10, ge=1024, description="Bytes of the head of a request: target and headers; more are 431."
    )
    max_query_bytes: int = Field(4096, ge=64, description="Bytes of the query; more are 414.")
    max_uid_bytes: int = Field(2048, ge=16, description="Bytes of the path below `/files/`, decoded; more are 414.")
    max_body_bytes: int = Field(4 * 2**20, ge=1024, description="Bytes of the body of a request; more are 413.")
