"""What is shown of a cost: its counts, its bill, and dollars for a million round trips and for a month."""

from typing import Self

from msgspec import Struct

from saywhatwant.cost.bill import Bill
from saywhatwant.cost.counts import Counts
from saywhatwant.cost.designs import first_object, key_value
from saywhatwant.cost.prices import Prices


class Cost(Struct, frozen=True, rename="camel"):
    """What one design or workload costs. None where it has no figure of that kind."""

    name: str
    what: str
    bill: Bill
    counts: Counts | None
    """None for what was not counted, but told."""
    per_million_objects: float | None
    """Dollars for a million round trips, for what the objects do for them."""
    per_million: float | None
    """The same, with what pages ask for, and the Worker's requests."""
    per_month: float | None
    """Dollars for a month of all that."""

    @classmethod
    def of(cls, name: str, what: str, bill: Bill, counts: Counts | None = None) -> Self:
        """The cost of ``bill``."""
        return cls(
            name,
            what,
            bill,
            counts,
            per_million_objects=bill.per_million(bill.objects),
            per_million=bill.per_million(bill.total),
            per_month=bill.per_month(bill.total),
        )

    @classmethod
    def counted(cls, name: str, what: str, counts: Counts, prices: Prices) -> Self:
        """The cost of ``counts``."""
        return cls.of(name, what, Bill.of(counts, prices), counts)


class Report(Struct, frozen=True, rename="camel"):
    """Several costs at the same prices; first those of earlier designs."""

    prices: Prices
    costs: list[Cost]

    @classmethod
    def of(cls, prices: Prices, *costs: Cost) -> Self:
        """The report on ``costs``."""
        earlier = [
            Cost.of("first wall", "a key-value store: nine operations a message", key_value(prices)),
            Cost.of("its successor", "a Durable Object: four requests, three rows", first_object(prices)),
        ]
        return cls(prices, [*earlier, *costs])

    @property
    def counted(self) -> list[Cost]:
        """Those that were counted."""
        return [cost for cost in self.costs if cost.counts is not None]
