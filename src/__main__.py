"""`python -I src` runs the program from a clone: nothing has to be installed but the lock file."""

from tensor_guess.cli import main

if __name__ == "__main__":  # a process that fetches a backbone imports this file too
    main()
