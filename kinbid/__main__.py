"""``python -m kinbid``."""

from kinbid.cli import main

if __name__ == "__main__":
    main()
