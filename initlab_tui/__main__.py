"""`python -m initlab_tui` and the `initlab-tui` command."""

import gc


def main() -> None:
    """Run the command line."""
    # Imports make much that lives long and nothing to collect: looking for it takes a tenth of the start.
    gc.disable()
    from initlab_tui.cli import app

    gc.enable()
    app.main()


if __name__ == "__main__":
    main()
