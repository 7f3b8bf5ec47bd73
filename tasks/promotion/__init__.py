"""From evaluation to champion: register, check, judge, decide, roll back."""
