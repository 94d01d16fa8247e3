"""`python -I src` runs the program from a clone: nothing has to be installed but the lock file."""

from tensor_guess.cli import main

main()
