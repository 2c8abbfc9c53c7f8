"""HTML and SVG made from plain values, in which foreign text can only be text.

:func:`tag` makes a :class:`Markup`; every other string is escaped when it is put inside one.
"""

from __future__ import annotations

from html import escape

from convlint.text import visible


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


Child = str | None | list["Child"]
_EMPTY = frozenset(("br", "hr", "img", "input", "link", "meta"))
EMPTY = Markup("")


def tag(element: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element, as in ``tag("a", "here", href=address)``; ``class_`` means ``class``, ``_`` means ``-``.

    An attribute that is None or False is left out, one that is True gets no value.
    """
    words = "".join(
        f" {_attribute(name)}" if value is True else f' {_attribute(name)}="{_escaped(str(value))}"'
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if element in _EMPTY:
        return Markup(f"<{element}{words}>")
    return Markup(f"<{element}{words}>{join(list(children))}</{element}>")


def join(children: list[Child]) -> Markup:
    """The children one after the other; text is escaped, None left out."""
    return Markup("".join(map(_child, children)))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, list):
        return join(child)
    return child if isinstance(child, Markup) else _escaped(child)


def _escaped(text: str) -> str:
    return escape(visible(text), quote=True)


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def link(address: str, text: str = "") -> Markup:
    """A link to a web page; any other address, such as ``javascript:``, stays text."""
    if address.startswith(("https://", "http://")):
        return tag("a", text or address, href=address, rel="noreferrer")
    return tag("span", text or address)
