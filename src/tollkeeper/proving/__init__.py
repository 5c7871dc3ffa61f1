"""The proving ground of verdicts: scenario files, what breaks things for real, and the score."""
