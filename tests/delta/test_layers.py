"""The modules of the delta engine: no cycles, and nothing on a device that only a vendor needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import repoint.delta

FOLDER = Path(repoint.delta.__file__).parent
ELF_ROOMS = ["common", "references", "payload", "prediction", "matching"]


def modules() -> dict[str, Path]:
    found = {}
    for path in FOLDER.rglob("*.py"):
        parts = ("repoint", "delta", *path.relative_to(FOLDER).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports_of(path: Path, known: set[str]) -> set[str]:
    """The modules of the engine that a module imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found & known


def test_no_modules_import_each_other() -> None:
    files = modules()
    # A package's own file is loaded with every module in it.
    graph = {name: imports_of(path, set(files)) for name, path in files.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_each_room_of_the_elf_codec_imports_only_rooms_before_it() -> None:
    for number, room in enumerate(ELF_ROOMS):
        later = {"repoint.delta.elf.codec", "repoint.delta.elf.encode", "repoint.delta.elf.decode"}
        later |= {f"repoint.delta.elf.{other}" for other in ELF_ROOMS[number + 1 :]}
        for path in (FOLDER / "elf" / room).glob("*.py"):
            imported = imports_of(path, set(modules()))
            assert not {name for name in imported if name.startswith(tuple(later))}, path


def test_no_room_has_grown_beyond_ten_files() -> None:
    for folder in [FOLDER, *(path for path in FOLDER.rglob("*") if path.is_dir())]:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 11, folder


def test_the_decoding_process_loads_nothing_that_only_encodes() -> None:
    code = (
        "import sys\n"
        "from repoint.delta.sandbox import decoder\n"
        "decoder.prepare()\n"
        "print(sorted({'hdiffpatch', 'zstandard', 'repoint.delta.encoding'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_parent_of_the_decoding_process_loads_no_decoder() -> None:
    code = (
        "import sys\n"
        "import repoint.delta.sandbox.child\n"
        "print([name for name in sys.modules if name.startswith(('repoint.delta.codecs',"
        " 'repoint.delta.elf', 'repoint.delta.container', 'numpy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
