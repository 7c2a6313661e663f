"""`python -m initlab_tui` and the `initlab-tui` command."""

from initlab_tui.cli.app import main

if __name__ == "__main__":
    main()
