"""Fuzz the decoders: ``python -m tests.fuzz --seconds 60``.

Any payload must give the declared number of bytes or `PatchError`, within time and memory that follow
from the declared size. With atheris, coverage guides the search; without it (if it has no wheel for
this Python), the same mutator runs unguided. Findings are written to ``findings/``.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from repoint.delta.codecs import CODECS
from repoint.delta.errors import PatchError
from tests.fuzz.mutating import mutate, mutate_bytes, mutate_hdiff, mutate_recipe

HERE = Path(__file__).parent
VECTORS = HERE.parent / "delta" / "vectors"
SECONDS = 2.0
"""Processor time allowed for decoding one of these small files; it takes a few milliseconds."""
MEMORY = 1 << 30
"""Bytes by which the process may grow in all."""
SHARE = 60.0
"""Seconds after which a new process continues: the coverage tool itself grows by some KiB a run."""


@dataclass
class Target:
    """A codec, an old file, the size of the new file, and a valid payload to start from."""

    codec: str
    old: bytes
    size: int
    seed: bytes


@dataclass
class Fuzzer:
    """Runs inputs and counts outcomes."""

    targets: list[Target]
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def run(self, number: int, payload: bytes) -> None:
        """Decode one payload; any outcome that is not allowed is a finding.

        Raises:
            AssertionError: It took too long.
            Exception: Any error other than `PatchError` and `MemoryError`.
        """
        target = self.targets[number % len(self.targets)]
        new = bytearray(target.size)
        started = time.process_time()
        try:
            CODECS.named(target.codec).decode(
                memoryview(target.old), memoryview(payload), memoryview(new)
            )
            self.outcomes["decoded"] += 1
        except PatchError as error:
            self.outcomes[f"{target.codec}: {error.message}"] += 1
        except MemoryError:
            self.outcomes["out of memory"] += 1
        took = time.process_time() - started
        self.slowest = max(self.slowest, took)
        assert took < SECONDS, f"decoding took {took:.1f} s"
        assert len(new) == target.size

    def mutated(self, number: int, payload: bytes, chance: random.Random) -> bytes:
        """Change a payload with knowledge of its codec."""
        target = self.targets[number % len(self.targets)]
        if target.codec == "elf":
            return mutate(payload, target.size, chance)
        if target.codec == "members":
            return mutate_recipe(payload, len(target.old), target.size, chance)
        if target.codec == "hdiff":
            return mutate_hdiff(payload, len(target.old), target.size, chance)
        return mutate_bytes(payload, chance)


def make_targets() -> list[Target]:
    """Return targets for every codec on small files, and for codec `elf` on every vector.

    An input of the corpus names its target by its index here: add new ones at the end.
    """
    targets = [compiled(name) for name in ("aarch64", "exec", "relr", "x86_64")]
    old, new = ((VECTORS / f"x86_64.{age}").read_bytes()[:4000] for age in ("old", "new"))
    for codec in ("hdiff", "zstd", "full", "xz"):
        payload = CODECS.named(codec).encode(memoryview(old), memoryview(new))
        assert payload is not None
        targets.append(Target(codec, old, len(new), payload))
    old, new = ((VECTORS / "members" / f"wheel.{age}").read_bytes() for age in ("old", "new"))
    payload = (VECTORS / "members" / "wheel.1.patch").read_bytes()
    targets.append(Target("members", old, len(new), payload))
    return [*targets, *(compiled(name) for name in ("gotable", "tiny", "wide"))]


def compiled(name: str) -> Target:
    """Return a vector of codec `elf` as a target."""
    old, new = ((VECTORS / f"{name}.{age}").read_bytes() for age in ("old", "new"))
    return Target("elf", old, len(new), (VECTORS / f"{name}.1.patch").read_bytes())


def run_unguided(fuzzer: Fuzzer, seconds: float, seed: int) -> None:
    """Mutate the valid payloads for a while, without coverage."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        payload = fuzzer.targets[number % len(fuzzer.targets)].seed
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            payload = fuzzer.mutated(number, payload, chance)
        try:
            fuzzer.run(number, payload)
        except BaseException:
            keep(fuzzer, number, payload)
            raise
        number += 1


def keep(fuzzer: Fuzzer, number: int, payload: bytes) -> None:
    """Save a finding and print how to reproduce it."""
    folder = HERE / "findings"
    folder.mkdir(exist_ok=True)
    path = folder / f"{number % len(fuzzer.targets)}-{abs(hash(payload)):x}"
    path.write_bytes(payload)
    print(f"A finding: python -m tests.fuzz --reproduce {path}", file=sys.stderr)


def run_guided(fuzzer: Fuzzer, seconds: float, seed: int) -> None:
    """Fuzz with inputs that atheris generates: one byte for the target, then the payload."""
    import atheris

    def mutator(data: bytes, limit: int, seed: int) -> bytes:
        chance = random.Random(seed)
        number = data[0] if data else chance.randrange(256)
        payload = bytes(data[1:]) or fuzzer.targets[number % len(fuzzer.targets)].seed
        return (bytes([number]) + fuzzer.mutated(number, payload, chance))[:limit]

    def one(data: bytes) -> None:
        if data:
            fuzzer.run(data[0], bytes(data[1:]))

    atheris.instrument_all()
    # New inputs are kept here; those worth keeping for everybody are in `corpus`.
    inputs = Path(".cache/fuzz")
    inputs.mkdir(parents=True, exist_ok=True)
    for number, target in enumerate(fuzzer.targets):
        (inputs / f"seed-{number}-{target.codec}").write_bytes(bytes([number]) + target.seed)
    findings = HERE / "findings"
    findings.mkdir(exist_ok=True)
    arguments = [sys.argv[0], f"-max_total_time={int(seconds)}", f"-seed={seed}", "-timeout=60",
                 "-rss_limit_mb=3000", "-max_len=20000", "-verbosity=0", "-print_final_stats=1",
                 f"-artifact_prefix={findings}/", str(inputs), str(HERE / "corpus")]  # fmt: skip
    atheris.Setup(arguments, one, custom_mutator=mutator)
    atheris.Fuzz()


def run_in_shares(seconds: float, seed: int) -> None:
    """Run one process after another; each continues with the inputs that the others found.

    Raises:
        SystemExit: One of them had a finding.
    """
    end = time.monotonic() + seconds
    share = 0
    while (left := end - time.monotonic()) > 0 and (share == 0 or left > 5):
        print(f"Share {share + 1}: {min(left, SHARE):.0f} s", flush=True)
        command = [sys.executable, "-m", "tests.fuzz", "--share", "--seed", str(seed + share),
                   "--seconds", str(max(1, int(min(left, SHARE))))]  # fmt: skip
        status = subprocess.run(command, check=False).returncode
        if status != 0:
            raise SystemExit(status)
        share += 1


def main() -> None:
    """Parse the arguments and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unguided", action="store_true", help="do not use coverage")
    parser.add_argument("--share", action="store_true", help="run in this process only")
    parser.add_argument("--reproduce", type=Path, help="run one finding")
    arguments = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ImportError:
        arguments.unguided = True
        print("atheris is not installed; mutating without coverage")
    if not (arguments.unguided or arguments.share or arguments.reproduce):
        run_in_shares(arguments.seconds, arguments.seed)
        return
    fuzzer = Fuzzer(make_targets())
    if arguments.reproduce is not None:
        number = arguments.reproduce.name.split("-")[0]
        fuzzer.run(int(number), arguments.reproduce.read_bytes())
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if arguments.unguided:
        run_unguided(fuzzer, arguments.seconds, arguments.seed)
    else:
        run_guided(fuzzer, arguments.seconds, arguments.seed)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert grown < MEMORY, f"the process grew by {grown >> 20} MiB"
    total = sum(fuzzer.outcomes.values())
    print(f"{total:,} patches, no finding; the slowest took {fuzzer.slowest * 1000:.0f} ms, "
          f"the process grew by {grown >> 20} MiB")  # fmt: skip
    for outcome, count in fuzzer.outcomes.most_common(12):
        print(f"  {count:>9,}  {outcome}")


if __name__ == "__main__":
    main()
