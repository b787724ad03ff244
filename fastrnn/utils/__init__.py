"""What every part of the package may use: checks of arguments, progress, tables for notebooks, use by threads."""
