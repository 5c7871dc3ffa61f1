"""Planted changes of real descriptions for `bench/mutations.py`: breaks and neutral twins."""
