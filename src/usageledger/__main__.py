"""`python -m usageledger` is the command `usageledger`."""

from usageledger.cli import main

if __name__ == "__main__":
    main()
