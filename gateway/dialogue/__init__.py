"""Dialogue: what a caller is asked, in which order, in which words; the same for every medium that asks."""
