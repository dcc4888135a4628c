"""`dataclass` of the standard library, made in a fraction of the time: a daemon has some 200 of them, and making them
was a third of its start.

The standard one writes each method as source text and compiles it at once: six for a frozen class. Here they are
shared functions, and `__init__`, which has to be fast, is compiled when the first object is made, which for most is
never. What comes out is a dataclass for whoever looks (`fields`, `replace`, `asdict`, pydantic, pickle), and types are
checked as such. Only what this project uses is done so; the rest is left to the standard library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_OWN = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__getstate__", "__setstate__")

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, slots: bool, frozen: bool = False, kw_only: bool = False) -> Callable[[type], type]:
        """As `dataclasses.dataclass`, with slots."""

        def decorate(cls: type) -> type:
            inherits = any(dataclasses.is_dataclass(base) for base in cls.__bases__)
            if not slots or inherits or any(name in cls.__dict__ for name in _OWN):
                return dataclasses.dataclass(slots=slots, frozen=frozen, kw_only=kw_only)(cls)
            return _quickly(cls, frozen, kw_only)

        return decorate


def _quickly(plain: type[Any], is_frozen: bool, kw_only: bool) -> type[Any]:
    # Where there is none, the standard library derives one from the signature, which takes longest of all.
    plain.__doc__ = plain.__doc__ or plain.__name__
    cls: Any = dataclasses.dataclass(plain, init=False, repr=False, eq=False, slots=True, kw_only=kw_only)
    params = cls.__dataclass_params__
    params.init = params.repr = params.eq = True
    params.frozen = is_frozen
    fields = dataclasses.fields(cls)
    values = _getter(tuple(one.name for one in fields if one.compare))
    methods = [_init(cls, fields, is_frozen), _repr(tuple(one.name for one in fields if one.repr)), _eq(values)]
    if is_frozen:
        names = tuple(one.name for one in fields)
        hashed = tuple(one.name for one in fields if (one.compare if one.hash is None else one.hash))
        methods += [_hash(_getter(hashed)), *_refusals(cls, names), *_pickling(names)]
    else:
        cls.__hash__ = None
    for method in methods:
        method.__qualname__ = f"{cls.__qualname__}.{method.__name__}"
        setattr(cls, method.__name__, method)
    made: type[Any] = cls
    return made


def _getter(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """The values of these fields; a tuple unless it is one field."""
    return attrgetter(*names) if names else lambda _: ()


def _init(cls: Any, fields: tuple[dataclasses.Field[Any], ...], is_frozen: bool) -> Callable[..., None]:
    def __init__(self: Any, *given: Any, **named: Any) -> None:
        cls.__init__ = made = _compiled(cls, fields, is_frozen)
        made(self, *given, **named)

    return __init__


def _compiled(cls: Any, fields: tuple[dataclasses.Field[Any], ...], is_frozen: bool) -> Callable[..., None]:
    """The real `__init__`. Names that begin with two underscores are ours: the default of x is `__d_x`, its slot
    `__s_x`."""
    known: dict[str, Any] = {"__new": dataclasses.MISSING}
    head, named, body = ["self"], list[str](), list[str]()
    for one in fields:
        name, value = one.name, one.name
        if one.default is not dataclasses.MISSING:
            known[f"__d_{name}"] = one.default
            given = f"{name}=__d_{name}"
        elif one.default_factory is not dataclasses.MISSING:
            known[f"__d_{name}"] = one.default_factory
            given, value = f"{name}=__new", f"__d_{name}() if {name} is __new else {name}"
        else:
            given = name
        if not one.init:
            if given == name:
                continue
            value = f"__d_{name}()" if value != name else f"__d_{name}"
        else:
            (named if one.kw_only else head).append(given)
        if is_frozen:
            # The slot itself: past our refusal, and quicker than object.__setattr__, which looks for it first.
            known[f"__s_{name}"] = cls.__dict__[name].__set__
        body.append(f"__s_{name}(self, {value})" if is_frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join([*head, *(["*", *named] if named else [])])
    lines = "\n  ".join(body or ["pass"])
    space: dict[str, Any] = {}
    exec(f"def make({', '.join(known)}):\n def __init__({parameters}):\n  {lines}\n return __init__", space)
    made: Callable[..., None] = space["make"](**known)
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {one.name: one.type for one in fields if one.init} | {"return": None}
    return made


def _repr(names: tuple[str, ...]) -> Callable[[Any], str]:
    @recursive_repr()
    def __repr__(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _eq(values: Callable[[Any], Any]) -> Callable[[Any, object], bool]:
    def __eq__(self: Any, other: object) -> bool:
        return bool(values(self) == values(other)) if type(other) is type(self) else NotImplemented

    return __eq__


def _hash(values: Callable[[Any], Any]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:
        return hash(values(self))

    return __hash__


def _refusals(cls: type[Any], names: tuple[str, ...]) -> tuple[Callable[..., None], Callable[..., None]]:
    def __setattr__(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return __setattr__, __delattr__


def _pickling(names: tuple[str, ...]) -> tuple[Callable[[Any], list[Any]], Callable[[Any, list[Any]], None]]:
    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return __getstate__, __setstate__
