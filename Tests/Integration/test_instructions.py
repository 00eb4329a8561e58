"""How many instructions a worker needs for a round trip in the relay, counted by callgrind."""

import shutil
import unittest

import harness
from counted import CountedTest
from harness import REFERENCE

# Instructions in user space for one line from the client to the server behind and one back. Change it knowingly.
BUDGET = 1300


@unittest.skipIf(REFERENCE, "a budget for Apus")
@unittest.skipUnless(shutil.which("valgrind"), "needs valgrind")
class RoundTrips(CountedTest):

    def test_a_round_trip_in_the_relay(self):
        few, many = (self.instructions(harness.BINARY, trips=trips) for trips in (100, 1100))
        each = (many - few) / 1000
        print(f"measured: {each:.0f} instructions for a round trip (budget {BUDGET})")
        self.assertLessEqual(each, BUDGET)


if __name__ == "__main__":
    unittest.main()
