"""A new codec is one file, and one line (with its import) in the table."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import repoint

_TOY = '''
"""Codec `toy`: the new file is the old one with its bytes reversed."""

from repoint.delta.codecs.codec import Codec
from repoint.delta.errors import PatchError


class Toy(Codec):
    """The payload is one byte."""

    name = "toy"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        return b"!" if len(new) and bytes(old)[::-1] == new else None

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        if payload != b"!" or len(old) != len(new):
            raise PatchError("a toy payload is damaged")
        from mirror import mirrored  # loaded late, as heavy libraries are

        new[:] = mirrored(old)

    def prepare(self) -> None:
        import mirror  # noqa: F401
'''
_IMPORT = "from repoint.delta.codecs.toy import Toy\n"
_LINE = "    Toy(),\n"
_MIRROR = "def mirrored(data): return bytes(data)[::-1]\n"
_USE = """
import hashlib, io, json, sys, zipfile
from pathlib import Path
from repoint.delta.writer import PatchInput, write_patch
from repoint.delta.sandbox.child import DecodeJob, decode_in_child

def zipped(content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(zipfile.ZipInfo("data"), content, zipfile.ZIP_DEFLATED, 6)
    return out.getvalue()

folder = Path(sys.argv[1])
content = hashlib.shake_256(b"toy").digest(600_000)
old = {"file": content, "zip": zipped(content)}
new = {"file": content[::-1], "zip": zipped(content[::-1])}
inputs, jobs = [], []
for name in old:
    (folder / f"old-{name}").write_bytes(old[name])
    (folder / f"new-{name}").write_bytes(new[name])
    inputs.append(PatchInput(name, folder / f"new-{name}", f"old-{name}", folder / f"old-{name}"))
    digest = hashlib.sha256(new[name]).hexdigest()
    jobs.append(DecodeJob(name, folder / f"old-{name}", len(new[name]), digest))
entries = write_patch(folder / "patch", inputs)
(folder / "out").mkdir()
decode_in_child(folder / "patch", jobs, folder / "out")
same = [(folder / f"out/{i}").read_bytes() == new[name] for i, name in enumerate(new)]
print(json.dumps({"codecs": [e.codec for e in entries], "lengths": [e.length for e in entries],
                  "same": same}))
"""


def test_a_codec_in_one_file_and_one_line_wins_and_decodes_in_the_confined_process(
    tmp_path: Path,
) -> None:
    package = tmp_path / "package"
    shutil.copytree(
        Path(repoint.__file__).parent,
        package / "repoint",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (package / "mirror.py").write_text(_MIRROR)
    codecs = package / "repoint" / "delta" / "codecs"
    (codecs / "toy.py").write_text(_TOY)
    table = codecs / "__init__.py"
    text = table.read_text()
    for anchor, line in (("import CodecTable\n", _IMPORT), ("    Elf(),\n", _LINE)):
        assert text.count(anchor) == 1
        text = text.replace(anchor, anchor + line)
    table.write_text(text)

    done = subprocess.run(
        [sys.executable, "-c", _USE, str(tmp_path)],
        env={"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["codecs"] == ["toy", "members"]
    assert result["lengths"][0] == 1
    assert result["lengths"][1] < 400  # the toy codec encodes the zip file's member as well
    assert result["same"] == [True, True]
