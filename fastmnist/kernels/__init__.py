"""Compiled code only: no I/O, no validation, no printing."""
