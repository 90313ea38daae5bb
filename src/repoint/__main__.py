"""``python -m repoint`` is the ``repoint`` command."""

from repoint.cli import main

if __name__ == "__main__":
    main()
