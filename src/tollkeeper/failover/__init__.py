"""Failover: when the version that carries traffic fails, move by proof."""
