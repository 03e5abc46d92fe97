"""A guided calibration: sit, stand, walk ten steps, bend, stand again; the sensor may be mounted in any way.

`judging.py` says what the poses are worth, `streams.py` gets them, `guide.py` talks to the wearer.
"""
