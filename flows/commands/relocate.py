from flows.settings import CommandSettings, finish


class Settings(CommandSettings):
    """Rewrite the locations of run state that was moved or copied before lstm-text did so automatically."""

    needs_tracking = False


def run(settings: Settings) -> int:
    from tasks.runtime.state.tracking_database import relocate_state

    done = relocate_state()
    print(f"{done.locations:,} locations rewritten, from {', '.join(done.moved_from) or 'nowhere: all are here'}")
    if done.left_behind:
        print(f"{done.left_behind:,} of these have their files only in the old folder; copy them too")
    return finish(settings, done)
