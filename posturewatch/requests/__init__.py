"""What people and other devices ask: commands, what they mean, and who answers."""
