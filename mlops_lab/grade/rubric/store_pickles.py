"""store-4: a model file is a program. The gifts are pickles that would write a canary file if they were loaded."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.shared_folder import SharedFolder

exercise = Exercise("store-4", "A model file is a program", names=("calls",), section="Notebook 3, section 4",
                    hints=RAISES)  # fmt: skip
CANARY = "canary"


def _text(value: str) -> bytes:
    """Return the opcodes that push a text, as protocol 4 writes it."""
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data + b"\x94"


def old(module: str, name: str, argument: str, protocol: int = 0) -> bytes:
    """Return a pickle that calls a function with a text, by the opcode GLOBAL of the protocols up to 3."""
    head = b"" if protocol < 2 else b"\x80" + bytes([protocol])
    push = b"V" + argument.encode("raw-unicode-escape") + b"\n"
    return head + b"c" + module.encode() + b"\n" + name.encode() + b"\n(" + push + b"tR."


def new(module: str, name: str, argument: str) -> bytes:
    """Return the same by STACK_GLOBAL, as protocol 4 writes it: two texts are pushed first."""
    return b"\x80\x04" + _text(module) + _text(name) + b"\x93(" + _argument(argument) + b"tR."


def _argument(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def gifts(canary: str, *, held_out: bool) -> dict[str, tuple[bytes, str]]:
    """Return pickles that would write a canary file, and the name that each calls."""
    program, shell = f"open({canary!r}, 'w').close()", f"touch {canary}"
    if held_out:
        return {
            "memory": (_from_memory(program), "builtins.exec"),
            "inside": (_inside(program), "builtins.eval"),
            "run": (new("runpy", "run_path", canary), "runpy.run_path"),
        }
    return {
        "system": (old("posix", "system", shell), "posix.system"),
        "exec": (old("builtins", "exec", program, 2), "builtins.exec"),
        "eval": (old("builtins", "eval", program, 3), "builtins.eval"),
        "new system": (new("posix", "system", shell), "posix.system"),
        "new exec": (new("builtins", "exec", program), "builtins.exec"),
        "new popen": (new("subprocess", "getoutput", shell), "subprocess.getoutput"),
    }


def _from_memory(program: str) -> bytes:
    """Return a pickle whose second function is named by texts that were pushed long before, and kept."""
    kept = _text("builtins") + b"0" + _text("exec") + b"0" + _text("a") + b"0"
    return b"\x80\x04" + kept + b"h\x00h\x01\x93(" + _argument(program) + b"tR."


def _inside(program: str) -> bytes:
    """Return a pickle of honest numbers with a call among them."""
    return b"\x80\x04](K\x01K\x02" + _text("builtins") + _text("eval") + b"\x93(" + _argument(program) + b"tR" + b"e."


def honest() -> dict[str, tuple[bytes, str]]:
    """Return pickles of scikit-learn's models, and the name of the class of each."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    found = {}
    for number, model in enumerate((LogisticRegression, KNeighborsClassifier, StandardScaler, DecisionTreeClassifier)):
        found[model.__name__] = (pickle.dumps(model(), protocol=2 + number % 3), model.__name__)
    return found


def _names(answer: Answer, case: Case, shared: SharedFolder, name: str, content: bytes) -> set[str]:
    """Return the names that a student's function finds in a pickle, with dots between their parts."""
    path = shared.put(f"{name.replace(' ', '-')}.pkl", content)
    done = answer.calls.call(path)
    case.expect(CANARY not in shared.files(), "The canary file is there: the pickle was run.", hint="ran")
    case.expect(not done.error, f"calls raised {done.error}", hint="raises", received=done.error)
    said: Any = done.value
    case.expect(isinstance(said, Iterable) and not isinstance(said, str), "calls gives no names.", hint="form",
                expected="a list of names", received=said)  # fmt: skip
    return {
        ".".join(map(str, one)) if isinstance(one, tuple | list) else str(one).replace(" ", ".").replace(":", ".")
        for one in said
    }


HINTS = {
    "ran": Hint("The canary is there: looking was running.", "This one only wrote a file."),
    "form": Hint("Something else than a list of names came back.", "Names such as 'builtins.exec'."),
    "list-of-bad": Hint(
        "{absent} was not named.", "Lists of bad names are never complete. Which names does a model need?"
    ),
    "stack-global": Hint(
        "You saw no name in {n} of the gifts.", "Newer pickles push two strings and use STACK_GLOBAL."
    ),
    "memory": Hint(
        "{absent} was not named.",
        "STACK_GLOBAL takes the two strings on the top of the stack, and one may have been fetched from the memo.",
    ),
}


@exercise.check("gifts", "The names that six gifts would call, without calling them", points=4, held_out=3,
                covers="names that stand elsewhere in the pickle", hints=HINTS)  # fmt: skip
def gifts_named(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    given = gifts(shared.path(CANARY), held_out=case.held_out)
    absent = {name: wanted for name, (content, wanted) in given.items()
              if wanted not in _names(answer, case, shared, name, content)}  # fmt: skip
    if not absent:
        return
    seen = [name for name in given if name not in absent]
    new_missed = all(name.startswith("new") for name in absent) and len(absent) == 3
    some = any("system" in name for name in seen) and not any("exec" in name for name in seen)
    key = "memory" if case.held_out else "stack-global" if new_missed else "list-of-bad" if some else ""
    case.fail(f"{len(absent)} of {len(given)} gifts were not seen through.", hint=key, n=len(absent),
              absent=next(iter(absent.values())), share=max(0.0, 1 - 2 * len(absent) / len(given)),
              expected=", ".join(sorted(set(absent.values()))), received="other names")  # fmt: skip


@exercise.check("honest", "The classes that four honest models name", points=1, needs="sklearn", hints={
    **HINTS,
    "unseen": Hint("{name} was not named.", "A pickle names every class that it makes, and honest ones name theirs."),
    "accused": Hint("{names} stand nowhere in the file of {name}.", "Say what the file calls, and nothing else."),
})  # fmt: skip
def honest_named(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    for name, (content, wanted) in honest().items():
        said = _names(answer, case, shared, name, content)
        case.expect(any(one.endswith(wanted) for one in said), "A class was not named.", hint="unseen", name=name,
                    expected=wanted, received=", ".join(sorted(said)))  # fmt: skip
        alien = sorted(one for one in said if one.split(".")[-1].encode() not in content)
        case.expect(not alien, "A name was made up.", hint="accused", names=", ".join(alien), name=name,
                    received=", ".join(alien))  # fmt: skip
