"""An answer while a model writes it.

``reasoning`` leaves out what the model thinks, ``cut`` what it writes as the visitor. Both look for ``marks``, which may
arrive in pieces.
"""

from saywhatwant.models.draft.draft import Draft

__all__ = ["Draft"]
