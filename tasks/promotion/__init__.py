"""From evaluation to champion: register, check, decide, roll back."""
