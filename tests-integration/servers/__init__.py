"""Real servers for tests, and proxies that count or break what is between a client and a server.

`python -m servers` (`hatch run servers`) says which ones this machine has; the fixtures are in `../conftest.py`.
Every server listens on the loopback interface only, keeps its data in a temporary folder, and ends with the test run.
"""

from servers.faults import Answer, Cut, Fault, FaultProxy, Latency, LostReply, Reset, SeededFaults, Trickle
from servers.kinds import KINDS, Kind
from servers.processes import ServerError
from servers.proxies import CountingProxy, Seen
from servers.s3 import S3Server, s3_kind
from servers.sharing import Servers

__all__ = [
    "KINDS",
    "Answer",
    "CountingProxy",
    "Cut",
    "Fault",
    "FaultProxy",
    "Kind",
    "Latency",
    "LostReply",
    "Reset",
    "S3Server",
    "SeededFaults",
    "Seen",
    "ServerError",
    "Servers",
    "Trickle",
    "s3_kind",
]
