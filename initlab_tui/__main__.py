"""`python -m initlab_tui` and the `initlab-tui` command."""

import gc
import sys

from initlab_tui.cli import interrupts


def main() -> None:
    """Run the command line."""
    interrupts.exit_at_once()
    # Imports create many lasting objects and no garbage; collecting would take a tenth of the start-up time.
    gc.disable()
    from initlab_tui.cli import app

    gc.enable()
    try:
        code = app.main()
    except KeyboardInterrupt:
        code = interrupts.INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
