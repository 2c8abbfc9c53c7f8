"""Completion of the command line for bash, zsh and fish, made from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from convlint.cli.help import shown


@dataclass(frozen=True, slots=True)
class _Word:
    """One option or argument; ``names`` is empty for a positional argument."""

    names: tuple[str, ...]
    choices: tuple[str, ...]
    takes_value: bool
    help: str


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script that a shell reads."""
    commands = dict(_commands(parser))
    if shell == "fish":
        return _fish(commands)
    script = _bash(commands)
    return script if shell == "bash" else f"autoload -U +X bashcompinit && bashcompinit\n{script}"


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[str, list[_Word]]]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            for name, each in action.choices.items():
                yield name, (helps.get(name, ""), [_word(one) for one in each._actions if shown(one)])


def _word(action: argparse.Action) -> _Word:
    choices = tuple(map(str, action.choices)) if action.choices is not None else ()
    text = "" if action.help is None else str(action.help)
    return _Word(tuple(action.option_strings), choices, action.nargs != 0, text)


def _bash(commands: dict[str, tuple[str, list[_Word]]]) -> str:
    cases: list[str] = []
    values: dict[str, tuple[str, ...]] = {}
    for name, (_, words) in commands.items():
        offered = [option for word in words for option in word.names if option.startswith("--")]
        offered += [choice for word in words if not word.names for choice in word.choices]
        cases.append(f'    {name}) words="{" ".join(offered)}" ;;')
        for word in (word for word in words if word.names and word.choices):
            values["|".join(f"{name}:{option}" for option in word.names)] = word.choices
    chosen = [
        f'    {names}) COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$current")); return ;;'
        for names, choices in values.items()
    ]
    return "\n".join(
        [
            "_convlint() {",
            '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words=""',
            "  COMPREPLY=()",
            "  if [ $COMP_CWORD -eq 1 ]; then",
            f'    COMPREPLY=($(compgen -W "{" ".join(commands)} --help --version" -- "$current"))',
            "    return",
            "  fi",
            '  case "${COMP_WORDS[1]}:$previous" in',
            *chosen,
            "  esac",
            '  case "${COMP_WORDS[1]}" in',
            *cases,
            "  esac",
            '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
            '  case "$current" in -*) ;; *) COMPREPLY+=($(compgen -f -- "$current")) ;; esac',
            "}",
            "complete -o filenames -F _convlint convlint",
            "",
        ]
    )


def _fish(commands: dict[str, tuple[str, list[_Word]]]) -> str:
    lines = []
    for name, (text, words) in commands.items():
        lines.append(f"complete -c convlint -n __fish_use_subcommand -a {name} -d {_quoted(text)}")
        for word in words:
            condition = f"-n '__fish_seen_subcommand_from {name}'"
            if not word.names:
                lines += [f"complete -c convlint {condition} -a {_quoted(' '.join(word.choices))}"] * bool(
                    word.choices
                )
                continue
            spelled = " ".join(
                f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}" for option in word.names
            )
            value = f" -xa {_quoted(' '.join(word.choices))}" if word.choices else " -r" * word.takes_value
            lines.append(f"complete -c convlint {condition} {spelled}{value} -d {_quoted(word.help)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
