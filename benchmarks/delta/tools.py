"""The tools: how each makes a patch of one file and applies it.

These functions run in a process of their own, and import what they need only there. A patch is a
file; both ways read and write files, since that is what an update does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import repoint.delta
from repoint.delta.zstd import zstd

if TYPE_CHECKING:
    import zstandard


@dataclass(frozen=True)
class Tool:
    """One way to make patches of single files.

    Attributes:
        name: What it is called in results and options.
        title: What it is called in tables.
        version: The release that is at hand; None where the tool is lacking.
        missing: What to do about that.
        encode: Makes the patch (old, new, patch); False where it has nothing to offer.
        decode: Makes the new file (old, patch, new).
    """

    name: str
    title: str
    version: Callable[[], str | None]
    missing: str
    encode: Callable[[Path, Path, Path], bool]
    decode: Callable[[Path, Path, Path], None]


def _elf_encode(old: Path, new: Path, patch: Path) -> bool:
    from repoint.delta.codecs import CODECS
    from repoint.delta.mapped import mapped

    with mapped(old) as before, mapped(new) as after:
        payload = CODECS.named("elf").encode(before, after)
    if payload is not None:
        patch.write_bytes(payload)
    return payload is not None


def _elf_decode(old: Path, patch: Path, new: Path) -> None:
    from repoint.delta.codecs import CODECS
    from repoint.delta.mapped import mapped

    with mapped(old) as before, mapped(patch) as payload, _made(new) as after:
        CODECS.named("elf").decode(before, payload, after)


@contextlib.contextmanager
def _made(new: Path) -> Iterator[memoryview]:
    """The new file, which has its length already, mapped for writing, as the device does it."""
    from repoint.delta.mapped import mapped_fd

    with new.open("r+b") as file, mapped_fd(file.fileno(), writable=True) as view:
        yield view


def _hdiff_encode(old: Path, new: Path, patch: Path) -> bool:
    from repoint.delta.codecs import CODECS

    payload = CODECS.named("hdiff").encode(memoryview(_read(old)), memoryview(_read(new)))
    if payload is not None:
        patch.write_bytes(payload)
    return payload is not None


def _hdiff_decode(old: Path, patch: Path, new: Path) -> None:
    import hdiffpatch

    new.write_bytes(hdiffpatch.apply(_read(old), _read(patch)))


def _bsdiff_encode(old: Path, new: Path, patch: Path) -> bool:
    import bsdiff4

    patch.write_bytes(bsdiff4.diff(_read(old), _read(new)))
    return True


def _bsdiff_decode(old: Path, patch: Path, new: Path) -> None:
    import bsdiff4

    new.write_bytes(bsdiff4.patch(_read(old), _read(patch)))


def _zstd_encode(old: Path, new: Path, patch: Path) -> bool:
    """`zstd --patch-from=OLD -22 --ultra --long=31`, through the library.

    It makes smaller patches than the program of Debian 12 does, which is older. The window is as
    large as both files need: more would only cost memory.
    """
    import zstandard

    before, after = _read(old), _read(new)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        22,
        source_size=len(before) + len(after),
        window_log=max(17, min(31, (len(before) + len(after)).bit_length())),
        enable_ldm=True,
        write_checksum=False,
    )
    dictionary = _zstd_dictionary(before)
    compressor = zstandard.ZstdCompressor(compression_params=parameters, dict_data=dictionary)
    patch.write_bytes(compressor.compress(after))
    return True


def _zstd_decode(old: Path, patch: Path, new: Path) -> None:
    import zstandard

    dictionary = _zstd_dictionary(_read(old))
    decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=1 << 31)
    new.write_bytes(decompressor.decompress(_read(patch)))


def _zstd_dictionary(old: bytes) -> zstandard.ZstdCompressionDict | None:
    import zstandard

    # A dictionary shorter than its magic number is an empty one to zstd.
    if len(old) < 8:
        return None
    return zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _xdelta_encode(old: Path, new: Path, patch: Path) -> bool:
    # By default it looks no further than 64 MiB; here it may see all of the old file.
    window = max(64 << 20, 1 << min(31, old.stat().st_size.bit_length()))
    return _program(["xdelta3", "-e", "-9", "-f", "-B", window, "-s", old, new, patch])


def _xdelta_decode(old: Path, patch: Path, new: Path) -> None:
    window = max(64 << 20, 1 << min(31, old.stat().st_size.bit_length()))
    _program(["xdelta3", "-d", "-f", "-B", window, "-s", old, patch, new])


def _xz_encode(old: Path, new: Path, patch: Path) -> bool:
    import lzma

    patch.write_bytes(lzma.compress(_read(new), preset=9 | lzma.PRESET_EXTREME))
    return True


def _xz_decode(old: Path, patch: Path, new: Path) -> None:
    import lzma

    new.write_bytes(lzma.decompress(_read(patch)))


def _program(command: list[object]) -> bool:
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL)
    return True


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _of_package(name: str) -> Callable[[], str | None]:
    def found() -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return found


def _xdelta_version() -> str | None:
    if shutil.which("xdelta3") is None:
        return None
    # It speaks of its version where others complain.
    done = subprocess.run(["xdelta3", "-V"], capture_output=True, text=True, check=False)
    words = (done.stderr + done.stdout).split()
    return words[2].rstrip(",") if len(words) > 2 else None


def _xz_version() -> str | None:
    import platform

    return f"python{platform.python_version()}"


def engine_version() -> str:
    """What the engine's results depend on: its own source, and the packages that it works with."""
    digest = hashlib.sha256()
    folder = Path(repoint.delta.__file__).parent
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".py", ".c", ".h", ".pyx", ".so"}:
            digest.update(os.fsencode(path.relative_to(folder)) + b"\0" + path.read_bytes())
    for package in ("hdiffpatch", "numpy"):
        digest.update(f"{package} {version(package)}\0".encode())
    digest.update(f"zstd {zstd.zstd_version}\0".encode())
    return digest.hexdigest()[:12]


_PIP = "pip install -r benchmarks/requirements.txt"
ELF = Tool("elf", "codec `elf` alone", engine_version, "", _elf_encode, _elf_decode)
PEERS = (
    Tool("hdiff", "HDiffPatch, LZMA2", _of_package("hdiffpatch"), _PIP,
         _hdiff_encode, _hdiff_decode),
    Tool("bsdiff", "bsdiff4", _of_package("bsdiff4"), _PIP, _bsdiff_encode, _bsdiff_decode),
    Tool("zstd", "zstd --patch-from -22", _of_package("zstandard"), _PIP,
         _zstd_encode, _zstd_decode),
    Tool("xdelta", "xdelta3 -9", _xdelta_version, "apt-get install xdelta3",
         _xdelta_encode, _xdelta_decode),
    Tool("xz", "full, xz -9e", _xz_version, "", _xz_encode, _xz_decode),
)  # fmt: skip
TOOLS = {tool.name: tool for tool in (ELF, *PEERS)}
PUBLISHER = "repoint"
"""Not a tool for one file: it makes one patch of all files of a pair, each with the best codec."""
