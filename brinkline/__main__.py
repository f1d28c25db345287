"""``python -m brinkline``: the command line."""

from brinkline.cli import main

if __name__ == "__main__":
    main()
