"""The runtime for tests: no threads, no disk, a virtual clock, one seed."""

from durable_objects.simulated.runtime import Crashed, SimulatedRuntime, Task

__all__ = ["Crashed", "SimulatedRuntime", "Task"]
