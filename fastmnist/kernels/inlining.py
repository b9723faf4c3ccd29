"""How kernels are compiled: machine code of a kernel as a whole, and of nothing else.

Numba compiles every function all the way to machine code, callable from Python and from C. A device function only
ever becomes part of a kernel, which is optimised as a whole once its parts are linked in; none of that is used. Nor is
it of the three functions that Numba makes of each parallel loop: each was optimised and compiled together with all
that the loop calls. Going no further than LLVM's IR with both made a first `fastmnist train` take 10 s instead of 32 s;
the kernels' speed and every byte of their results stayed the same.

All of this hangs on private parts of Numba; jit.py decides whether they can be used.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
from llvmlite.binding import Linkage
from numba import prange, types
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import (
    DeadBranchPrune,
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    RewriteSemanticConstants,
    TranslateByteCode,
)
from numba.extending import intrinsic

from fastmnist.kernels.operations import Operations

LITERAL = "lanes"  # a parameter of device functions that is a constant to Numba
_STEPS = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    Operations,
    RewriteSemanticConstants,
    DeadBranchPrune,
    GenericRewrites,
    ReconstructSSA,
    NopythonTypeInference,
    PreLowerStripPhis,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
)


class _IRLibrary(JITCodeLibrary):
    """The IR of one function, without that of those it calls: a kernel links each of them once."""

    def finalize(self) -> None:
        """Let kernels drop the function where they don't need it."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = Linkage.linkonce_odr
        self._shared_module = self._final_module
        self._finalized = True

    def get_pointer_to_function(self, _name: str) -> int:
        """Return 0, as Numba does where there is no such function."""
        return 0


class _IRCodegen:
    """Numba's code generator, which makes no machine code."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def create_library(self, name: str) -> _IRLibrary:
        return _IRLibrary(self, name)

    def set_env(self, _name: str, _environment: Any) -> None:
        """Do nothing: there is no function that Python could call with its environment."""


class _KernelLibrary(JITCodeLibrary):
    """The machine code of a kernel."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        """Link callers before what they call, which LLVM leaves out until it is asked for.

        (Linking each function into each of its callers, and these into theirs, took a tenth of a first `train`.)
        """
        self._linking_libraries = _with_callees(self._linking_libraries)
        super().finalize()


def _with_callees(libraries: list[Any]) -> list[Any]:
    """Return libraries and all that they call, callers first."""
    found: dict[Any, None] = {}
    for library in libraries:
        _add_with_callees(library, found)
    return list(reversed(found))


def _add_with_callees(library: Any, found: dict[Any, None]) -> None:
    """Add a library to those that are found, after all that it calls."""
    if library not in found:
        for callee in library._linking_libraries:
            _add_with_callees(callee, found)
        found[library] = None


class KernelCompiler(Compiler):
    """Numba's compiler, except that a kernel's parallel loops are compiled no further than IR."""

    def define_pipelines(self) -> Any:
        """Return Numba's passes, set up so that only the kernel itself becomes machine code."""
        state = self.state
        codegen = state.targetctx.codegen()
        state.library = _KernelLibrary(codegen, state.func_id.func_qualname)
        state.library.enable_object_caching()
        of_loops = _IRCodegen(codegen)
        state.targetctx.codegen = lambda: of_loops  # in the context of this compilation, which is a copy
        return super().define_pipelines()


class _Passes(PassManager):
    """Those of Numba's passes that a device function needs, one after the other.

    Left out are the passes for closures, `with`, array expressions and the like, and what Numba does between passes: it
    recomputes the live variables, nine times. The kernel for pictures compiles in 10 % less time, to the same code.
    """

    def __init__(self) -> None:
        super().__init__("device function")
        for step in _STEPS:
            self.add_pass(step, step.__name__)
        self.finalize()

    def _runPass(self, _index: int, step: Any, state: Any) -> None:  # noqa: N802 (Numba's name)
        step.analysis = self._analysis
        step.run_initialization(state)
        step.run_pass(state)
        step.run_finalizer(state)


class _IRCompiler(Compiler):
    """Numba's compiler, stopped at IR."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _IRLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        return [_Passes()]

    def compile_extra(self, func: Any) -> Any:
        result = super().compile_extra(func)
        name = object()  # callers find a function under its entry point, and this one has none
        libraries = _with_callees([result.library])  # a caller that is no kernel links what it is told
        self.state.targetctx.insert_user_function(name, result.fndesc, libraries)
        return result._replace(entry_point=name)


class DeviceFunction(CPUDispatcher):
    """A function that kernels can call and Python cannot (TypeError): there is no machine code to run."""

    def __init__(self, function: Any, **options: Any) -> None:
        super().__init__(function, targetoptions={"nopython": True, **options}, pipeline_class=_IRCompiler)
        self._parameters = tuple(signature(function).parameters)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Compile per type, not per constant as Numba would: only `lanes`, which determines types, stays a constant."""
        if len(args) == len(self._parameters):
            named = zip(self._parameters, args, strict=True)
            args = [kind if name == LITERAL else types.unliteral(kind) for name, kind in named]
        return super().get_call_template(args, kws)

    def add_overload(self, cres: Any) -> None:
        """Remember a compiled signature, without telling the part of Numba that calls machine code."""
        self.overloads[tuple(cres.signature.args)] = cres


def address_of(dispatcher: Any, signature: Any) -> int:
    """Return the address of a kernel's machine code, compiled for the arguments of a signature."""
    overload = dispatcher.overloads[signature.args]
    if overload.signature.return_type != signature.return_type:
        raise TypeError(f"{dispatcher.__name__} returns {overload.signature.return_type}, not {signature.return_type}")
    return int(overload.library.get_pointer_to_function(overload.fndesc.llvm_func_name))


def caller_of(find_signature: Callable[[], Any]) -> Any:
    """Return call(address, arguments), which calls a kernel from another one, by address, with a tuple of arguments."""

    @intrinsic
    def call(_typing: Any, _address: Any, _arguments: Any) -> Any:
        signature = find_signature()
        returned, kinds = signature.return_type, signature.args

        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            convention = context.call_conv
            kind = convention.get_function_type(returned, kinds).as_pointer()
            arguments = cgutils.unpack_tuple(builder, values[1], len(kinds))
            code = builder.inttoptr(values[0], kind)
            status, result = convention.call_function(builder, code, returned, kinds, arguments)
            with cgutils.if_unlikely(builder, status.is_error):  # of the checked build
                convention.return_status_propagate(builder, status)
            return result

        return returned(types.intp, types.Tuple(kinds)), generate

    return call


def passes_trial(njit: Callable[..., Any]) -> bool:
    """Return whether `njit` compiles a small kernel of a device function and a call, which computes what it should."""
    try:
        signature = types.intp(types.intp)
        double, add_one = DeviceFunction(lambda number: 2 * number), njit(lambda number: number + 1)
        call = caller_of(lambda: signature)
        add_one.compile(signature.args)

        def fill(numbers: Any, address: int) -> None:
            for index in prange(len(numbers)):
                numbers[index] = call(address, (double(index),))

        for parallel in (False, True):
            numbers = np.zeros(3, np.int64)
            njit(fill, pipeline_class=KernelCompiler, parallel=parallel)(numbers, address_of(add_one, signature))
            if numbers.tolist() != [1, 3, 5]:
                return False
    except Exception:  # noqa: BLE001, RUF100  # whatever a changed Numba raises
        return False
    return True
