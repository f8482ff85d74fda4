"""
Measure in a process of its own what decoding a body allocates: resident memory, which counts what C allocates.

`python -m tests.service.measure_decoding PROTOCOL DATATYPE UNIT SIZE` prints bytes allocated at the peak, bytes of the
body, the bound of `memory_needed`, and the error, if any, for a body whose data are `SIZE` bytes of `UNIT`. Protocols:
v2, plain, and binary, where UNIT is the text of each element.
"""

import gc
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.service.errors import RequestError
from snooze.service.protocols import plain, v2
from snooze.service.protocols.tensors import Signature
from snooze.service.requests import memory_needed


def read_status(name: str) -> int:
    """Return bytes that the kernel states of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024


def make_body(protocol: str, datatype: Any, unit: str, size: int) -> tuple[Signature, bytes, int]:
    """Return a signature, a body that fits it as far as it can, and how many of its bytes are JSON."""
    count = size // (len(unit.encode()) + (4 if protocol == "binary" else 1))
    shape = [count]
    value = None if protocol == "binary" else json.loads(unit)
    while type(value) is list:
        shape.append(len(value))
        value = value[0] if value else None
    tensor = {"name": "x", "shape": shape, "datatype": datatype}
    bundle: Any = SimpleNamespace(
        name="m", version=1, inputs=[Tensor("x", datatype, (-1,) * len(shape))], outputs=[], labels=None
    )
    signature = Signature(bundle)
    if protocol == "binary":
        text = unit.encode()
        raw = (len(text).to_bytes(4, "little") + text) * count
        if datatype != "BYTES":
            raw = raw[: len(raw) // DATATYPES[datatype].itemsize * DATATYPES[datatype].itemsize]
            tensor["shape"] = [len(raw) // DATATYPES[datatype].itemsize]
        tensor["parameters"] = {"binary_data_size": len(raw)}
        head = json.dumps({"inputs": [tensor]}).encode()
        return signature, head + raw, len(head)
    data = b"[" + b",".join([unit.encode()] * count) + b"]"
    if protocol == "v2":
        data = b'{"inputs":[%s,"data":%s}]}' % (json.dumps(tensor).encode()[:-1], data)
    return signature, data, len(data)


def main(protocol: str, datatype: str, unit: str, size: str) -> None:
    """Print what decoding takes."""
    codec = plain if protocol == "plain" else v2
    signature, body, _ = make_body(protocol, datatype, unit, 20_000)
    answer = "ok"
    try:
        codec.decode(signature, {}, body)  # imports what it needs
    except RequestError:
        pass
    signature, body, json_size = make_body(protocol, datatype, unit, int(size))
    headers = {v2.HEADER_LENGTH: b"%d" % json_size} if protocol == "binary" else {}
    needed = memory_needed(body, json_size, datatype == "BYTES", 0)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = read_status("VmRSS")
    try:
        call = codec.decode(signature, headers, body)
    except RequestError as error:
        answer = str(error)
    else:
        assert call.feeds
    print(json.dumps([read_status("VmHWM") - before, len(body), needed, answer]))


if __name__ == "__main__":
    main(*sys.argv[1:])
