"""The zip format of torch's files, looked over before torch believes it."""

from __future__ import annotations

import zipfile

MAX_ENTRIES = 10_000
_DOS_FOLDER = 0x10


def archive_defect(archive: zipfile.ZipFile, n_file_bytes: int, max_compressed: int = 0) -> str | None:
    """What is wrong with an archive that torch is to read, in words; None for one that torch could have written.

    Such a one stores its tensors, so that they unpack to no more than the file holds; other entries, of code, may be
    compressed, and unpack to `max_compressed` bytes at most. Every byte is checked. May raise what zipfile does.
    """
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        return f"{len(entries)} entries; expected at most {MAX_ENTRIES}"
    # torch looks names up without regard to case and takes another of several than Python does.
    if len({entry.filename.casefold() for entry in entries}) != len(entries):
        return f"{len(entries)} entries, some of the same name; expected different names"
    # Stored sizes can never exceed the file, unless entries overlap.
    stored = sum(entry.file_size for entry in entries if not entry.compress_type)
    compressed = sum(entry.file_size for entry in entries if entry.compress_type)
    if stored > n_file_bytes or compressed > max_compressed:
        return (
            f"it unpacks to {stored + compressed} bytes from {n_file_bytes}, {compressed} of them compressed; "
            f"expected stored entries, and at most {max_compressed} bytes that are not"
        )
    # torch reads nothing for what is marked as a folder, and takes the memory as it finds it.
    folders = [entry.filename for entry in entries if entry.external_attr & _DOS_FOLDER or entry.is_dir()]
    if folders:
        return f"entry {folders[0]!r} is marked as a folder; expected files only"
    # torch itself believes every byte of a tensor.
    damaged = archive.testzip()
    if damaged is not None:
        return f"damaged: entry {damaged!r} does not match its checksum; expected the bytes written"
    return None
