"""The laboratory of rollouts: streams of payments, our detector, and others beside it."""
