"""Comparisons of numbers: of a converted program with PyTorch, and of a changed model with the original.

``difference`` is the arithmetic and ``tolerance`` what counts as the same; ``samples`` makes the inputs,
``gradients`` and ``noise`` measure what their names say.

Two modules: ``comparison`` is for a fix, ``agreement`` for a replacement that a rule proposes.

A program beside its model: ``parity`` is the front, ``conversion`` makes the program, ``running`` runs both
sides, ``program_errors`` measures, ``judging`` concludes, ``edge_cases`` and ``flexible`` run it on other
inputs and sizes, ``device`` on Apple's hardware. Where the two differ, ``divergence`` names the call, with
``reference`` for PyTorch's values, ``side_by_side`` for the program's, and ``script`` for a piece to paste
into an issue.
"""
