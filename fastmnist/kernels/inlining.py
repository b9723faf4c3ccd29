"""How the device functions that kernels are built from are compiled: to LLVM's IR, and no further.

Numba compiles every function all the way to machine code, callable from Python and from C. A device function only
ever becomes part of a kernel, which is optimised as a whole once its parts are linked in; none of that is used. Leaving
it out made a first `fastmnist train` take 16 s instead of 32 s; the kernels' speed and every byte of their results
stayed the same.

All of this hangs on private parts of Numba; jit.py decides whether they can be used.
"""

from collections.abc import Callable
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher


class _IRLibrary(JITCodeLibrary):
    """The IR of one function, to be linked into that of others."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:  # without handing it to the code generator
        self._finalize_dynamic_globals()
        self._finalized = True


class _IRCompiler(Compiler):
    """Numba's compiler, stopped at IR."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _IRLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        return super().define_pipelines()

    def compile_extra(self, func: Any) -> Any:
        result = super().compile_extra(func)
        name = object()  # callers find a function under its entry point, and this one has none
        self.state.targetctx.insert_user_function(name, result.fndesc, [result.library])
        return result._replace(entry_point=name)


class DeviceFunction(CPUDispatcher):
    """A function that kernels can call and Python cannot (TypeError): there is no machine code to run."""

    def __init__(self, function: Any, **options: Any) -> None:
        super().__init__(function, targetoptions={"nopython": True, **options}, pipeline_class=_IRCompiler)

    def add_overload(self, cres: Any) -> None:
        """Remember a compiled signature, without telling the part of Numba that calls machine code."""
        self.overloads[tuple(cres.signature.args)] = cres


def passes_trial(njit: Callable[..., Any]) -> bool:
    """Return whether `njit` compiles a small kernel with a device function, which computes what it should."""
    try:
        double = DeviceFunction(lambda number: 2 * number)
        return bool(njit(lambda number: double(number) + 1)(20) == 41)
    except Exception:  # noqa: BLE001, RUF100  # whatever a changed Numba raises
        return False
