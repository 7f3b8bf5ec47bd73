from flows.settings import ModelSettings, finish


class Settings(ModelSettings):
    """Show every decision on a model's champion, oldest first."""


def run(settings: Settings) -> int:
    from tasks.promotion.history import history_text, read_history

    history = read_history(settings.model_name)
    print(history_text(history))
    return finish(settings, history)
