"""How often the verdict's rule is wrong, by simulation. Imports what verdict may, and verdict."""
