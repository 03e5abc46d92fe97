"""Speaking to a broker: the connection, its settings, what is kept there, and a broker of our own."""
