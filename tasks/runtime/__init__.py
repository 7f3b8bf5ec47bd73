"""What every process needs: servers, child processes, retries, locks, the stage store, tracking."""
