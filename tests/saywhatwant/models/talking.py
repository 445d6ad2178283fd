"""Messages of a talk, for tests of what is made of them."""

from itertools import count

from saywhatwant.message import BotParams, Message

_ids = count(1)


def said(text: str, username: str = "Ada", at: int = 0) -> Message:
    """What somebody says."""
    return _message(text, username, "human", None, at)


def answered(question: Message, text: str, username: str = "Zen", at: int = 0) -> Message:
    """The answer to it."""
    return _message(text, username, "AI", question.id, at)


def talk(*exchanges: tuple[str, str]) -> list[Message]:
    """The messages of a talk, from its questions and answers; an empty answer is none."""
    messages = []
    for question, answer in exchanges:
        asked = said(question)
        messages += [asked, answered(asked, answer)] if answer else [asked]
    return messages


def _message(text: str, username: str, kind: str, reply_to: str | None, at: int) -> Message:
    return Message(
        id=f"message{next(_ids)}",
        timestamp=at,
        text=text,
        username=username,
        color="169080199",
        message_type="AI" if kind == "AI" else "human",
        reply_to=reply_to,
        bot_params=BotParams(status="complete"),
    )
