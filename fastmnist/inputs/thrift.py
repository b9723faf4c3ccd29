"""Thrift's compact protocol, in which Parquet files describe themselves: bytes -> numbers, bytes, lists and structs.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md. A struct becomes a dictionary, the
number of a field -> its value. The bytes may be anything: what they claim is checked against how many there are.
"""

import struct
from typing import Any

Struct = dict[int, Any]

_MAX_DEPTH = 16  # of structs and lists within each other; Parquet's have 6
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)


def read_struct(data: bytes) -> tuple[Struct, int]:
    """Return the struct that `data` begins with, and where it ends. Raises ValueError or IndexError for others."""
    reader = _Reader(data)
    return reader.struct(0), reader.place


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def struct(self, depth: int) -> Struct:
        fields: Struct = {}
        number = 0
        while kind := self.byte():
            number = number + (kind >> 4) if kind >> 4 else self.integer()
            kind &= 15
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self.value(kind, depth + 1)
        return fields

    def value(self, kind: int, depth: int) -> Any:
        """Return a value of this kind within a struct or a list."""
        if depth > _MAX_DEPTH:
            raise ValueError("structs within structs without end")
        if kind in (_TRUE, _FALSE, _BYTE):
            return self.byte()
        if kind in (_I16, _I32, _I64):
            return self.integer()
        if kind == _DOUBLE:
            return struct.unpack("<d", self.take(8))[0]
        if kind == _BINARY:
            return self.take(self.unsigned())
        if kind in (_LIST, _SET):
            return self.list(depth)
        if kind == _STRUCT:
            return self.struct(depth)
        raise ValueError(f"a field of kind {kind}")  # a map too: Parquet has none

    def list(self, depth: int) -> list[Any]:
        header = self.byte()
        size = header >> 4 if header >> 4 < 15 else self.unsigned()
        if size > len(self.data) - self.place:  # each element has a byte at least
            raise ValueError(f"a list of {size} elements")
        return [self.value(header & 15, depth + 1) for _ in range(size)]

    def byte(self) -> int:
        value = self.data[self.place]
        self.place += 1
        return value

    def integer(self) -> int:
        """Return a number whose sign is its last bit."""
        value = self.unsigned()
        return (value >> 1) ^ -(value & 1)

    def unsigned(self) -> int:
        """Return a number of seven bits to a byte, the lowest first."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number of more than 64 bits")

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.place:
            raise ValueError(f"{size} bytes, more than there are")
        self.place += size
        return self.data[self.place - size : self.place]
