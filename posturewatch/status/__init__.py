"""How it does: health, status, why, and what a bug report needs."""
