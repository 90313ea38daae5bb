"""Run the simulation, print its tables, and write them into pages: ``make fleet-sim``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from repoint.fleet.guard.judgement import Limits
from repoint.fleet.simulation import alarms, tables
from repoint.fleet.simulation.scenarios import GOOD, LETTERS, USUAL, Fleets
from repoint.fleet.simulation.traffic import traffic
from repoint.publisher.rollout.plan import DEFAULT_RAMP

RAMPS = (DEFAULT_RAMP["routine"], DEFAULT_RAMP["exploited"], "1% 10% 50% 100% over 3d", "100%")
COMPARED = ("fails on 2 %", "fails on 5 %", "fails on 100 %", "hangs silently on 100 %")

INTRODUCTION = """\
`make fleet-sim` simulates {size} devices over a rollout, with the arithmetic of the schedule and
the guard that also run in production. The seeds are fixed. Devices check every 4 hours; 35 % are on
for 10 hours a day; 5 % are off when the rollout starts, for two weeks on average. Half activate a
letter within minutes, a quarter at night, and a quarter when a person restarts the device, after a
day on average. Four platforms have 70 %, 20 %, 8 % and 2 % of the devices. Any letter fails on
{usual:.1%} of devices. What happens at a restart is reported within an hour. The guard looks every
minute; a halt can be fetched a minute later, and a device learns of it at its next check.

**Hit** are devices on which the letter failed by its own fault, or hung. A device that a halt
reaches before it restarts is not hit.

### Letters that go wrong, with the default ramp `{ramp}`
"""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Simulate rollouts and the guard.")
    parser.add_argument("--devices", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=1_000, help="runs for the false alarms")
    parser.add_argument("--write", type=Path, nargs="*", default=[], help="pages to write into")
    options = parser.parse_args()
    started = time.monotonic()
    parts = report(options.devices, options.runs)
    text = "\n".join(parts)
    text += f"\n\nThe simulation took {time.monotonic() - started:.0f} s.\n"
    print(text)
    for page in options.write:
        tables.write(page, text)


def report(size: int, runs: int) -> list[str]:
    """Return the parts of the report."""
    default = Fleets(RAMPS[0], size)
    before = default.before()
    results = [default.run(letter, before) for letter in LETTERS]
    found = _false_alarms(default, runs)
    compared = []
    for ramp in RAMPS:
        fleets = default if ramp == default.ramp else Fleets(ramp, size)
        history = before if fleets is default else fleets.before()
        chosen = [fleets.run(each, history) for each in LETTERS if each.name in COMPARED]
        flow = traffic(fleets.devices(GOOD), fleets.minutes)
        compared.append((ramp, chosen, flow))
    return [
        INTRODUCTION.format(size=f"{size:,}", usual=USUAL, ramp=RAMPS[0]),
        tables.results_table(results, size),
        "\n### Good letters that are halted\n",
        f"Each figure is from {runs:,} rollouts; that of the whole guard is from {_few(runs):,} of "
        "a fiftieth of the devices, in which the letter and the one before it start at any hour of "
        "the day.\n",
        tables.alarms_table(found, Limits().false_alarms),
        "\n### Ramps: devices hit, and the time until devices have a good letter\n",
        "The second is the default for an exploited vulnerability, here with `--exploited halt`; "
        "the last is no ramp.\n",
        tables.ramps_table(compared),
        "\n### Times and requests\n",
        "A check asks once, five times if the catalog has changed, and ten times if it stages a "
        "letter.\n",
        tables.traffic_table([(ramp, flow) for ramp, _, flow in compared]),
    ]


def _false_alarms(fleets: Fleets, runs: int) -> list[tuple[str, str, float]]:
    devices, minutes = fleets.devices(GOOD), fleets.minutes
    designs: dict[str, alarms.Design] = {
        "this guard, failures": alarms.this_guard,
        "one that starts again after each good verdict": alarms.starting_again,
        "one that compares failures with confirmations": alarms.against_confirmations,
    }
    found = []
    for share in (Limits().tolerable, USUAL):
        shares = alarms.false_alarms(devices, minutes, share, designs, runs)
        found += [(name, f"fails on {share:.1%}", value) for name, value in shares.items()]
    whole = alarms.whole_guard(fleets.rollout, minutes, fleets.size // 50, _few(runs))
    return [*found, ("this guard, failures and silence", f"fails on {USUAL:.1%}", whole)]


def _few(runs: int) -> int:
    return max(runs // 5, 1)


main()
