"""How bots claim messages, and wait for those that are not there yet."""

from collections.abc import Container

from msgspec import UNSET, Raw

import durable_objects
from saywhatwant.errors import TooManyWaiting, WrongState
from saywhatwant.limits import MAX_ANSWER_BYTES, MAX_DUE_PER_CALL, MAX_TICKETS
from saywhatwant.message import Message
from saywhatwant.queue import lease
from saywhatwant.queue.memory import talk_of
from saywhatwant.queue.standing import Hold, Stand
from saywhatwant.queue.state import QueueState
from saywhatwant.queue.tickets import gateway_of
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
        held = self._assigned(self._held_by(worker_id, message, now, unfenced=unfenced), entities, also)
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
            held = self._assigned(self._held_by(worker_id, message, now, unfenced=unfenced), entities, also)
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
                self._end_past_stands(*gateway_of(wait.ticket))
        return ClaimNextResponse(messages, talks=talks if context else UNSET)

    def cancel(self, ticket: str, woken_for: tuple[str, ...] = ()) -> None:
        """A claim does not wait any more. The next ones are woken for what it was ``woken_for`` and did not take.

        Nor do those of its gateway from before that was last started.
        """
        self._now()
        self._waiting.remove(ticket)
        self._waiting.drop_past_lives(ticket)
        self._pass_on(woken_for)

    # -- Bots on sockets

    def stand(self, stand: Stand, holds: tuple[Hold, ...] = (), resumes: str | None = None) -> list[Hold]:
        """A bot stands in line with its hands, or goes on with other hands; returns all attempts that it now has here.

        From now on each message that becomes claimable, and that it is the first in line for, is handed to it in the same
        commit; a hand that gets free takes the next one. The event of the changed message, with ``botParams.socket``, tells the
        gateway; ``held`` returns the claim.

        Args:
            stand: the bot, its hands, and the entities that it takes messages to.
            holds: attempts that it had at an earlier socket. Those that still run go on at this one; of the others it gets, as
                a new attempt, those that are claimable and that it has a hand free for, before all other messages.
            resumes: that earlier socket, if it may not have ended here: it ends, and gives back what is not in ``holds``.

        Raises ``TooManyWaiting``.
        """
        now = self._now()
        if stand.socket not in self._standing and len(self._standing) + len(self._waiting.by_name) >= MAX_TICKETS:
            raise TooManyWaiting(f"{MAX_TICKETS} claims and bots already wait for work")
        expired = self._expire_due(now)
        wanted = {hold.message_id: hold.attempt for hold in holds}
        if resumes is not None and resumes != stand.socket:
            self._standing.remove(resumes)
            for message_id in self._standing.held(resumes):
                message = self._known(message_id)
                if wanted.get(message_id) != message.bot_params.attempt:
                    self._save(lease.release(message, now, self._config))
        self._waiting.drop_past_lives(f"{stand.gateway}/{stand.life}/")
        self._end_past_stands(stand.gateway, stand.life)
        self._standing.put(stand, now)
        for message_id, attempt in wanted.items():
            self._take_up(message_id, attempt, stand, now)
        self._wake(*expired)
        self._serve(stand.socket)
        held = map(self._known, self._standing.held(stand.socket))
        return [Hold(message.id, message.bot_params.attempt) for message in held]

    def leave(self, socket: str, *, give_back: bool = True) -> None:
        """The bot at this socket has left. What it holds is given back, as by ``release``.

        Without ``give_back`` it keeps its attempts: their leases become ordinary ones, in which it may come back.
        """
        self._now()
        self._end_stands([socket], give_back=give_back)

    @durable_objects.read
    def held(self, message_id: str, attempt: int, context: int) -> ClaimResponse:
        """The answer to a claim that has been granted; raises ``WrongState`` when that attempt has ended since."""
        message = self._known(message_id)
        lease.check_visible(message)
        params = message.bot_params
        if params.status != "processing" or params.attempt != attempt:
            raise WrongState(f"attempt {attempt} has ended: the message is {params.status}, at attempt {params.attempt}")
        talks = {message_id: self._talk_of(message, context)} if context else UNSET
        return ClaimResponse(Raw(self._index.encoded(message_id)), talks=talks)

    @durable_objects.read
    def stand_at(self, socket: str) -> Stand | None:
        """How the bot at this socket stands here; None if it does not."""
        return self._standing.get(socket)

    @durable_objects.read
    def sockets(self) -> list[str]:
        """The sockets whose bots stand here."""
        return list(self._standing)

    def _take_up(self, message_id: str, attempt: int, stand: Stand, now: int) -> None:
        """A bot that has come back goes on with an attempt, or gets the message again if nobody else has it."""
        message = self._index.get_unfinished(message_id)
        if message is None:
            return
        params = message.bot_params
        if params.status == "processing":
            is_its = params.attempt == attempt and params.claimed_by == stand.worker_id
            if is_its and params.socket != stand.socket and (params.lease_expires_at or 0) > now:
                self._save(lease.adopt(message, stand.socket, now, self._config), publish=False)
        elif lease.is_claimable(message):
            entities = self._standing.free(stand.socket)
            if entities is None or (entities and params.entity in {*entities, None}):
                self._save(self._held_at(stand.socket, message))

    def _end_past_stands(self, gateway: str, life: int) -> None:
        """End the stands of this gateway from before its last start."""
        self._end_stands(self._standing.of_past_lives(gateway, life, MAX_DUE_PER_CALL))

    # -- What to claim

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

    def _held_by(self, worker_id: str, message: Message, now: int, *, unfenced: bool) -> Message:
        skipped = self._skipped(message)
        return lease.hold(message, worker_id, now, self._config, unfenced=unfenced, skipped=skipped)

    def _talk_of(self, message: Message, limit: int) -> Talk:
        return talk_of(self._index, self.ctx.storage, message, limit)
