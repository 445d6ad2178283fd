"""Models behind the OpenAI chat protocol.

``chat`` is the model. It makes a ``call`` for each answer: at one of its ``places`` (each with a ``circuit``), with the
``parameters`` that the model takes, over ``transport``, within its ``patience``. ``events`` and ``chunks`` read the stream;
``refusals`` and ``failures`` explain why there is no answer. ``windows`` asks servers for the size of a window.
"""

from saywhatwant.models.chat.chat import ChatModel

__all__ = ["ChatModel"]
