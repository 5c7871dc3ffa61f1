"""Planted changes of real descriptions, for `bench/mutations.py`: breaking kinds and neutral twins."""
