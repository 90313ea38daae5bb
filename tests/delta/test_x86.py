"""The frozen rules by which references are found in x86-64 code, one instruction at a time."""

from __future__ import annotations

import numpy as np
import pytest

from repoint.delta.elf.common.layout import Layout, Section
from repoint.delta.elf.references.kinds import PC4, PC5, PC6, PC8
from repoint.delta.elf.references.x86 import X86Scanner

_CODE = 0x1000
_SIZE = 0x400
_DATA = 0x8000
_AT = 0x100


def found(instruction: str) -> tuple[int, int, int] | None:
    """The reference in one instruction amid NOPs: offset in it, kind and distance of the target."""
    code = bytearray(b"\x90" * _SIZE)
    raw = bytes.fromhex(instruction)
    code[_AT : _AT + len(raw)] = raw
    section = Section(".text", 1, 6, _CODE, 0, _SIZE, _SIZE, 0, 0)
    none = np.zeros(1, np.int64)
    layout = Layout(62, False, (section,), 1 << 20, _CODE, _DATA, none, none)
    pos, kind, target = X86Scanner(np.frombuffer(bytes(code), np.uint8), layout, section).scan(
        0, _SIZE
    )
    if not len(pos):
        return None
    assert len(pos) == 1
    return int(pos[0]) - _AT, int(kind[0]), int(target[0]) - (_CODE + _AT + len(raw))


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("e8 00 01 00 00", (1, PC4, 0x100)),  # call, near
        ("e9 f0 00 00 00", (1, PC4, 0xF0)),  # jmp
        ("0f 84 40 00 00 00", (2, PC4, 0x40)),  # je
        ("48 8b 05 00 20 00 00", (3, PC4, 0x2000)),  # mov rax, [rip + x]
        ("48 8d 0d 00 20 00 00", (3, PC4, 0x2000)),  # lea rcx, [rip + x]
        ("80 3d 00 20 00 00 01", (2, PC5, 0x2000)),  # cmp byte [rip + x], imm8
        ("66 c7 05 00 20 00 00 01 00", (3, PC6, 0x2000)),  # mov word [rip + x], imm16
        ("c7 05 00 20 00 00 01 00 00 00", (2, PC8, 0x2000)),  # mov dword [rip + x], imm32
        ("f6 05 00 20 00 00 01", (2, PC5, 0x2000)),  # test byte [rip + x], imm8
        ("f7 1d 00 20 00 00", (2, PC4, 0x2000)),  # neg dword [rip + x]: no immediate
        ("0f 10 05 00 20 00 00", (3, PC4, 0x2000)),  # movups xmm0, [rip + x]
        ("66 0f 38 17 05 00 20 00 00", (5, PC4, 0x2000)),  # ptest, map 0F 38
        ("66 0f 3a 0f 05 00 20 00 00 03", (5, PC5, 0x2000)),  # palignr, map 0F 3A, imm8
        ("c5 f8 28 05 00 20 00 00", (4, PC4, 0x2000)),  # vmovaps, two-byte VEX
        ("c4 e2 79 18 05 00 20 00 00", (5, PC4, 0x2000)),  # vbroadcastss, VEX map 2
        ("c4 e3 79 0f 05 00 20 00 00 03", (5, PC5, 0x2000)),  # vpalignr, VEX map 3, imm8
        ("62 f1 7c 48 28 05 00 20 00 00", (6, PC4, 0x2000)),  # vmovaps zmm, EVEX map 1
        ("c6 0d 00 20 00 00 01", None),  # C6 needs ModRM.reg = 0
        ("48 8b 05 00 00 10 00", None),  # target outside of loaded memory
    ],
)
def test_the_reference_of_an_instruction_is_found(
    instruction: str, expected: tuple[int, int, int] | None
) -> None:
    assert found(instruction) == expected
