"""Bench: what the README claims of speed, measured; `python -m tests.bench`. It asserts no duration.

Every figure stands beside a baseline of the same run on the same machine, since a figure alone tells nothing.
"""
