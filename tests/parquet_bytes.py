"""Parquet files put together by hand, so that each of their numbers can be a lie."""

import struct

BYTES, INT64 = 6, 2  # types of columns


class I32(int):
    """A number that a struct holds as 32 bits; other integers have 64."""


def unsigned(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


def kind_of(value):
    kinds = {bool: 1 if value else 2, I32: 5, int: 6, bytes: 8, list: 9, dict: 12}
    return kinds[type(value)]


def thrift(value):
    """A value in Thrift's compact protocol."""
    if isinstance(value, bool):
        return b""
    if isinstance(value, int):
        return unsigned((value << 1) ^ (value >> 63))
    if isinstance(value, bytes):
        return unsigned(len(value)) + value
    if isinstance(value, list):
        kind = kind_of(value[0]) if value else 12
        size = bytes((len(value) << 4 | kind,)) if len(value) < 15 else bytes((0xF0 | kind,)) + unsigned(len(value))
        return size + b"".join(map(thrift, value))
    fields, before = b"", 0
    for number, field in value.items():
        assert 0 < number - before < 16
        fields += bytes(((number - before) << 4 | kind_of(field),)) + thrift(field)
        before = number
    return fields + b"\0"


def page(content, count, **lies):
    """A data page of a column without nulls."""
    n_bytes = lies.get("n_bytes", len(content))
    counts = {1: I32(lies.get("n_values", count)), 2: I32(0), 3: I32(3), 4: I32(3)}
    return thrift({1: I32(0), 2: I32(lies.get("n_expanded", n_bytes)), 3: I32(n_bytes), 5: counts}) + content


def pictures_page(pictures, **lies):
    return page(b"".join(struct.pack("<I", len(picture)) + picture for picture in pictures), len(pictures), **lies)


def dictionary_pages(value, count):
    """A dictionary of one value, and a page of as many rows that have it."""
    values = struct.pack("<I", len(value)) + value
    header = thrift({1: I32(2), 2: I32(len(values)), 3: I32(len(values)), 7: {1: I32(1), 2: I32(0)}})
    run = b"\1" + unsigned(count << 1) + b"\0"  # places in the dictionary, of one bit, run-length encoded
    counts = {1: I32(count), 2: I32(8), 3: I32(3), 4: I32(3)}
    return header + values + thrift({1: I32(0), 2: I32(len(run)), 3: I32(len(run)), 5: counts}) + run


def labels_page(labels, **lies):
    return page(struct.pack(f"<{len(labels)}q", *labels), len(labels), **lies)


def parquet_file(pages, n_rows, schema=None, codec=0, meta=None, column=None, footer=None):
    """A file of the columns `pages`, name -> its pages. The others are what is changed in the footer."""
    content, columns = b"PAR1", []
    for name, encoded in pages.items():
        kind = INT64 if name == "label" else BYTES
        facts = {1: I32(kind), 2: [I32(0)], 3: [name.encode()], 4: I32(codec), 5: n_rows, 6: len(encoded),
                 7: len(encoded), 9: len(content)}  # fmt: skip
        columns.append((column or {}) | {2: 0, 3: dict(sorted((facts | (meta or {})).items()))})
        content += encoded
    elements = [{1: I32(INT64 if name == "label" else BYTES), 3: I32(0), 4: name.encode()} for name in pages]
    root = {4: b"schema", 5: I32(len(schema or elements))}
    groups = [{1: columns, 2: len(content), 3: n_rows}]
    described = thrift({1: I32(1), 2: [root, *(schema or elements)], 3: n_rows, 4: groups} | (footer or {}))
    return content + described + struct.pack("<I", len(described)) + b"PAR1"
