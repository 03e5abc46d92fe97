"""The first run, step by step: sensor, placement, calibration, broker, desktop, files, service, one test reminder.

Each step is a module with one function that asks, tests, and writes its part into a draft in memory.  Files are written
in one step, near the end: whoever leaves before it leaves nothing behind.  `steps.py` has the order.
"""
