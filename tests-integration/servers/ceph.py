"""Ceph RADOS Gateway: an S3 server that shares no code with AWS and checks signatures.

One monitor, one OSD that keeps its objects in memory, and one gateway, as root or as anyone; no manager: nothing that
S3 needs waits for one. The daemons find each other by a configuration file, nothing of `/etc/ceph` is read.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import uuid
from pathlib import Path

from servers.processes import Processes, answers_http, free_port

PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
"""They depend on all the rest (monmaptool, osdmaptool and radosgw-admin among it)."""

PROGRAMS = ("ceph-mon", "ceph-osd", "monmaptool", "osdmaptool", "radosgw", "radosgw-admin")

CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
mon data = {data}/mon
osd data = {data}/osd
rgw data = {data}/rgw
run dir = {data}
log file = {logs}/$name.log
mon cluster log file = {logs}/cluster.log
# A path of an admin socket may have 107 characters at most, which a temporary folder can exceed; nobody asks here.
admin socket =
crash dir = {data}

# No keys between the daemons: they listen on loopback. Without keys, a gateway whose monitor connection is in the mode
# `secure` (the default) is turned away for ever, hence `crc`.
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc

# A monitor gathers changes before it proposes them, to spare its peers; it has none. Starting is some thirty changes in
# a row (pools, mostly), each of which would wait for up to a second.
paxos propose interval = 0.02
paxos min wait = 0.01

# An operation sent before the OSD was up is sent again at the client's next tick, by default five seconds later. With
# short ticks, all daemons start at once.
objecter tick interval = 0.2

# One copy of everything, on the only OSD. No manager, so nobody who could tune the number of placement groups.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000

# Objects in memory, with a nominal size that tests do not fill.
osd objectstore = memstore
memstore device bytes = 8589934592

# The monitor stops when its disk is 95 % full, which a shared machine's temporary folder may well be.
mon data avail crit = 1

[client.rgw.des]
# Without tcp_nodelay, head and body of an answer go in two packets and Nagle's algorithm holds back the second: 40 ms.
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
# 512 threads by default.
rgw thread pool size = 32
# Customer keys (SSE-C) without TLS.
rgw crypt require ssl = false
"""


def missing() -> str | None:
    if absent := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"Ceph is not installed (no {', '.join(absent)}): `hatch run servers install`"
    return None


def version() -> str:
    output = subprocess.run(["radosgw", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+(?:\.\d+)*)", output)
    return found[1] if found else output.strip()


def start(processes: Processes) -> dict[str, str]:
    values = {"fsid": uuid.uuid4(), "mon_port": free_port(), "port": free_port()}
    data = processes.data
    configuration = data / "ceph.conf"
    configuration.write_text(CONFIGURATION.format(data=data, logs=processes.logs, **values), encoding="utf-8")
    for name in ("mon", "osd", "rgw"):
        (data / name).mkdir()
    conf: list[str | Path] = ["-c", configuration]
    monitor = f"[v2:127.0.0.1:{values['mon_port']}]"
    processes.run(
        "monmap", ["monmaptool", "--create", "--addv", "a", monitor, "--fsid", str(values["fsid"]), data / "monmap"]
    )
    # With a map that has room for an OSD, the OSD registers itself; `ceph osd new` would need a running monitor.
    processes.run("osdmap", ["osdmaptool", *conf, "--createsimple", "1", data / "osdmap"])
    processes.run(
        "mon-mkfs",
        ["ceph-mon", *conf, "-i", "a", "--mkfs", "--monmap", data / "monmap", "--osdmap", data / "osdmap"],
    )
    processes.start("mon", ["ceph-mon", *conf, "-i", "a", "-f"])
    processes.run("osd-mkfs", ["ceph-osd", *conf, "-i", "0", "--mkfs", "--osd-uuid", str(uuid.uuid4())])
    processes.start("osd", ["ceph-osd", *conf, "-i", "0", "-f"])
    processes.start("rgw", ["radosgw", *conf, "-n", "client.rgw.des", "-f"])
    url = f"http://127.0.0.1:{values['port']}"
    processes.wait_until(lambda: answers_http(url), "Ceph")
    keys = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in keys.items()]
    processes.run("user", ["radosgw-admin", *conf, "user", "create", "--uid=des", "--display-name=des", *words])
    return {"endpoint_url": url, **keys}
