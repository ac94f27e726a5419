"""The documented API, as behaviour: every test runs on the standard library's module, then on ours.

What a test shows of the standard library is what programs rely on, so it must hold of ours as well.
Where ours deliberately does better, the test asks the fixture ``improved`` and states both sides.
"""
