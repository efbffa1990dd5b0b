"""How often the rule of the verdict is wrong, by simulation from fitted runs.

Imports what verdict may, and verdict.
"""
