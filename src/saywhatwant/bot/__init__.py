"""The bot: claims messages and answers them as entities."""

from saywhatwant.bot.loop import Bot

__all__ = ["Bot"]
