"""``python -m benchmarks.keyvalue``: the original design on a key-value store, simulated.

It compares the original wall on a simulated, eventually consistent key-value store with this product on the simulated runtime:
the same people post at the same moments, with the same readers and bots, on a virtual clock. It prints how many messages
reached a reader, how many were answered more than once, and how many store operations a message cost from its post to its
completion. Polls, which cost the same with and without a message, are not counted on either side.

The store follows the documentation of such stores, above all Cloudflare's Workers KV
<https://developers.cloudflare.com/kv/>. How the original wall used it is a reconstruction: each assumption is a constant with a
docstring, or a comment.
"""

import argparse
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks.keyvalue.durable import DurableWall
from benchmarks.keyvalue.original import KeyValueWall
from benchmarks.keyvalue.scenario import READERS, Outcome, Scenario, Wall
from benchmarks.keyvalue.simulation import Simulation
from benchmarks.keyvalue.store import CACHED_SECONDS

DRAIN_SECONDS = 5 * CACHED_SECONDS
"""How long readers and bots continue after the last post."""
BOTS = 2
POSTERS = (1, 4, 16)
"""Numbers of people who post."""
LOCATIONS = (1, 4)
"""Numbers of locations of the store's network, over which people, readers and bots are spread evenly."""


def simulate(scenario: Scenario, system: Callable[[Simulation, Scenario], Wall]) -> Outcome:
    """Run a scenario on a system until everything is posted and `DRAIN_SECONDS` are over."""
    simulation = Simulation()
    wall = system(simulation, scenario)
    for process, number in ((wall.poster, scenario.posters), (wall.reader, READERS), (wall.bot, BOTS)):
        for each in range(number):
            simulation.start(process(each))
    simulation.run(max(sum(scenario.pauses(poster)) for poster in range(scenario.posters)) + DRAIN_SECONDS)
    wall.outcome.operations = wall.operations()
    return wall.outcome


def main() -> None:
    """Simulate both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    shown = Table("people", "locations", "system", "reached a reader", "answered again", "operations each", box=None)
    for posters in POSTERS:
        for locations in LOCATIONS:
            scenario = Scenario(posters, locations, arguments.messages, arguments.seed)
            for name, system in (("key-value", KeyValueWall), ("this product", DurableWall)):
                outcome = simulate(scenario, system)
                shares = (f"{outcome.reached:.0%}", f"{outcome.answered_again:.0%}")
                shown.add_row(str(posters), str(locations), name, *shares, f"{outcome.operations_each:.1f}")
    console = Console()
    console.print(shown)
    console.print(f"{arguments.messages} messages, {READERS} readers, {BOTS} bots; seed {arguments.seed}", style="dim")


if __name__ == "__main__":
    main()
