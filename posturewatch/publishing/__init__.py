"""What is said: events and states to MQTT messages, words and notices."""
