"""What the tests of several folders start and wait for; `from testbench.mosquitto import Mosquitto` in any of them."""
