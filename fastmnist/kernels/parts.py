"""Parts of kernels that are compiled separately, once for all kernels, and called by their address.

A kernel that calls a part is compiled without it: both can be compiled at the same time, by two processes, and a part
that is rarely needed only when it first is. The call costs 20 to 50 ns, which is nothing compared with a picture.
"""

from collections.abc import Callable
from typing import Any

from fastmnist.kernels.jit import inlined, private, serial_kernel


class Part:
    """A function that Python calls as a kernel, and kernels as `part.call(address, arguments)`, a tuple."""

    def __init__(self, function: Callable[..., Any], find_signature: Callable[[], Any]) -> None:
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.kernel = serial_kernel(function)
        self.call = _inlined(function) if private is None else private.caller_of(find_signature)
        self._find_signature = find_signature
        self._address = 0

    def __call__(self, *args: Any) -> Any:
        """Run it."""
        return self.kernel(*args)

    def address(self) -> int:
        """Return the address of its machine code, never 0; compile or load it first if need be."""
        if self._address == 0:
            self._address = 1 if private is None else self._compiled()
        return self._address

    def _compiled(self) -> int:
        signature = self._find_signature()
        self.kernel.compile(signature.args)
        return int(private.address_of(self.kernel, signature))


def _inlined(function: Callable[..., Any]) -> Any:
    """Make the same call for a Numba whose private parts are not known: the function becomes part of its callers."""
    device_function = inlined(function)
    return inlined(lambda _address, arguments: device_function(*arguments))


def part(find_signature: Callable[[], Any]) -> Callable[[Callable[..., Any]], Part]:
    """Make a part of a function, for the one signature that `find_signature` returns when it is to be compiled."""
    return lambda function: Part(function, find_signature)
