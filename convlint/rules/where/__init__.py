"""The ``where`` language: conditions of rules, as data."""
