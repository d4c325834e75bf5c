"""The words after a command: wrong ones are told of in one line, and the exit status is 2."""

import argparse


class Parser(argparse.ArgumentParser):
    """argparse's, but for the lines of usage that it prints before what is wrong."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; --help shows what there is\n")
