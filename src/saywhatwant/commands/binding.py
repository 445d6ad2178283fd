"""Why a process cannot listen on an address."""

import errno

from saywhatwant.settings import WrongSettings

_ERRORS = {
    errno.EADDRINUSE: "is in use by another process; stop it or choose another port (--bind)",
    errno.EADDRNOTAVAIL: "is not an address of this machine; choose another (--bind)",
    errno.EACCES: "needs more rights for this port; choose one above 1023 (--bind)",
}


def cannot_bind(setting: str, address: str, error: OSError) -> WrongSettings:
    """The error for an address that the setting names."""
    what = _ERRORS.get(error.errno or 0, f"cannot be used: {error.strerror or error} (--bind)")
    return WrongSettings(f"{setting} {address} {what}")
