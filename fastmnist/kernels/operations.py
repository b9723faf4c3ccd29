"""min, max and int as operations: Numba would compile them as functions, in 35 ms for each type of their arguments."""

import operator
from collections.abc import Callable
from typing import Any

from numba.core import ir, types
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.cpython.builtins import do_minmax
from numba.extending import intrinsic


def _choice(compare: Callable[[Any, Any], Any]) -> Any:
    """Return what chooses one of two numbers, as Numba's min and max do."""

    @intrinsic
    def choose(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return do_minmax(context, builder, signature.args, args, compare)

        return typing.unify_types(a, b)(a, b), generate

    return choose


@intrinsic
def _to_int(_typing: Any, number: Any) -> Any:
    """Return a number as int: an integer as it is."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], number, signature.return_type)

    return (number if isinstance(number, types.Integer) else types.intp)(number), generate


# For each builtin: how many arguments it must have, and what replaces it then.
_OPERATIONS = {min: (2, _choice(operator.lt)), max: (2, _choice(operator.gt)), int: (1, _to_int)}


@register_pass(mutates_CFG=False, analysis_only=False)
class Operations(FunctionPass):
    """Replaces these calls in a function that Numba compiles, which saves half a second for a first picture."""

    _name = "operations"

    def __init__(self) -> None:
        super().__init__()  # which is abstract there

    def run_pass(self, state: Any) -> bool:
        """Return whether the function has changed."""
        for block in state.func_ir.blocks.values():
            n_arguments = {call.func.name: len(call.args) for call in block.find_exprs("call")}
            for assigned in block.find_insts(ir.Assign):
                named = assigned.value
                if isinstance(named, ir.Global) and callable(named.value):
                    n, operation = _OPERATIONS.get(named.value, (0, None))
                    if n_arguments.get(assigned.target.name) == n:
                        assigned.value = ir.Global(named.name, operation, named.loc)
        return True
