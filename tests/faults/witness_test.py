"""The witness of the fault matrix can fail: a guest that is let run twice is caught, and one that moves is not."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from attempt import Attempt


class Planted(Attempt):
    """A good migration, and then `mistake`."""

    def __init__(self, mistake):
        super().__init__("planted")
        self.mistake = mistake

    def go(self):
        self.source = self.start("source")
        self.destination = self.start("destination", "-incoming", "unix:%s/m" % self.directory)
        self.source.qmp.command("migrate", uri="unix:%s/m" % self.directory)
        self.expect_moved(self.destination)
        self.mistake(self)


class Witness(unittest.TestCase):
    TWICE = ["the guest runs at the source after it has run at the destination"]

    def problems(self, mistake):
        return sorted(set(Planted(mistake).run().problems))

    def test_a_guest_that_moves(self):
        self.assertEqual(self.problems(lambda it: it.witness.expect_running("destination")), [])

    def test_at_the_same_time(self):
        def mistake(it):
            it.source.qmp.command("cont")
            it.witness.expect_running("source")
        self.assertEqual(self.problems(mistake), self.TWICE)

    def test_one_after_the_other(self):
        """Two histories are no better than two guests."""
        def mistake(it):
            it.destination.qmp.command("stop")
            it.source.qmp.command("cont")
            it.witness.expect_running("source")
        self.assertEqual(self.problems(mistake), self.TWICE)

    def test_a_guest_that_an_operator_takes_back(self):
        def no_mistake(it):
            it.destination.end()
            it.witness.may_return("source")
            it.source.qmp.command("cont")
            it.witness.expect_running("source")
        self.assertEqual(self.problems(no_mistake), [])

    def test_a_guest_that_stands_still(self):
        def mistake(it):
            it.destination.qmp.command("stop")
            it.witness.expect_running("destination", timeout=0.5)
        self.assertRegex(self.problems(mistake)[0], "the guest at the destination has not answered for")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
