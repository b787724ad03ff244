"""Helpers of every part of the package: checks of arguments, files, progress, tables for notebooks, use by threads."""
