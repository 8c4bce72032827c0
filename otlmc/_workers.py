"""Worker processes that do not outlive the process they work for."""

import os
import threading
import time


def end_with(parent: int) -> None:
    """Let this process, a child of ``parent``, end when that does.

    The workers of joblib wait for ever for a parent that was killed, and keep its memory.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
