"""The program of the demo: a picture viewer that decodes WebP images with the bundled libwebp.

It runs until it is stopped. After every picture it writes one line to the file named by its first
argument.
"""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

from PIL import Image, features


def make_picture() -> bytes:
    """Draw a picture and encode it as WebP."""
    picture = Image.linear_gradient("L").convert("RGB")
    encoded = io.BytesIO()
    picture.save(encoded, "WEBP")
    return encoded.getvalue()


def main() -> None:
    """Decode the picture repeatedly."""
    log = Path(sys.argv[1])
    encoded = make_picture()
    while True:
        with Image.open(io.BytesIO(encoded)) as picture:
            picture.load()
            width, height = picture.size
        line = f"{os.getpid()} {features.version('webp')} {width}x{height}"
        temporary = log.with_suffix(".new")
        temporary.write_text(line)
        temporary.replace(log)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
