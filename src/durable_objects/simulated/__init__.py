"""The runtime for tests: no threads, no disk, a virtual clock, one seed."""

from durable_objects.simulated.runtime import SimulatedRuntime
from durable_objects.simulated.task import Crashed, Task

__all__ = ["Crashed", "SimulatedRuntime", "Task"]
