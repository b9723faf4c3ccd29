"""What the exceptions of fsspec and of the packages below it mean.

Their texts may contain signed addresses, or anything that a server cares to say, so only codes are repeated.
"""

import re
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, NamedTuple

_CODE = re.compile(r"[A-Za-z0-9.]{1,40}")
_ABOUT_CREDENTIALS = re.compile(r"Credential|Profile|Token|Auth|Login|Refresh")  # in the names of exceptions
_REFUSED_CREDENTIALS = (
    "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed",
    "SignatureDoesNotMatch", "TokenRefreshRequired",
)  # fmt: skip
_BUSY_CODES = ("InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "ThrottlingException")
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_NO_SUCH_RANGE = ("InvalidRange", "416")


class Scope(Enum):
    """How far a fault reaches."""

    FILE = auto()  # this file only
    CREDENTIALS = auto()
    STORE = auto()  # everything there
    PASSING = auto()  # possibly temporary
    EMPTY = auto()  # not a fault: an empty file has no first byte


class Fault(NamedTuple):
    """A fault in words, and how far it reaches."""

    words: str
    scope: Scope


def fault_of(error: Exception) -> Fault:
    """Return what an exception means that came out of fsspec."""
    code, status, name = _code(error), _status(error), type(error).__name__
    shown = code or (str(status) if status else name)
    if code in _NO_SUCH_RANGE or status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return Fault("empty", Scope.EMPTY)
    if code in _REFUSED_CREDENTIALS or status == HTTPStatus.UNAUTHORIZED:
        return Fault(f"the credentials were refused ({shown})", Scope.CREDENTIALS)
    if code == "NoSuchBucket":
        return Fault("no such bucket", Scope.STORE)
    if code in _BUSY_CODES or status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fault(f"the server answered {shown}", Scope.PASSING)
    if isinstance(error, FileNotFoundError) or status == HTTPStatus.NOT_FOUND:
        return Fault("no such file", Scope.FILE)
    if isinstance(error, PermissionError) or status == HTTPStatus.FORBIDDEN:
        return Fault(f"access denied ({shown})", Scope.FILE)
    if isinstance(error, ValueError) or name == "ParamValidationError":
        return Fault(f"not something that the server can provide ({shown})", Scope.FILE)
    if _ABOUT_CREDENTIALS.search(name):
        return Fault(f"no usable credentials ({shown})", Scope.CREDENTIALS)
    if status:
        return Fault(f"the server answered {shown}", Scope.FILE)
    return Fault(f"no answer ({shown})", Scope.PASSING if _is_of_network(error) else Scope.FILE)


def _response(error: BaseException | None) -> dict[str, Any]:
    """Return what botocore keeps of a server's answer, {} where it is none of its exceptions."""
    response = getattr(error, "response", None)
    return response if isinstance(response, dict) else {}


def _code(error: Exception) -> str:
    """Return the word that S3 has for a fault, "" where there is none."""
    answer = _response(error) or _response(error.__cause__)
    code = str(answer.get("Error", {}).get("Code", ""))
    return code if _CODE.fullmatch(code) else ""


def _status(error: Exception) -> int:
    """Return the HTTP status of the answer, 0 where there is none."""
    answer = _response(error) or _response(error.__cause__)
    found = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    status = found or getattr(error, "status", 0) or getattr(error, "code", 0)
    return int(status) if str(status).isdecimal() else 0


def _is_of_network(error: Exception) -> bool:
    """Tell whether an exception came from a connection: those of libraries are told by where they are defined."""
    libraries = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return isinstance(error, OSError | EOFError | TimeoutError) or not libraries.isdisjoint(
        {"aiohttp", "aiobotocore", "botocore", "requests", "urllib3"}
    )
