"""A safetensors file with a JSON header of our own and a digest.

The header sits in the metadata of the safetensors file, so other programs can read the
tensors. Its digest is the SHA-256 of the whole file with the digest's own characters
set to zeros: it finds damage, but it does not prove who wrote the file.
"""

import hashlib
import json
import os
import re
import stat
import struct
from typing import Any

import numpy as np

from skae._optional import optional

MAX_HEADER_BYTES = 2**23
BLOCK_BYTES = 2**20
DIGEST = re.compile(rb'\\"sha256\\": \\"([0-9a-f]{64})\\"')
END_OF_TENSOR = re.compile(rb'"data_offsets":\[\d+,(\d{1,20})\]')
NO_DIGEST = "0" * 64


def _safetensors() -> Any:
    optional("safetensors.numpy", "io")
    return optional("safetensors", "io")


def seal(header: dict[str, Any], tensors: dict[str, Any]) -> bytes:
    """Return the content of a file."""
    text = json.dumps({"sha256": NO_DIGEST} | header, allow_nan=False)
    data = _safetensors().numpy.save(
        # safetensors writes the memory of an array as if it were C-contiguous.
        {name: np.array(value, order="C") for name, value in tensors.items()},
        {"skae": text},
    )
    if struct.unpack("<Q", data[:8])[0] > MAX_HEADER_BYTES:
        raise ValueError(
            "The names of the features take more than the "
            f"{MAX_HEADER_BYTES} bytes that a header may have."
        )
    return _with_digest(data, hashlib.sha256(data).hexdigest())


def _with_digest(data: bytes, digest: str) -> bytes:
    found = DIGEST.search(data)
    if not found:
        raise ValueError("it is not a skae file, or it is damaged.")
    return data[: found.start(1)] + digest.encode() + data[found.end(1) :]


def read(path: Any) -> bytes:
    """Read a file whose digest is right."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is not a regular file.")
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, status.st_size - 8):
            raise ValueError("it is not a skae file, or it is damaged.")
        header = file.read(length)
        size = 8 + length + max(map(int, END_OF_TENSOR.findall(header)), default=0)
        # The size first: a digest of a file of any length may take any time.
        if size != status.st_size:
            raise ValueError("it is not a skae file, or it is damaged.")
        digest = hashlib.sha256(start + _with_digest(header, NO_DIGEST))
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
        if _with_digest(header, digest.hexdigest()) != header:
            raise ValueError("it is damaged: the digest does not match.")
        file.seek(0)
        return file.read()


def unseal(data: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    """Header and tensors of a file's content, whose digest has been checked."""
    safetensors = _safetensors()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["skae"])
    try:
        return header, safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is not a safetensors file: {error}") from error
