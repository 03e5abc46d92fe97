"""What a person sees and types: live views, questions, log lines."""
