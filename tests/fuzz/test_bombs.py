"""Small files that stand for large ones are refused within little memory."""

import gzip
import json
import pickle
import struct
import subprocess
import sys

import numpy as np
import safetensors.torch
import torch

READ = """
import resource, sys
from pathlib import Path
import torch
from otlmc.data import DataError, cifar, load
from otlmc.data.idx import read_idx
from otlmc.matching import Permutation
from otlmc.networks import checkpoints

readers = {
    ".idx": lambda path: read_idx(path, ndim=3),
    ".gz": lambda path: read_idx(path, ndim=3),
    ".batch": lambda path: cifar._checked(path, cifar._read_python),
    ".perm": Permutation.load,
    ".net": checkpoints.load,
}
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 400 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        readers[path.suffix](path)
    except ValueError as error:
        assert str(path) in str(error), error
        assert len(str(error)) < 2000, path
        print(path.name, type(error).__name__)
"""


def idx(*sizes):
    return struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes)


def nested(depth):
    """Labels that are ten lists of ten lists of ... ten numbers, each written once."""
    labels = 7
    for _ in range(depth):
        labels = [labels] * 10
    return labels


def repeated(text, times):
    """The opcodes of a list whose members each encode the same text again."""
    one = b"c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR"
    start = b"\x80\x02X" + struct.pack("<I", len(text)) + text + b"q\x000]("
    return start + one * times + b"e."


def safetensors_file(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def with_metadata(**metadata):
    return safetensors.torch.save({"x": torch.zeros(1)}, metadata=metadata)


PIXELS = np.zeros((10, 3072), np.uint8)
SPEC = {"sizes": {"x": 10**15}, "axes": {}, "layers": [], "blocks": {}}
CLAIM = {"x": {"dtype": "F32", "shape": [2**40, 2**10], "data_offsets": [0, 2**52]}}
NETWORK = {"format": "otlmc-stack-1", "config": '{"schedule": {}}', "seeds": "[0]", "step": "0"}
BOMBS = {
    "sizes.idx": idx(2**31, 2**31, 2**31),
    "product.idx": idx(2**16, 2**16, 2**16),
    "promised.idx": idx(60_000, 28, 28) + bytes(100),
    "sizes.gz": gzip.compress(idx(2**31, 2**31, 2**31) + bytes(2**20)),
    "tail.gz": gzip.compress(idx(100, 28, 28) + bytes(2**29), compresslevel=1),
    "nested.batch": pickle.dumps({"data": PIXELS, "labels": nested(9)}),
    "repeated.batch": repeated(b"x" * 2**20, 10_000),
    "memo.batch": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "promised.batch": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".",
    "frame.batch": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b".",
    "shape.batch": pickle.dumps({"data": np.broadcast_to(PIXELS[:1], (10, 3072)), "labels": [1]}),
    **{
        f"{name}{suffix}": content
        for suffix in (".net", ".perm")
        for name, content in {
            "length": struct.pack("<Q", 2**63) + b"{}",
            "longer": struct.pack("<Q", 2**30) + b"{}",
            "claim": safetensors_file(CLAIM),
        }.items()
    },
    "sizes.perm": with_metadata(spec=json.dumps(SPEC)),
    "depth.perm": with_metadata(spec="[" * 10**6),
    "widths.net": with_metadata(**NETWORK, architecture='{"widths": [1000000000, 1000000000]}'),
    "layers.net": with_metadata(**NETWORK, architecture=json.dumps({"widths": [1] * 10**5})),
    "depth.net": with_metadata(**NETWORK, architecture="[" * 10**6),
    "digits.net": with_metadata(**(NETWORK | {"step": "9" * 10**6}), architecture="{}"),
}


def test_no_file_takes_more_memory_than_a_real_one(tmp_path):
    for name, content in BOMBS.items():
        (tmp_path / name).write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    refused = dict(line.split() for line in run.stdout.splitlines())
    assert set(refused) == set(BOMBS)
    assert {refused[name] for name in BOMBS if name.endswith(".net")} == {"CheckpointError"}
    assert {refused[name] for name in BOMBS if not name.endswith((".net", ".perm"))} == {
        "DataError"
    }
