"""What the walls between the rooms cost: the program against the same code in one module (`contrib/one-module`)."""

import os
import shutil
import unittest

import harness
from counted import CountedTest

ONE_MODULE = os.environ.get("APUS_ONE_MODULE")
# The most that walls may cost.
FACTOR = 1.02


@unittest.skipUnless(ONE_MODULE, "contrib/test --full builds the program in one module and names it in APUS_ONE_MODULE")
@unittest.skipUnless(shutil.which("valgrind"), "needs valgrind")
class Walls(CountedTest):

    def compare(self, what, cost):
        with_walls, without = cost(harness.BINARY), cost(ONE_MODULE)
        ratio = with_walls / without
        print(f"measured: {with_walls:.0f} instructions for {what}, {without:.0f} in one module: {ratio:.3f}x")
        self.assertLessEqual(ratio, FACTOR)

    def test_a_login(self):
        # Few sessions first, so that neither counts what happens only once.
        self.compare("an IMAP login", lambda binary: (
            self.instructions(binary, logins=220) - self.instructions(binary, logins=20)) / 200)

    def test_a_round_trip_in_the_relay(self):
        self.compare("a round trip in the relay", lambda binary: (
            self.instructions(binary, trips=1100) - self.instructions(binary, trips=100)) / 1000)


if __name__ == "__main__":
    unittest.main()
