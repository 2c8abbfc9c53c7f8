"""HTML and SVG made from plain values, where foreign text can only ever be text.

A :class:`Markup` is what :func:`tag` made; every other string is escaped when it is put inside one.
"""

from __future__ import annotations

from html import escape

from convlint.text import visible


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None | list["Child"]
_EMPTY = frozenset(("br", "hr", "img", "input", "meta"))
EMPTY = Markup("")


def tag(element: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """``tag("a", "here", href=address)``. ``class_`` is ``class``, other underscores are hyphens.

    An attribute that is None or False is left out, one that is True has no value.
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
    """The children one after the other, what is not HTML escaped, what is None left out."""
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
    """A link to a page of the web; anything else, such as ``javascript:``, stays text."""
    if address.startswith(("https://", "http://")):
        return tag("a", text or address, href=address, rel="noreferrer")
    return tag("span", text or address)
