"""How bots claim messages, and wait for those that are not there yet."""

from collections.abc import Container

from msgspec import UNSET, Raw

from saywhatwant.limits import MAX_ANSWER_BYTES
from saywhatwant.message import Message
from saywhatwant.queue import lease
from saywhatwant.queue.memory import talk_of
from saywhatwant.queue.state import QueueState, talk_with
from saywhatwant.queue.waiting import Wait
from saywhatwant.schemas import ClaimNextResponse, ClaimResponse, Talk


class Claims(QueueState):
    """The calls that begin an attempt."""

    def claim(
        self,
        message_id: str,
        worker_id: str,
        *,
        entities: tuple[str, ...] | None = None,
        also: tuple[str, ...] = (),
        context: int = 0,
        unfenced: bool = False,
    ) -> ClaimResponse:
        """Hold one message; ``entities``, ``also``, ``context`` and ``unfenced`` as for ``claim_next``.

        Raises ``UnknownMessage``, or ``WrongState`` when it is not claimable now.
        """
        now = self._now()
        message = self._known(message_id)
        lease.check_claimable(message, now, self._config)
        if message.bot_params.status == "processing":
            self._count_expiry()
        held = self._assigned(lease.hold(message, worker_id, now, self._config, unfenced=unfenced), entities, also)
        encoded = Raw(self._save(held))
        return ClaimResponse(encoded, talks={held.id: self._talk_of(held, context)} if context else UNSET)

    def claim_next(
        self,
        worker_id: str,
        entities: tuple[str, ...] | None = None,
        limit: int = 1,
        *,
        also: tuple[str, ...] = (),
        context: int = 0,
        unfenced: bool = False,
        wait: Wait | None = None,
    ) -> ClaimNextResponse:
        """Hold up to ``limit`` of the most urgent claimable messages: all, or those to ``entities`` or to no entity.

        A message to no entity is assigned one of ``entities``, or of those that the same bot ``also`` answers for: the one that
        this person talked with last, else the one of ``entities`` whose turn it is. With ``context``, up to that many earlier
        messages of each talk come too; fewer messages are held when they exceed ``MAX_ANSWER_BYTES``. An ``unfenced`` claim's
        further calls need not name the attempt (P3).

        A claim with ``wait`` that finds nothing waits: once a message for it becomes claimable, an event ``work`` names its
        ticket, and the gateway claims again. Raises ``TooManyWaiting``.
        """
        now = self._now()
        if wait is not None:
            self._waiting.check_room(wait, now)
        expired = self._expire_due(now)
        messages: list[Raw] = []
        talks: dict[str, Talk] = {}
        room = MAX_ANSWER_BYTES
        taken: set[str | None] = set()
        woken_for = () if wait is None else wait.woken_for
        for message in self._chosen(limit, None if entities is None else (*entities, None), woken_for):
            taken.add(message.bot_params.entity)
            held = self._assigned(lease.hold(message, worker_id, now, self._config, unfenced=unfenced), entities, also)
            encoded = self._save(held)
            messages.append(Raw(encoded))
            if context:
                talk = talks[held.id] = self._talk_of(held, context)
                brought = 0 if talk.context is UNSET else self._config.max_context_bytes
                room -= len(encoded) + sum(map(len, talk.turns)) + brought
                if room < 0:
                    break
        if expired:
            self._wake(*expired)
        if wait is not None:
            self._pass_on(woken_for, taken)
            if messages:
                self._waiting.remove(wait.ticket)
            else:
                self._waiting.add(wait, entities, now)
        return ClaimNextResponse(messages, talks=talks if context else UNSET)

    def cancel(self, ticket: str, woken_for: tuple[str, ...] = ()) -> None:
        """A claim does not wait any more. The next ones are woken for what it was ``woken_for`` and did not take."""
        self._now()
        self._waiting.remove(ticket)
        self._pass_on(woken_for)

    def _assigned(self, message: Message, entities: tuple[str, ...] | None, also: tuple[str, ...]) -> Message:
        """The message, with an entity assigned if it names none; it keeps one that it was assigned before."""
        params = message.bot_params
        if params.entity is not None or not entities or params.assigned_entity in {*entities, *also}:
            return message
        entity = self._last_partner(message, (*entities, *also)) or self._index.longest_ago(entities)
        return lease.assign(message, entity, talk_with(message, entity))

    def _chosen(self, limit: int, entities: tuple[str | None, ...] | None, woken_for: tuple[str, ...]) -> list[Message]:
        """The most urgent claimable messages; for a woken claim those that it was woken for, unless one has a better priority.

        While it waited there was none for it, so what is older now is what other claims have been woken for.
        """
        ready = self._index.ready(limit, entities)
        if not woken_for:
            return ready
        known = filter(None, map(self._index.get_unfinished, woken_for))
        wanted = [message for message in known if entities is None or message.bot_params.entity in entities]
        own = [message for message in wanted if lease.is_claimable(message)]
        worst = max((message.bot_params.priority for message in own), default=0)
        urgent = [message for message in ready if message.bot_params.priority < worst]
        return list({message.id: message for message in (*urgent, *own, *ready)}.values())[:limit]

    def _pass_on(self, message_ids: tuple[str, ...], taken: Container[str | None] = ()) -> None:
        """Wake the next claims for these messages, except those to an entity of which another message was ``taken``.

        Nobody waits for that entity then, or the claim that was woken for the other message will find this one.
        """
        messages = filter(None, map(self._index.get_unfinished, message_ids))
        self._wake(*[message for message in messages if message.bot_params.entity not in taken])

    def _talk_of(self, message: Message, limit: int) -> Talk:
        return talk_of(self._index, self.ctx.storage, message, limit)
