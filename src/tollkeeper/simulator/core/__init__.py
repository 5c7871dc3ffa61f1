"""What every provider's face shares: HTTP, faults, time, collections. It knows no provider."""
