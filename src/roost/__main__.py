"""`python -m roost`."""

from roost.cli.main import main

if __name__ == "__main__":
    main()
